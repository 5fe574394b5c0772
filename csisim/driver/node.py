"""Node service: what happens to volumes on one host.

A mutation holds the lock of its volume and of the path it works on; a busy one answers ABORTED. Reading takes no lock.
Only NodeStageVolume needs the NAS; all else works from local records and the mount table.
"""

from collections.abc import Iterable
from typing import ClassVar

from csisim.driver.config import DriverConfig
from csisim.driver.grpc_types import Context
from csisim.driver.inflight import OperationLocks
from csisim.driver.node_health import Health
from csisim.driver.node_publishing import Publishing
from csisim.driver.node_requests import (
    attached_readonly,
    attachment,
    check_expand,
    check_publish,
    check_stage,
    check_volume_path,
    credentials,
    path,
)
from csisim.driver.node_staging import Presence, StageRequest, Staging, VolumeLookup
from csisim.driver.node_state import StageRecords
from csisim.driver.node_usage import Usage
from csisim.driver.requests import PATH_BYTES, require, secrets, text
from csisim.driver.volume_id import parse_volume_id
from csisim.errors import InvalidArgument, NotFound
from csisim.host import NodeHost
from csisim.pb import csi_pb2 as pb
from csisim.pb import csi_pb2_grpc

__all__ = ["NodeService", "Presence", "VolumeLookup"]

_Rpc = pb.NodeServiceCapability.RPC
_CAPABILITIES = (
    _Rpc.STAGE_UNSTAGE_VOLUME,
    _Rpc.GET_VOLUME_STATS,
    _Rpc.EXPAND_VOLUME,
    _Rpc.SINGLE_NODE_MULTI_WRITER,
    _Rpc.VOLUME_MOUNT_GROUP,
)
_HEALTH_CAPABILITIES = (_Rpc.GET_VOLUME_HEALTH, _Rpc.GET_STORAGE_HEALTH)


