"""What the driver of a cluster is built of: the shipped classes, unless somebody puts others in their place."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from csisim.driver.config import DriverConfig
from csisim.driver.controller import ControllerService
from csisim.driver.exports import Export, exports
from csisim.driver.inflight import OperationLocks
from csisim.driver.node import NodeService
from csisim.driver.parameters import Protocol
from csisim.driver.server import Services
from csisim.driver.services import Lookup, build_services
from csisim.driver.volumes import Volumes
from csisim.host import NodeHost
from csisim.sim.host import SimHost
from csisim.truenas.client import NasClient
from csisim.truenas.storage import Storage


def _as_it_is(_node_id: str, host: NodeHost, _machine: SimHost) -> NodeHost:
    return host


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Where each part of a driver comes from; `dataclasses.replace` exchanges some.

    Attributes:
        client: of the NAS.
        locks: the operations in progress, of the controller and of each node.
        storage: verbs over the client.
        exports: shares and targets, over the client and at the address of the data.
        volumes: over all of these.
        controller: the service over the volumes.
        node: the service of one node.
        host: a node's machine as its service gets it: from the id of the node, the machine with its faults, and the
            machine itself.
    """

    client: type[NasClient] = NasClient
    locks: type[OperationLocks] = OperationLocks
    storage: Callable[[NasClient], Storage] = Storage
    exports: Callable[[NasClient, str], Mapping[Protocol, Export]] = exports
    volumes: Callable[..., Volumes] = Volumes
    controller: Callable[[Volumes], ControllerService] = ControllerService
    node: Callable[..., NodeService] = NodeService
    host: Callable[[str, NodeHost, SimHost], NodeHost] = _as_it_is

    def volumes_of(self, config: DriverConfig, nas: NasClient, locks: OperationLocks) -> Volumes:
        """The volumes of one NAS; `locks` may be shared with nothing that does not use the same volume ids."""
        return self.volumes(config, self.storage(nas), self.exports(nas, config.data_host), locks)

    def node_of(
        self, config: DriverConfig, node_id: str, host: NodeHost, nas: NasClient, locks: OperationLocks
    ) -> NodeService:
        """The service of one node."""
        lookup = Lookup(self.volumes_of(config, nas, locks), node_id)
        return self.node(config, node_id, host, locks, lookup)

    def services_of(
        self, config: DriverConfig, nas: NasClient, volumes: Volumes | None, node: NodeService | None
    ) -> Services:
        """The services of one socket; see `csisim.driver.services.build_services`."""
        return build_services(config, nas, volumes, node, self.controller)


SHIPPED = Parts()
"""What is shipped."""
