# ruff: noqa: N802 - the generated servicers fix the names of the methods
"""A CSI driver that is not ours, in memory, with defects if a test wants them.

It mounts nothing: what was published is a directory with the files of its volume, put there and fetched again.
"""

import shutil
from collections.abc import Iterable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Self

import grpc
from grpc import StatusCode

from csisim.endpoint import Endpoint
from csisim.pb import csi_pb2 as csi
from csisim.pb import csi_pb2_grpc
from csisim.runs.drive_plan import DrivePlan

Rpc = csi.ControllerServiceCapability.RPC
NodeRpc = csi.NodeServiceCapability.RPC
Service = csi.PluginCapability.Service

EVERYTHING = (
    Rpc.CREATE_DELETE_VOLUME, Rpc.PUBLISH_UNPUBLISH_VOLUME, Rpc.LIST_VOLUMES, Rpc.CREATE_DELETE_SNAPSHOT,
    Rpc.LIST_SNAPSHOTS, Rpc.CLONE_VOLUME, Rpc.EXPAND_VOLUME, Rpc.GET_VOLUME,
)  # fmt: skip


class Stranger(csi_pb2_grpc.IdentityServicer, csi_pb2_grpc.ControllerServicer, csi_pb2_grpc.NodeServicer):
    """Keeps what it is told; `defects` names what it does wrong."""

    def __init__(
        self,
        path: Path,
        *defects: str,
        controller: Iterable[int] = EVERYTHING,
        node: Iterable[int] = (NodeRpc.STAGE_UNSTAGE_VOLUME,),
        services: Iterable[int] = (Service.CONTROLLER_SERVICE,),
    ) -> None:
        self.path = path
        self.defects = defects
        self.capabilities = tuple(controller)
        self.node_capabilities = tuple(node)
        self.services = tuple(services)
        self.volumes: dict[str, csi.Volume] = {"someone-elses": csi.Volume(volume_id="someone-elses", capacity_bytes=1)}
        self.names: dict[str, str] = {}
        self.sources: dict[str, str] = {}
        self.created = 0
        self.snapshots: dict[str, csi.Snapshot] = {}
        self.asked: list[str] = []
        self.contents: dict[str, dict[str, bytes]] = {}
        self.attached: dict[tuple[str, str], str] = {}
        self.staged: dict[str, str] = {}
        self.published: dict[str, str] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        server = grpc.aio.server(interceptors=[_Noted(self)])
        csi_pb2_grpc.add_IdentityServicer_to_server(self, server)
        csi_pb2_grpc.add_ControllerServicer_to_server(self, server)
        csi_pb2_grpc.add_NodeServicer_to_server(self, server)
        server.add_insecure_port(f"unix://{self.path}")
        await server.start()
        self._stack.push_async_callback(server.stop, 0)
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._stack.aclose()

    def plan(self, **more: Any) -> DrivePlan:
        """Fast, with one node, whose directory is beside the socket."""
        here = Endpoint(path=str(self.path))
        more.setdefault("kubelet_dir", str(self.path.parent))
        fast: dict[str, Any] = {"run": "5eed0001", "users": 1, "speed": 500.0, "timeout_s": 4.0}
        return DrivePlan(**{"controller": here, "nodes": {"one": here}} | fast | more)

    # --- identity

    async def Probe(self, request: Any, context: Any) -> csi.ProbeResponse:
        return csi.ProbeResponse()

    async def GetPluginInfo(self, request: Any, context: Any) -> csi.GetPluginInfoResponse:
        return csi.GetPluginInfoResponse(name="stranger.example", vendor_version="7")

    async def GetPluginCapabilities(self, request: Any, context: Any) -> csi.GetPluginCapabilitiesResponse:
        made = [csi.PluginCapability(service=Service(type=each)) for each in self.services]  # type: ignore[arg-type]
        return csi.GetPluginCapabilitiesResponse(capabilities=made)

    # --- controller

    async def ControllerGetCapabilities(self, request: Any, context: Any) -> csi.ControllerGetCapabilitiesResponse:
        made = [csi.ControllerServiceCapability(rpc=Rpc(type=each)) for each in self.capabilities]  # type: ignore[arg-type]
        return csi.ControllerGetCapabilitiesResponse(capabilities=made)

    async def CreateVolume(self, request: Any, context: Any) -> csi.CreateVolumeResponse:
        if any(each.HasField("block") for each in request.volume_capabilities):
            await context.abort(StatusCode.INVALID_ARGUMENT, "no raw volumes here")
        id_ = self.names.get(request.name, "")
        source_id = request.volume_content_source.volume.volume_id or request.volume_content_source.snapshot.snapshot_id
        if source_id not in {"", *self.volumes, *self.snapshots}:
            await context.abort(StatusCode.NOT_FOUND, f"there is no {source_id}")
        asked = request.capacity_range
        if id_ and not (
            asked.required_bytes <= self.volumes[id_].capacity_bytes <= (asked.limit_bytes or 1 << 60)
            and self.sources[id_] == source_id
        ):
            await context.abort(StatusCode.ALREADY_EXISTS, "with another size or source")
        if not id_ or "two for one name" in self.defects:
            self.created += 1
            id_ = self.names[request.name] = f"v{self.created}"
            source = request.volume_content_source if request.HasField("volume_content_source") else None
            size = request.capacity_range.required_bytes
            self.sources[id_] = source_id
            self.volumes[id_] = csi.Volume(volume_id=id_, capacity_bytes=size, content_source=source)
            origin = "" if source is None else source.volume.volume_id or source.snapshot.snapshot_id
            if "empty copies" not in self.defects:
                self.contents[id_] = self._content(origin)
        return csi.CreateVolumeResponse(volume=self.volumes[id_])

    async def DeleteVolume(self, request: Any, context: Any) -> csi.DeleteVolumeResponse:
        used = [*(volume for volume, _ in self.attached), *self.staged.values(), *self.published.values()]
        cut = [each.source_volume_id for each in self.snapshots.values()]
        if request.volume_id in [*used, *cut]:
            await context.abort(StatusCode.FAILED_PRECONDITION, f"{request.volume_id} is in use, or has snapshots")
        if "keeps what is deleted" not in self.defects:
            self.volumes.pop(request.volume_id, None)
            self.names = {name: id_ for name, id_ in self.names.items() if id_ != request.volume_id}
        return csi.DeleteVolumeResponse()

    async def _known(self, volume_id: str, context: Any) -> csi.Volume:
        if volume_id not in self.volumes:
            await context.abort(StatusCode.NOT_FOUND, f"no volume {volume_id}")
        return self.volumes[volume_id]

    async def ControllerPublishVolume(self, request: Any, context: Any) -> csi.ControllerPublishVolumeResponse:
        if "never attaches" in self.defects:
            await context.abort(StatusCode.FAILED_PRECONDITION, "not today")
        await self._known(request.volume_id, context)
        self.attached[request.volume_id, request.node_id] = ""
        return csi.ControllerPublishVolumeResponse()

    async def ControllerUnpublishVolume(self, request: Any, context: Any) -> csi.ControllerUnpublishVolumeResponse:
        self.attached.pop((request.volume_id, request.node_id), None)
        return csi.ControllerUnpublishVolumeResponse()

    async def ControllerGetVolume(self, request: Any, context: Any) -> csi.ControllerGetVolumeResponse:
        return csi.ControllerGetVolumeResponse(volume=await self._known(request.volume_id, context))

    async def ValidateVolumeCapabilities(self, request: Any, context: Any) -> csi.ValidateVolumeCapabilitiesResponse:
        await self._known(request.volume_id, context)
        return csi.ValidateVolumeCapabilitiesResponse()

    async def ControllerExpandVolume(self, request: Any, context: Any) -> csi.ControllerExpandVolumeResponse:
        known = await self._known(request.volume_id, context)
        size = max(request.capacity_range.required_bytes, known.capacity_bytes)
        if "shrinks" in self.defects:
            size //= 4
        known.capacity_bytes = size
        return csi.ControllerExpandVolumeResponse(capacity_bytes=size)

    async def ListVolumes(self, request: Any, context: Any) -> csi.ListVolumesResponse:
        known = sorted(self.volumes)
        if "forgets in lists" in self.defects:
            known = known[:-1]
        shown, following = await _page(known, request, context)
        entries = [csi.ListVolumesResponse.Entry(volume=self.volumes[each]) for each in shown]
        return csi.ListVolumesResponse(entries=entries, next_token=following)

    async def CreateSnapshot(self, request: Any, context: Any) -> csi.CreateSnapshotResponse:
        id_ = f"s-{request.name}"
        await self._known(request.source_volume_id, context)
        if id_ in self.snapshots and self.snapshots[id_].source_volume_id != request.source_volume_id:
            await context.abort(StatusCode.ALREADY_EXISTS, "of another volume")
        if id_ not in self.snapshots:
            self.contents.pop(id_, None)
        self.contents.setdefault(id_, self._content(request.source_volume_id))
        made = csi.Snapshot(snapshot_id=id_, source_volume_id=request.source_volume_id, ready_to_use=True)
        made.creation_time.FromSeconds(1)
        return csi.CreateSnapshotResponse(snapshot=self.snapshots.setdefault(id_, made))

    async def DeleteSnapshot(self, request: Any, context: Any) -> csi.DeleteSnapshotResponse:
        self.snapshots.pop(request.snapshot_id, None)
        return csi.DeleteSnapshotResponse()

    async def ListSnapshots(self, request: Any, context: Any) -> csi.ListSnapshotsResponse:
        known = [each for each in sorted(self.snapshots) if request.snapshot_id in {"", each}
                 and request.source_volume_id in {"", self.snapshots[each].source_volume_id}]  # fmt: skip
        shown, following = await _page(known, request, context)
        entries = [csi.ListSnapshotsResponse.Entry(snapshot=self.snapshots[each]) for each in shown]
        return csi.ListSnapshotsResponse(entries=entries, next_token=following)

    # --- node

    async def NodeGetInfo(self, request: Any, context: Any) -> csi.NodeGetInfoResponse:
        return csi.NodeGetInfoResponse(node_id="i-0001")

    async def NodeGetCapabilities(self, request: Any, context: Any) -> csi.NodeGetCapabilitiesResponse:
        made = [csi.NodeServiceCapability(rpc=NodeRpc(type=each)) for each in self.node_capabilities]  # type: ignore[arg-type]
        return csi.NodeGetCapabilitiesResponse(capabilities=made)

    async def NodeStageVolume(self, request: Any, context: Any) -> csi.NodeStageVolumeResponse:
        await self._known(request.volume_id, context)
        self.staged[request.staging_target_path] = request.volume_id
        return csi.NodeStageVolumeResponse()

    async def NodeUnstageVolume(self, request: Any, context: Any) -> csi.NodeUnstageVolumeResponse:
        if request.volume_id in self.published.values():
            await context.abort(StatusCode.FAILED_PRECONDITION, "published")
        self.staged.pop(request.staging_target_path, None)
        return csi.NodeUnstageVolumeResponse()

    async def NodePublishVolume(self, request: Any, context: Any) -> csi.NodePublishVolumeResponse:
        target = Path(request.target_path)
        await self._known(request.volume_id, context)
        if self.node_capabilities and request.volume_id not in self.staged.values():
            await context.abort(StatusCode.FAILED_PRECONDITION, "not staged")
        if request.target_path not in self.published:
            target.mkdir(exist_ok=True)
            for name, content in self.contents.get(request.volume_id, {}).items():
                (target / name).write_bytes(content)
        self.published[request.target_path] = request.volume_id
        return csi.NodePublishVolumeResponse()

    async def NodeUnpublishVolume(self, request: Any, context: Any) -> csi.NodeUnpublishVolumeResponse:
        target = Path(request.target_path)
        if "leaves targets" not in self.defects and request.target_path in self.published:
            content = self._content(request.volume_id)
            self.contents[request.volume_id] = {} if "loses data" in self.defects else content
            del self.published[request.target_path]
            shutil.rmtree(target)
        return csi.NodeUnpublishVolumeResponse()

    def _content(self, id_: str) -> dict[str, bytes]:
        """The files of a volume or snapshot now; of a published volume those at its path."""
        for path, volume in self.published.items():
            if volume == id_:
                return {each.name: each.read_bytes() for each in Path(path).iterdir()}
        return dict(self.contents.get(id_, {}))


async def _page(known: list[str], request: Any, context: Any) -> tuple[list[str], str]:
    """Those of the page that a token stands for, and the token of the next one."""
    if request.starting_token and not request.starting_token.isdecimal():
        await context.abort(StatusCode.ABORTED, "not a token of ours")
    start = int(request.starting_token or 0)
    end = start + (request.max_entries or len(known))
    return known[start:end], str(end) if end < len(known) else ""


class _Noted(grpc.aio.ServerInterceptor):
    """Which methods were called."""

    def __init__(self, stranger: Stranger) -> None:
        self._stranger = stranger

    async def intercept_service(self, continuation: Any, details: Any) -> Any:
        self._stranger.asked.append(details.method.rpartition("/")[2])
        return await continuation(details)
