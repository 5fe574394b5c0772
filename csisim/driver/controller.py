"""Controller service: parse, lock, act, reply. What is decided is read by the callee, inside the lock."""

from collections.abc import Sequence

from csisim.driver import paging, requests
from csisim.driver.controller_health import ControllerHealth
from csisim.driver.grpc_types import Context
from csisim.driver.inflight import snapshot_key, volume_key
from csisim.driver.parameters import mutable_parameters, not_in_force, unlike, unsupported, volume_parameters
from csisim.driver.provisioning import Provisioner
from csisim.driver.publishing import Publishing
from csisim.driver.records import Volume
from csisim.driver.replies import snapshot_message, topology, volume_message
from csisim.driver.requests import NODE_ID_BYTES, require, string_map
from csisim.driver.sizes import MAXIMUM_BYTES, MINIMUM_BYTES
from csisim.driver.snapshots import SnapshotRecord, Snapshots
from csisim.driver.volume_id import SnapshotId, component_for, parse_snapshot_id, parse_volume_id
from csisim.driver.volumes import Volumes
from csisim.errors import InvalidArgument, NotFound
from csisim.pb import csi_pb2 as pb
from csisim.pb import csi_pb2_grpc

_Rpc = pb.ControllerServiceCapability.RPC
_ALWAYS = (
    _Rpc.CREATE_DELETE_VOLUME,
    _Rpc.PUBLISH_UNPUBLISH_VOLUME,
    _Rpc.LIST_VOLUMES,
    _Rpc.GET_CAPACITY,
    _Rpc.CREATE_DELETE_SNAPSHOT,
    _Rpc.LIST_SNAPSHOTS,
    _Rpc.CLONE_VOLUME,
    _Rpc.PUBLISH_READONLY,
    _Rpc.EXPAND_VOLUME,
    _Rpc.LIST_VOLUMES_PUBLISHED_NODES,
    _Rpc.GET_VOLUME,
    _Rpc.SINGLE_NODE_MULTI_WRITER,
    _Rpc.MODIFY_VOLUME,
    _Rpc.GET_SNAPSHOT,
)
_HEALTH = (_Rpc.GET_VOLUME_HEALTH, _Rpc.LIST_VOLUME_HEALTH)