class NodeService(csi_pb2_grpc.NodeServicer):
    """The node service of one host.

    Args:
        config: settings of the driver.
        node_id: as in NodeGetInfo.
        host: mount table, devices and state files; of this node alone.
        locks: may be shared with other services and nodes of the process.
        volumes: asks the NAS whether a volume exists and is published on this node.
    """

    staging_kind: ClassVar[type[Staging]] = Staging

    def __init__(
        self, config: DriverConfig, node_id: str, host: NodeHost, locks: OperationLocks, volumes: VolumeLookup
    ) -> None:
        records = StageRecords(host.files)
        self._config = config
        self._node_id = node_id
        self._locks = locks
        self._volumes = volumes
        self._staging = self.staging_kind(config, host, records, volumes)
        self._publishing = Publishing(host, records, volumes, self._staging)
        self._usage = Usage(host, records)
        self._health = Health(host, records)

    async def NodeStageVolume(self, request: pb.NodeStageVolumeRequest, context: Context) -> pb.NodeStageVolumeResponse:
        """Attach a volume to this node, and mount it at the staging path unless a raw device is asked for.

        Only after ControllerPublishVolume; what that published read-only is not writable here.
        """
        volume_id, staging_path, capability = check_stage(request)
        readonly = attached_readonly(request.publish_context)
        _ours(volume_id)
        async with self._locks.hold(*self._keys(volume_id, staging_path)):
            try:
                given = attachment(request.volume_context)
            except InvalidArgument:
                # A volume that does not exist is the better answer: then no context would be right.
                if await self._volumes.presence(volume_id) is not Presence.ABSENT:
                    raise
                raise NotFound(f"volume {volume_id} does not exist") from None
            secret = credentials(request.secrets)
            await self._staging.stage(StageRequest(volume_id, staging_path, capability, given, secret, readonly))
        return pb.NodeStageVolumeResponse()

    async def NodeUnstageVolume(
        self, request: pb.NodeUnstageVolumeRequest, context: Context
    ) -> pb.NodeUnstageVolumeResponse:
        """Undo NodeStageVolume; a volume that is not staged there, or not known, is fine."""
        volume_id = require(request.volume_id, "volume_id")
        staging_path = path(request.staging_target_path, "staging_target_path")
        if parse_volume_id(volume_id) is not None:
            async with self._locks.hold(*self._keys(volume_id, staging_path)):
                await self._staging.unstage(volume_id, staging_path)
        return pb.NodeUnstageVolumeResponse()

    async def NodePublishVolume(
        self, request: pb.NodePublishVolumeRequest, context: Context
    ) -> pb.NodePublishVolumeResponse:
        """Make a staged volume appear at a target path."""
        checked = check_publish(request)
        _ours(checked.volume_id)
        async with self._locks.hold(*self._keys(checked.volume_id, checked.wanted.target_path)):
            await self._publishing.publish(checked)
        return pb.NodePublishVolumeResponse()

    async def NodeUnpublishVolume(
        self, request: pb.NodeUnpublishVolumeRequest, context: Context
    ) -> pb.NodeUnpublishVolumeResponse:
        """Undo NodePublishVolume; a volume that is not published there, or not known, is fine."""
        volume_id = require(request.volume_id, "volume_id")
        target_path = path(request.target_path, "target_path")
        if parse_volume_id(volume_id) is not None:
            async with self._locks.hold(*self._keys(volume_id, target_path)):
                await self._publishing.unpublish(volume_id, target_path)
        return pb.NodeUnpublishVolumeResponse()

    async def NodeGetVolumeStats(
        self, request: pb.NodeGetVolumeStatsRequest, context: Context
    ) -> pb.NodeGetVolumeStatsResponse:
        """Usage of a volume that is at the path now."""
        where = check_volume_path(request.volume_id, request.volume_path)
        text(request.staging_target_path, "staging_target_path", PATH_BYTES)
        _ours(where.volume_id)
        return pb.NodeGetVolumeStatsResponse(usage=await self._usage.stats(where))

    async def NodeExpandVolume(
        self, request: pb.NodeExpandVolumeRequest, context: Context
    ) -> pb.NodeExpandVolumeResponse:
        """Grow device and file system to what the NAS gives; works with a staging or a target path."""
        where, wanted, capability = check_expand(request)
        _ours(where.volume_id)
        async with self._locks.hold(*self._keys(where.volume_id)):
            capacity_bytes = await self._usage.expand(where, wanted, capability)
        return pb.NodeExpandVolumeResponse(capacity_bytes=capacity_bytes)

    async def NodeGetCapabilities(
        self, request: pb.NodeGetCapabilitiesRequest, context: Context
    ) -> pb.NodeGetCapabilitiesResponse:
        """The same from every node; the alpha health ones only where they are switched on."""
        types = _CAPABILITIES + (_HEALTH_CAPABILITIES if self._config.volume_health else ())
        return pb.NodeGetCapabilitiesResponse(
            capabilities=[pb.NodeServiceCapability(rpc=_Rpc(type=each)) for each in types]
        )

    async def NodeGetInfo(self, request: pb.NodeGetInfoRequest, context: Context) -> pb.NodeGetInfoResponse:
        """Name, attach limit and zone of this node."""
        return pb.NodeGetInfoResponse(
            node_id=self._node_id,
            max_volumes_per_node=self._config.max_volumes_per_node,
            accessible_topology=pb.Topology(segments={self._config.zone_key: self._config.zone}),
        )

    async def NodeGetVolumeHealth(
        self, request: pb.NodeGetVolumeHealthRequest, context: Context
    ) -> pb.NodeGetVolumeHealthResponse:
        """What is wrong with a volume as seen from here; no entries where nothing is."""
        volume_id = require(request.volume_id, "volume_id")
        paths = (
            _optional_path(request.volume_publish_path, "volume_publish_path"),
            _optional_path(request.staging_target_path, "staging_target_path"),
        )
        _ours(volume_id)
        return pb.NodeGetVolumeHealthResponse(volume_health=await self._health.volume(volume_id, *paths))

    async def NodeGetStorageHealth(
        self, request: pb.NodeGetStorageHealthRequest, context: Context
    ) -> pb.NodeGetStorageHealthResponse:
        """Which servers this node cannot reach, as far as its staged volumes tell."""
        secrets(request.secrets)
        return pb.NodeGetStorageHealthResponse(backend_health=await self._health.storage())

    def _keys(self, volume_id: str, *paths: str) -> Iterable[str]:
        """Lock keys of this node: nodes in one process do not get in each other's way, nor in the controller's."""
        yield f"volume {volume_id} on {self._node_id}"
        for each in paths:
            yield f"path {each} on {self._node_id}"


def _ours(volume_id: str) -> None:
    if parse_volume_id(volume_id) is None:
        raise NotFound(f"volume {volume_id!r} does not exist: it is not an id of this driver")


def _optional_path(value: str, field: str) -> str:
    return path(value, field) if value else ""
