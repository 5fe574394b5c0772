"""The requests of the workload's clients, from what they believe. Pure."""

from typing import Any

from csisim.co.plans import GIB, VolumePlan
from csisim.pb import csi_pb2 as csi
from csisim.runs.beliefs import SnapshotBook, Spot, VolumeBook


def create(volume: VolumeBook, source_id: str, *, size_bytes: int = 0) -> csi.CreateVolumeRequest:
    """CreateVolume; with a size it is another request under the same name."""
    request = volume.plan.create_request(source_id)
    if size_bytes:
        request.capacity_range.required_bytes = request.capacity_range.limit_bytes = size_bytes
    return request


def delete(volume: VolumeBook) -> csi.DeleteVolumeRequest:
    """DeleteVolume."""
    return csi.DeleteVolumeRequest(volume_id=volume.id)


def publish(volume: VolumeBook, node_id: str) -> csi.ControllerPublishVolumeRequest:
    """ControllerPublishVolume."""
    return csi.ControllerPublishVolumeRequest(
        volume_id=volume.id,
        node_id=node_id,
        volume_capability=volume.plan.capability(),
        volume_context=volume.context,
    )


def unpublish(volume: VolumeBook, node_id: str) -> csi.ControllerUnpublishVolumeRequest:
    """ControllerUnpublishVolume."""
    return csi.ControllerUnpublishVolumeRequest(volume_id=volume.id, node_id=node_id)


def staging_path(directory: str, plan: VolumePlan) -> str:
    """Where a node stages a volume."""
    return f"{directory}/plugins/{plan.name}/globalmount"


def target_path(directory: str, plan: VolumePlan, pod: int) -> str:
    """Where a pod finds a volume."""
    return f"{directory}/pods/pod-{pod}/volumes/{plan.name}"


def stage(volume: VolumeBook, spot: Spot, directory: str) -> csi.NodeStageVolumeRequest:
    """NodeStageVolume."""
    return csi.NodeStageVolumeRequest(
        volume_id=volume.id,
        publish_context=spot.context,
        staging_target_path=staging_path(directory, volume.plan),
        volume_capability=volume.plan.capability(),
        volume_context=volume.context,
    )


def unstage(volume: VolumeBook, directory: str) -> csi.NodeUnstageVolumeRequest:
    """NodeUnstageVolume."""
    return csi.NodeUnstageVolumeRequest(volume_id=volume.id, staging_target_path=staging_path(directory, volume.plan))


def node_publish(volume: VolumeBook, spot: Spot, directory: str, target: str) -> csi.NodePublishVolumeRequest:
    """NodePublishVolume."""
    return csi.NodePublishVolumeRequest(
        volume_id=volume.id,
        publish_context=spot.context,
        staging_target_path=staging_path(directory, volume.plan),
        target_path=target,
        volume_capability=volume.plan.capability(),
        volume_context=volume.context,
    )


def node_unpublish(volume: VolumeBook, target: str) -> csi.NodeUnpublishVolumeRequest:
    """NodeUnpublishVolume."""
    return csi.NodeUnpublishVolumeRequest(volume_id=volume.id, target_path=target)


def expand(volume: VolumeBook, size_bytes: int) -> csi.ControllerExpandVolumeRequest:
    """ControllerExpandVolume."""
    return csi.ControllerExpandVolumeRequest(
        volume_id=volume.id,
        capacity_range=csi.CapacityRange(required_bytes=size_bytes),
        volume_capability=volume.plan.capability(),
    )


def node_expand(volume: VolumeBook, directory: str, target: str) -> csi.NodeExpandVolumeRequest:
    """NodeExpandVolume, to whatever size the device has."""
    return csi.NodeExpandVolumeRequest(
        volume_id=volume.id,
        volume_path=target,
        staging_target_path=staging_path(directory, volume.plan),
        volume_capability=volume.plan.capability(),
    )


def stats(volume: VolumeBook, directory: str, target: str) -> csi.NodeGetVolumeStatsRequest:
    """NodeGetVolumeStats."""
    return csi.NodeGetVolumeStatsRequest(
        volume_id=volume.id, volume_path=target, staging_target_path=staging_path(directory, volume.plan)
    )


def modify(volume: VolumeBook, compression: str) -> csi.ControllerModifyVolumeRequest:
    """ControllerModifyVolume."""
    return csi.ControllerModifyVolumeRequest(volume_id=volume.id, mutable_parameters={"compression": compression})


def validate(volume: VolumeBook) -> csi.ValidateVolumeCapabilitiesRequest:
    """ValidateVolumeCapabilities."""
    return csi.ValidateVolumeCapabilitiesRequest(
        volume_id=volume.id, volume_context=volume.context, volume_capabilities=[volume.plan.capability()]
    )


def snapshot(book: SnapshotBook, source: VolumeBook) -> csi.CreateSnapshotRequest:
    """CreateSnapshot; of another volume than the book's it is another request under the same name."""
    return csi.CreateSnapshotRequest(name=book.name, source_volume_id=source.id)


def delete_snapshot(book: SnapshotBook) -> csi.DeleteSnapshotRequest:
    """DeleteSnapshot."""
    return csi.DeleteSnapshotRequest(snapshot_id=book.id)


def look(rng: Any, volume: VolumeBook, book: SnapshotBook | None) -> Any:
    """Some request that changes nothing: it reads, or means a snapshot that no driver of this kind has made."""
    found: list[Any] = [
        csi.ListVolumesRequest(max_entries=rng.choice((0, 1, 1, 2))),
        csi.ListSnapshotsRequest(max_entries=rng.choice((0, 1, 1))),
        csi.GetCapacityRequest(),
        rng.choice((csi.ListVolumesRequest, csi.ListSnapshotsRequest))(starting_token="of nobody"),  # noqa: S106
    ]
    if volume.id:
        found += [csi.ControllerGetVolumeRequest(volume_id=volume.id), validate(volume)]
        found.append(csi.ListSnapshotsRequest(source_volume_id=volume.id))
    if book is not None and book.id:
        found.append(csi.GetSnapshotRequest(snapshot_id=book.id))
    nobodys = rng.choice(FOREIGN_IDS)
    found += [csi.DeleteSnapshotRequest(snapshot_id=nobodys), csi.GetSnapshotRequest(snapshot_id=nobodys)]
    return rng.choice(found)


def next_page(request: Any, token: str) -> Any:
    """What asks for the page after the one that a request has asked for."""
    following = type(request)()
    following.CopyFrom(request)
    following.starting_token = token
    return following


SIZES_BYTES = tuple(count * GIB for count in range(1, 7))
FOREIGN_IDS = ("snap-1", "@", "pvc-1@", "@snap-1", "pvc-1@snap-1@snap-2", "tank/csi/pvc-1@snap-1", "../pvc-1")
