"""GroupController service: snapshots of several volumes, cut at one instant."""

from collections.abc import Iterable

from csisim.driver import requests
from csisim.driver.groups import Group, Groups, snapshot_name
from csisim.driver.grpc_types import Context
from csisim.driver.inflight import snapshot_key, volume_key
from csisim.driver.records import map_digest
from csisim.driver.replies import group_message
from csisim.driver.requests import require, string_map
from csisim.driver.volume_id import component_for, parse_volume_id
from csisim.driver.volumes import Volumes
from csisim.errors import AlreadyExists, InvalidArgument, NotFound
from csisim.pb import csi_pb2 as pb
from csisim.pb import csi_pb2_grpc

_Rpc = pb.GroupControllerServiceCapability.RPC


class GroupControllerService(csi_pb2_grpc.GroupControllerServicer):
    """The four RPCs of the GroupController service."""

    def __init__(self, volumes: Volumes) -> None:
        self._volumes = volumes
        self._locks = volumes.locks
        self._groups = Groups(volumes)

    async def GroupControllerGetCapabilities(
        self, request: pb.GroupControllerGetCapabilitiesRequest, context: Context
    ) -> pb.GroupControllerGetCapabilitiesResponse:
        """The one capability there is."""
        rpc = _Rpc(type=_Rpc.CREATE_DELETE_GET_VOLUME_GROUP_SNAPSHOT)
        capability = pb.GroupControllerServiceCapability(rpc=rpc)
        return pb.GroupControllerGetCapabilitiesResponse(capabilities=[capability])

    async def CreateVolumeGroupSnapshot(
        self, request: pb.CreateVolumeGroupSnapshotRequest, context: Context
    ) -> pb.CreateVolumeGroupSnapshotResponse:
        """Cut all sources at one instant; the same name, sources and parameters give the same group."""
        requests.secrets(request.secrets)
        name = require(request.name, "name")
        given = sorted({require(each, "source_volume_ids") for each in request.source_volume_ids})
        if not given:
            raise InvalidArgument("source_volume_ids: required, but empty")
        parameters = map_digest(string_map(request.parameters, "parameters"))
        component = component_for(name)
        ids = [volume_id for each in given if (volume_id := parse_volume_id(each))]
        keys = [_group_key(component), *(volume_key(each) for each in ids)]
        async with self._locks.hold(*keys):
            group = await self._groups.find(component)
            if group is not None and group.deleting:
                await self._groups.delete(group)
                group = None
            if group is None:
                volumes = [await self._volumes.get(parse_volume_id(each), each) for each in given]
                group = await self._groups.create(name, volumes, parameters)
            _compare(group, name, given, parameters)
            await self._groups.complete(group)
        return pb.CreateVolumeGroupSnapshotResponse(group_snapshot=group_message(group))

    async def DeleteVolumeGroupSnapshot(
        self, request: pb.DeleteVolumeGroupSnapshotRequest, context: Context
    ) -> pb.DeleteVolumeGroupSnapshotResponse:
        """Destroy the members and the group; gone already is fine."""
        requests.secrets(request.secrets)
        component = _component(request.group_snapshot_id)
        if component is not None:
            # Members are held by their snapshot name, which is the group's: restoring from one holds that too.
            async with self._locks.hold(_group_key(component)):
                group = await self._groups.find(component)
                if group is not None:
                    _check_members(group, request.snapshot_ids)
                    await self._groups.delete(group)
                else:
                    await self._groups.discard_unmarked(component)
        return pb.DeleteVolumeGroupSnapshotResponse()

    async def GetVolumeGroupSnapshot(
        self, request: pb.GetVolumeGroupSnapshotRequest, context: Context
    ) -> pb.GetVolumeGroupSnapshotResponse:
        """One group with its members."""
        requests.secrets(request.secrets)
        component = _component(request.group_snapshot_id)
        group = await self._groups.find(component) if component else None
        if group is None or group.deleting:
            raise NotFound(f"group snapshot {request.group_snapshot_id!r} does not exist")
        _check_members(group, request.snapshot_ids)
        return pb.GetVolumeGroupSnapshotResponse(group_snapshot=group_message(group))


def _component(given: str) -> str | None:
    """The snapshot component of a group id, or None where it cannot be one of ours: same form as a volume id."""
    return parse_volume_id(require(given, "group_snapshot_id"))


def _group_key(group_id: str) -> str:
    return snapshot_key(snapshot_name(group_id))


def _compare(group: Group, name: str, volume_ids: list[str], parameters: str) -> None:
    found = sorted(group.sizes)
    if group.name != name or found != volume_ids:
        raise AlreadyExists(f"group snapshot {name!r} exists, of volumes {', '.join(found)}")
    if group.parameters != parameters:
        raise AlreadyExists(f"group snapshot {name!r} exists with other parameters")


def _check_members(group: Group, snapshot_ids: Iterable[str]) -> None:
    """Callers may leave the list out; what they do name must be exactly the members."""
    given = sorted(requests.text(each, "snapshot_ids") for each in snapshot_ids)
    members = sorted(str(each.id) for each in group.members)
    if given and given != members:
        raise InvalidArgument(f"snapshot_ids: the members of group {group.id} are {', '.join(members)}")