class ControllerService(csi_pb2_grpc.ControllerServicer):
    """The 17 RPCs of the Controller service. Methods raise CsiError; the server turns that into a status."""

    def __init__(self, volumes: Volumes) -> None:
        self._volumes = volumes
        self._config = volumes.config
        self._locks = volumes.locks
        self._provisioner = Provisioner(volumes)
        self._publishing = Publishing(volumes)
        self._snapshots = Snapshots(volumes)
        self._health = ControllerHealth(volumes)

    async def ControllerGetCapabilities(
        self, request: pb.ControllerGetCapabilitiesRequest, context: Context
    ) -> pb.ControllerGetCapabilitiesResponse:
        """Everything of CSI 1.12; the health RPCs of 1.13 where the operator asked for them."""
        kinds = _ALWAYS + (_HEALTH if self._config.volume_health else ())
        return pb.ControllerGetCapabilitiesResponse(
            capabilities=[pb.ControllerServiceCapability(rpc=_Rpc(type=kind)) for kind in kinds]
        )

    async def CreateVolume(self, request: pb.CreateVolumeRequest, context: Context) -> pb.CreateVolumeResponse:
        """Create, restore or clone; the same name gives the same volume."""
        wanted = requests.create_volume(request)
        keys = [volume_key(component_for(wanted.name))]
        if isinstance(wanted.source, str):
            keys.append(volume_key(wanted.source))
        # Many volumes may be restored from one snapshot at a time, but not while it is deleted.
        kept = [snapshot_key(wanted.source.snapshot)] if isinstance(wanted.source, SnapshotId) else []
        async with self._locks.hold(*keys, shared=kept):
            volume = await self._provisioner.create(wanted)
            return pb.CreateVolumeResponse(volume=await self._message(volume))

    async def DeleteVolume(self, request: pb.DeleteVolumeRequest, context: Context) -> pb.DeleteVolumeResponse:
        """Delete; gone already, or not ours, is fine."""
        requests.secrets(request.secrets)
        volume_id = parse_volume_id(require(request.volume_id, "volume_id"))
        if volume_id is not None:
            async with self._locks.hold(volume_key(volume_id)):
                await self._volumes.delete(volume_id)
        return pb.DeleteVolumeResponse()

    async def ControllerPublishVolume(
        self, request: pb.ControllerPublishVolumeRequest, context: Context
    ) -> pb.ControllerPublishVolumeResponse:
        """Let a node reach the volume."""
        requests.secrets(request.secrets)
        string_map(request.volume_context, "volume_context")
        given = require(request.volume_id, "volume_id")
        node_id = require(request.node_id, "node_id", NODE_ID_BYTES)
        capability = requests.required_capability(
            request.volume_capability, present=request.HasField("volume_capability")
        )
        volume_id = parse_volume_id(given)
        if volume_id is None:
            raise NotFound(f"volume {given!r} does not exist")
        async with self._locks.hold(volume_key(volume_id)):
            volume = await self._volumes.get(volume_id, given)
            await self._publishing.publish(volume, node_id, capability, readonly=request.readonly)
        return pb.ControllerPublishVolumeResponse(publish_context={"readonly": str(request.readonly).lower()})

    async def ControllerUnpublishVolume(
        self, request: pb.ControllerUnpublishVolumeRequest, context: Context
    ) -> pb.ControllerUnpublishVolumeResponse:
        """Undo; a volume or node that is gone counts as detached, because the record goes with the volume."""
        requests.secrets(request.secrets)
        volume_id = parse_volume_id(require(request.volume_id, "volume_id"))
        node_id = requests.text(request.node_id, "node_id", NODE_ID_BYTES)
        if volume_id is not None:
            async with self._locks.hold(volume_key(volume_id)):
                volume = await self._volumes.find(volume_id)
                if volume is not None:
                    await self._publishing.unpublish(volume, node_id)
        return pb.ControllerUnpublishVolumeResponse()

    async def ValidateVolumeCapabilities(
        self, request: pb.ValidateVolumeCapabilitiesRequest, context: Context
    ) -> pb.ValidateVolumeCapabilitiesResponse:
        """Confirm all of what is asked, or none of it with the reason."""
        requests.secrets(request.secrets)
        given = require(request.volume_id, "volume_id")
        capabilities = requests.capabilities(request.volume_capabilities)
        parameters = string_map(request.parameters, "parameters")
        context_given = string_map(request.volume_context, "volume_context")
        mutable = string_map(request.mutable_parameters, "mutable_parameters")
        volume = await self._volumes.seen(parse_volume_id(given), given)
        problem = (
            unsupported(volume.protocol, capabilities)
            or unlike(parameters, volume.protocol, volume.parameters)
            or not_in_force(mutable, volume.dataset.settings)
        )
        if not problem and context_given and context_given != (await self._contexts([volume]))[volume.id]:
            problem = "volume_context is not the one that CreateVolume answered"
        if problem:
            return pb.ValidateVolumeCapabilitiesResponse(message=problem)
        confirmed = pb.ValidateVolumeCapabilitiesResponse.Confirmed(
            volume_capabilities=request.volume_capabilities,
            volume_context=context_given,
            parameters=parameters,
            mutable_parameters=mutable,
        )
        return pb.ValidateVolumeCapabilitiesResponse(confirmed=confirmed)

    async def ListVolumes(self, request: pb.ListVolumesRequest, context: Context) -> pb.ListVolumesResponse:
        """A page by key: its cost does not depend on how many volumes there are."""
        limit = requests.page_size(request.max_entries)
        after = paging.after_volume(request.starting_token)
        volumes = await self._volumes.page(after, limit + 1 if limit else 0)
        more = bool(limit) and len(volumes) > limit
        shown = volumes[:limit] if limit else volumes
        contexts = await self._contexts(shown)
        response = pb.ListVolumesResponse(next_token=paging.volume_token(shown[-1].id) if more else "")
        for volume in shown:
            entry = response.entries.add(volume=volume_message(volume, contexts[volume.id], self._config))
            entry.status.published_node_ids.extend(each.node_id for each in volume.publications)
        return response

    async def ControllerGetVolume(
        self, request: pb.ControllerGetVolumeRequest, context: Context
    ) -> pb.ControllerGetVolumeResponse:
        """One volume and where it is published."""
        given = require(request.volume_id, "volume_id")
        volume = await self._volumes.seen(parse_volume_id(given), given)
        response = pb.ControllerGetVolumeResponse(volume=await self._message(volume))
        response.status.published_node_ids.extend(each.node_id for each in volume.publications)
        return response

    async def GetCapacity(self, request: pb.GetCapacityRequest, context: Context) -> pb.GetCapacityResponse:
        """What is free, and the sizes that volumes can have, in bytes."""
        capabilities = requests.capabilities(request.volume_capabilities) if request.volume_capabilities else ()
        parameters = requests.string_map(request.parameters, "parameters")
        protocol = volume_parameters(parameters, capabilities).protocol
        here = dict(topology(self._config).segments)
        asked = string_map(request.accessible_topology.segments, "accessible_topology")
        available = await self._health.available_bytes() if asked in ({}, here) else 0
        response = pb.GetCapacityResponse(available_capacity=available)
        response.maximum_volume_size.value = min(available, MAXIMUM_BYTES)
        response.minimum_volume_size.value = MINIMUM_BYTES[protocol]
        return response

    async def CreateSnapshot(self, request: pb.CreateSnapshotRequest, context: Context) -> pb.CreateSnapshotResponse:
        """Cut a snapshot; the same name and source give the same snapshot."""
        requests.secrets(request.secrets)
        name = require(request.name, "name")
        given = require(request.source_volume_id, "source_volume_id")
        _no_parameters(string_map(request.parameters, "parameters"))
        requests.topologies(request.accessibility_requirements.requisite)
        volume_id = parse_volume_id(given)
        keys = [snapshot_key(component_for(name)), *([volume_key(volume_id)] if volume_id else [])]
        async with self._locks.hold(*keys):
            record = await self._snapshots.create(name, volume_id, given)
        return pb.CreateSnapshotResponse(snapshot=snapshot_message(record))

    async def DeleteSnapshot(self, request: pb.DeleteSnapshotRequest, context: Context) -> pb.DeleteSnapshotResponse:
        """Destroy; gone already, or not ours, is fine."""
        requests.secrets(request.secrets)
        snapshot_id = self._snapshot_id(require(request.snapshot_id, "snapshot_id"))
        if snapshot_id is not None:
            async with self._locks.hold(snapshot_key(snapshot_id.snapshot), volume_key(snapshot_id.volume)):
                await self._snapshots.delete(snapshot_id)
        return pb.DeleteSnapshotResponse()

    async def ListSnapshots(self, request: pb.ListSnapshotsRequest, context: Context) -> pb.ListSnapshotsResponse:
        """A page by key; a filter that matches nothing gives an empty list."""
        requests.secrets(request.secrets)
        limit = requests.page_size(request.max_entries)
        after = paging.after_snapshot(request.starting_token)
        wanted = requests.text(request.snapshot_id, "snapshot_id")
        source = requests.text(request.source_volume_id, "source_volume_id")
        if wanted:
            found = await self._snapshots.find(self._snapshot_id(wanted))
            fits = found is not None and source in ("", found.id.volume)
            records = [found] if found and fits else []
        elif source and parse_volume_id(source) is None:
            records = []
        else:
            records = await self._snapshots.page(source, after, limit + 1 if limit else 0)
        return _snapshot_page(records, limit)

    async def GetSnapshot(self, request: pb.GetSnapshotRequest, context: Context) -> pb.GetSnapshotResponse:
        """One snapshot."""
        requests.secrets(request.secrets)
        given = require(request.snapshot_id, "snapshot_id")
        record = await self._snapshots.find(self._snapshot_id(given))
        if record is None:
            raise NotFound(f"snapshot {given!r} does not exist")
        return pb.GetSnapshotResponse(snapshot=snapshot_message(record))

    async def ControllerExpandVolume(
        self, request: pb.ControllerExpandVolumeRequest, context: Context
    ) -> pb.ControllerExpandVolumeResponse:
        """Grow, also while published; a block device has to be looked at again by its node."""
        requests.secrets(request.secrets)
        given = require(request.volume_id, "volume_id")
        present = request.HasField("capacity_range")
        wanted = requests.capacity_range(request.capacity_range, present=present, required=True)
        capability = requests.capability(request.volume_capability) if request.HasField("volume_capability") else None
        volume_id = parse_volume_id(given)
        if volume_id is None:
            raise NotFound(f"volume {given!r} does not exist")
        async with self._locks.hold(volume_key(volume_id)):
            volume = await self._volumes.get(volume_id, given)
            if capability is not None and (problem := unsupported(volume.protocol, [capability])):
                raise InvalidArgument(f"volume_capability: {problem}")
            grown = await self._volumes.expand(volume, wanted)
        # A node that has the device open, raw or mounted, sees the old size until it looks again.
        return pb.ControllerExpandVolumeResponse(
            capacity_bytes=grown.capacity_bytes, node_expansion_required=grown.protocol.is_block
        )

    async def ControllerModifyVolume(
        self, request: pb.ControllerModifyVolumeRequest, context: Context
    ) -> pb.ControllerModifyVolumeResponse:
        """Bring mutable parameters into force, all in one call to the NAS or none."""
        requests.secrets(request.secrets)
        given = require(request.volume_id, "volume_id")
        settings = mutable_parameters(string_map(request.mutable_parameters, "mutable_parameters"))
        volume_id = parse_volume_id(given)
        if volume_id is None:
            raise NotFound(f"volume {given!r} does not exist")
        async with self._locks.hold(volume_key(volume_id)):
            await self._volumes.modify(await self._volumes.get(volume_id, given), settings)
        return pb.ControllerModifyVolumeResponse()

    async def ControllerGetVolumeHealth(
        self, request: pb.ControllerGetVolumeHealthRequest, context: Context
    ) -> pb.ControllerGetVolumeHealthResponse:
        """What is wrong with one volume; an empty list of statuses is healthy (CSI 1.13, alpha)."""
        requests.secrets(request.secrets)
        given = require(request.volume_id, "volume_id")
        volume = await self._volumes.seen(parse_volume_id(given), given)
        health = await self._health.of([volume])
        return pb.ControllerGetVolumeHealthResponse(volume_health=health[0])

    async def ControllerListVolumeHealth(
        self, request: pb.ControllerListVolumeHealthRequest, context: Context
    ) -> pb.ControllerListVolumeHealthResponse:
        """Abnormal volumes only, by page (CSI 1.13, alpha)."""
        requests.secrets(request.secrets)
        limit = requests.page_size(request.max_entries)
        entries, last = await self._health.abnormal(paging.after_volume(request.starting_token), limit)
        return pb.ControllerListVolumeHealthResponse(
            entries=entries, next_token=paging.volume_token(last) if last else ""
        )

    def _snapshot_id(self, given: str) -> SnapshotId | None:
        return parse_snapshot_id(given)

    async def _contexts(self, volumes: Sequence[Volume]) -> dict[str, dict[str, str]]:
        return await self._volumes.contexts(list(volumes))

    async def _message(self, volume: Volume) -> pb.Volume:
        contexts = await self._contexts([volume])
        return volume_message(volume, contexts[volume.id], self._config)


def _no_parameters(parameters: dict[str, str]) -> None:
    """Snapshots take no parameters but those that the external-snapshotter adds for information."""
    for key in parameters:
        if not key.startswith("csi.storage.k8s.io/"):
            raise InvalidArgument(f"parameters: unknown key {key!r}; snapshots take none")


def _snapshot_page(records: Sequence[SnapshotRecord], limit: int) -> pb.ListSnapshotsResponse:
    more = bool(limit) and len(records) > limit
    shown = records[:limit] if limit else records
    response = pb.ListSnapshotsResponse(next_token=paging.snapshot_token(str(shown[-1].id)) if more else "")
    for record in shown:
        response.entries.add(snapshot=snapshot_message(record))
    return response
