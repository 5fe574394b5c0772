"""How the services of one driver are put together over one NAS client."""

from collections.abc import Callable

from csisim.driver.config import DriverConfig
from csisim.driver.controller import ControllerService
from csisim.driver.exports import exports
from csisim.driver.group_controller import GroupControllerService
from csisim.driver.identity import IdentityService
from csisim.driver.inflight import OperationLocks
from csisim.driver.node import Presence
from csisim.driver.server import Services
from csisim.driver.snapshot_metadata import SnapshotMetadataService
from csisim.driver.volumes import Volumes
from csisim.pb import csi_pb2_grpc
from csisim.truenas.client import NasClient
from csisim.truenas.storage import Storage


class Lookup:
    """What the service of one node asks about volumes; see `csisim.driver.node`."""

    def __init__(self, volumes: Volumes, node_id: str) -> None:
        self._volumes = volumes
        self._node_id = node_id

    async def presence(self, volume_id: str) -> Presence:
        """Whether the NAS has the volume, and has it down as published on this node."""
        volume = await self._volumes.find(volume_id)
        if volume is None:
            return Presence.ABSENT
        return Presence.UNPUBLISHED if volume.publication(self._node_id) is None else Presence.PUBLISHED


def build_volumes(config: DriverConfig, nas: NasClient, locks: OperationLocks) -> Volumes:
    """The volumes of one NAS; `locks` may be shared with nothing that does not use the same volume ids."""
    return Volumes(config, Storage(nas), exports(nas, config.data_host), locks)


def build_services(
    config: DriverConfig,
    nas: NasClient,
    volumes: Volumes | None,
    node: csi_pb2_grpc.NodeServicer | None,
    controller: Callable[[Volumes], ControllerService] = ControllerService,
) -> Services:
    """The services of one socket: controller services where `volumes` is given, node services where `node` is."""
    return Services(
        identity=IdentityService(config, nas, controller=volumes is not None),
        controller=controller(volumes) if volumes else None,
        group_controller=GroupControllerService(volumes) if volumes else None,
        snapshot_metadata=SnapshotMetadataService(volumes) if volumes else None,
        node=node,
    )
