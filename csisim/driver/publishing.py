"""Controller publish and unpublish: which nodes may reach a volume, kept as user properties of its dataset."""

from csisim.driver.inflight import attach_key
from csisim.driver.parameters import unsupported
from csisim.driver.records import Volume, how_published, node_key, publish_key
from csisim.driver.requests import Capability
from csisim.driver.volumes import Volumes
from csisim.errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NasRefused,
    NotFound,
    ResourceExhausted,
)
from csisim.truenas.storage import is_missing


class Publishing:
    """Publications of the volumes below the root dataset."""

    def __init__(self, volumes: Volumes) -> None:
        self._volumes = volumes
        self._config = volumes.config
        self._storage = volumes.storage

    async def publish(self, volume: Volume, node_id: str, capability: Capability, *, readonly: bool) -> None:
        """Record that the node may reach the volume; the same again changes nothing.

        Raises:
            NotFound: unknown node.
            InvalidArgument: the volume cannot be used in this way at all.
            AlreadyExists: published there with another capability or readonly flag.
            FailedPrecondition: published on another node, and not for several nodes.
            ResourceExhausted: the node has as many volumes as it takes.
        """
        if self._config.known_nodes is not None and node_id not in self._config.known_nodes:
            raise NotFound(f"node {node_id!r} does not exist")
        if problem := unsupported(volume.protocol, [capability]):
            raise InvalidArgument(f"volume_capability: {problem}")
        how = how_published(capability, readonly=readonly)
        present = volume.publication(node_id)
        if present is not None:
            if present.how != how:
                raise AlreadyExists(f"volume {volume.id} is published on {node_id} with another capability or readonly")
            return
        if volume.publications and not (capability.multi_node and all(each.shared for each in volume.publications)):
            nodes = ", ".join(each.node_id for each in volume.publications)
            raise FailedPrecondition(f"volume {volume.id} is published on {nodes}, and not for several nodes")
        properties = {node_key(node_id): node_id, publish_key(node_id): how}
        limit = self._config.max_volumes_per_node
        if not limit:
            await self._storage.update_dataset(volume.dataset.id, set_properties=properties)
            return
        # Counting the volumes of a node and adding one is a critical section across volumes.
        async with self._volumes.locks.queue(attach_key(node_id)):
            root = self._config.root_dataset
            count = await self._storage.count_with_property(root, node_key(node_id), node_id)
            if count >= limit:
                raise ResourceExhausted(f"node {node_id} has {count} volumes published, and takes at most {limit}")
            await self._storage.update_dataset(volume.dataset.id, set_properties=properties)

    async def unpublish(self, volume: Volume, node_id: str) -> None:
        """Take the node's record off, or with an empty id all of them; none there is fine."""
        nodes = [each.node_id for each in volume.publications if node_id in ("", each.node_id)]
        keys = [key for node in nodes for key in (node_key(node), publish_key(node))]
        if not keys:
            return
        try:
            await self._storage.update_dataset(volume.dataset.id, remove_properties=keys)
        except NasRefused as error:
            if not is_missing(error):
                raise
