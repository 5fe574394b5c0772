"""Histories of CSI calls written by hand, from real messages, for tests of checks."""

from typing import Any

from google.protobuf.message import Message

from csisim.events import Event, History
from csisim.pb import csi_pb2 as csi
from csisim.secrets import stripped

GIB = 1 << 30
SHARED = "MULTI_NODE_MULTI_WRITER"
INDETERMINATE = ("CANCELLED", "UNKNOWN", "DEADLINE_EXCEEDED", "UNAVAILABLE", "INTERNAL")


class Script:
    """Calls that begin and end one after the other, each event a second after the one before."""

    def __init__(self) -> None:
        self._now_s = 0.0
        self._history = History(lambda: self._now_s)
        self._history.describe = stripped

    @property
    def events(self) -> list[Event]:
        """What was told so far."""
        return self._history.since()

    def begin(self, request: Message, process: str = "client-1") -> str:
        """A call is made; gives its id for `end`."""
        call = self._history.new_call()
        self.add("invoke", "call", _method(request), call=call, process=process, value=request)
        return call

    def end(self, call: str, answer: Message | str) -> None:
        """Its answer, or the code that it got instead."""
        begun = next(event for event in self.events if event.call == call)
        if isinstance(answer, Message):
            self.add("ok", "call", begun.f, call=call, process=begun.process, value=answer)
            return
        type_ = "info" if answer in INDETERMINATE else "fail"
        told = {"code": answer, "message": "told so"}
        self.add(type_, "call", begun.f, call=call, process=begun.process, value=told)

    def call(self, request: Message, answer: Message | str | None = None, process: str = "client-1") -> None:
        """A whole call; by default it succeeds with an empty answer."""
        empty = getattr(csi, f"{_method(request)}Response")
        self.end(self.begin(request, process), empty() if answer is None else answer)

    def add(self, type_: Any, kind: Any, f: str, **members: Any) -> None:
        """Any event."""
        self._now_s += 1.0
        self._history.add(type_, kind, f, **members)


def _method(request: Message) -> str:
    return type(request).__name__.removesuffix("Request")


def capability(mode: str = "SINGLE_NODE_WRITER", **mount: Any) -> csi.VolumeCapability:
    """A mounted volume's."""
    return csi.VolumeCapability(
        mount=csi.VolumeCapability.MountVolume(**mount),
        access_mode=csi.VolumeCapability.AccessMode(mode=csi.VolumeCapability.AccessMode.Mode.Value(mode)),
    )


def create(name: str = "pvc-1", size: int = 1, limit: int = 0, **parameters: str) -> csi.CreateVolumeRequest:
    """CreateVolume, with sizes in GiB."""
    range_ = csi.CapacityRange(required_bytes=size * GIB, limit_bytes=limit * GIB)
    return csi.CreateVolumeRequest(
        name=name, capacity_range=range_, volume_capabilities=[capability()], parameters=parameters
    )


def created(volume_id: str = "pvc-1", size: int = 1) -> csi.CreateVolumeResponse:
    """Its answer."""
    return csi.CreateVolumeResponse(volume=csi.Volume(volume_id=volume_id, capacity_bytes=size * GIB))


def delete(volume_id: str = "pvc-1") -> csi.DeleteVolumeRequest:
    """DeleteVolume."""
    return csi.DeleteVolumeRequest(volume_id=volume_id)


def publish(
    node: str = "n1",
    volume_id: str = "pvc-1",
    *,
    readonly: bool = False,
    mode: str = "SINGLE_NODE_WRITER",
    **mount: Any,
) -> csi.ControllerPublishVolumeRequest:
    """ControllerPublishVolume."""
    return csi.ControllerPublishVolumeRequest(
        volume_id=volume_id, node_id=node, readonly=readonly, volume_capability=capability(mode, **mount)
    )


def unpublish(node: str = "n1", volume_id: str = "pvc-1") -> csi.ControllerUnpublishVolumeRequest:
    """ControllerUnpublishVolume."""
    return csi.ControllerUnpublishVolumeRequest(volume_id=volume_id, node_id=node)


def get(volume_id: str = "pvc-1") -> csi.ControllerGetVolumeRequest:
    """ControllerGetVolume."""
    return csi.ControllerGetVolumeRequest(volume_id=volume_id)


def got(*nodes: str, size: int = 1, volume_id: str = "pvc-1") -> csi.ControllerGetVolumeResponse:
    """Its answer."""
    volume = csi.Volume(volume_id=volume_id, capacity_bytes=size * GIB)
    status = csi.ControllerGetVolumeResponse.VolumeStatus(published_node_ids=nodes)
    return csi.ControllerGetVolumeResponse(volume=volume, status=status)


def expand(size: int, limit: int = 0, volume_id: str = "pvc-1") -> csi.ControllerExpandVolumeRequest:
    """ControllerExpandVolume, with sizes in GiB."""
    range_ = csi.CapacityRange(required_bytes=size * GIB, limit_bytes=limit * GIB)
    return csi.ControllerExpandVolumeRequest(volume_id=volume_id, capacity_range=range_)


def expanded(size: int) -> csi.ControllerExpandVolumeResponse:
    """Its answer."""
    return csi.ControllerExpandVolumeResponse(capacity_bytes=size * GIB)


def cut(name: str = "s", source: str = "pvc-1") -> csi.CreateSnapshotRequest:
    """CreateSnapshot."""
    return csi.CreateSnapshotRequest(name=name, source_volume_id=source)


def snapshot(name: str = "s", source: str = "pvc-1") -> csi.CreateSnapshotResponse:
    """Its answer."""
    return csi.CreateSnapshotResponse(snapshot=csi.Snapshot(snapshot_id=f"{source}@{name}", source_volume_id=source))


def destroy(snapshot_id: str = "pvc-1@s") -> csi.DeleteSnapshotRequest:
    """DeleteSnapshot."""
    return csi.DeleteSnapshotRequest(snapshot_id=snapshot_id)


def stage(path: str = "/stage", volume_id: str = "pvc-1") -> csi.NodeStageVolumeRequest:
    """NodeStageVolume."""
    return csi.NodeStageVolumeRequest(volume_id=volume_id, staging_target_path=path, volume_capability=capability())


def unstage(path: str = "/stage", volume_id: str = "pvc-1") -> csi.NodeUnstageVolumeRequest:
    """NodeUnstageVolume."""
    return csi.NodeUnstageVolumeRequest(volume_id=volume_id, staging_target_path=path)


def bind(path: str = "/pod", *, readonly: bool = False, volume_id: str = "pvc-1") -> csi.NodePublishVolumeRequest:
    """NodePublishVolume."""
    return csi.NodePublishVolumeRequest(
        volume_id=volume_id, staging_target_path="/stage", target_path=path, readonly=readonly,
        volume_capability=capability(),
    )  # fmt: skip


def unbind(path: str = "/pod", volume_id: str = "pvc-1") -> csi.NodeUnpublishVolumeRequest:
    """NodeUnpublishVolume."""
    return csi.NodeUnpublishVolumeRequest(volume_id=volume_id, target_path=path)


def stats(path: str = "/pod", volume_id: str = "pvc-1") -> csi.NodeGetVolumeStatsRequest:
    """NodeGetVolumeStats."""
    return csi.NodeGetVolumeStatsRequest(volume_id=volume_id, volume_path=path)
