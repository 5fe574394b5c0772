"""The steps of a life cycle as Kubernetes takes them: repeated until they succeed, and each answer checked."""

from collections.abc import Awaitable, Callable, Collection
from typing import TypeVar

from google.protobuf.message import Message

from csisim.co.callers import ATTACHER, PROVISIONER, RESIZER, SNAPSHOTTER, GaveUp, Role
from csisim.co.kubelet import CheckFailed
from csisim.co.plans import VolumePlan
from csisim.pb import csi_pb2 as csi
from csisim.sweep.world import NODE, World

Reply = TypeVar("Reply", bound=Message)

# The controllers behind the sidecars begin anew after an answer that the sidecars take as final.
_BEGINNINGS = 3


class Steps:
    """What is done in one run of a story.

    Args:
        world: where.
        final_codes: right answers in this run, although callers take them as final.

    Attributes:
        volumes: as they were created, by name.
        snapshots: the same.
    """

    def __init__(self, world: World, final_codes: Collection[str] = ()) -> None:
        self._world = world
        self._final_codes = final_codes
        self._main = world.caller
        self.volumes: dict[str, csi.Volume] = {}
        self.snapshots: dict[str, csi.Snapshot] = {}

    async def create(self, plan: VolumePlan) -> None:
        """CreateVolume."""
        request = plan.create_request(plan.source_id(self.volumes, self.snapshots))
        reply = await self._call(PROVISIONER, self._main.controller.CreateVolume, request, plan.name)
        if reply.volume.capacity_bytes != plan.size_bytes:
            raise CheckFailed(f"{plan.name}: created with {reply.volume.capacity_bytes} bytes, not {plan.size_bytes}")
        self.volumes[plan.name] = reply.volume

    async def mount(self, plan: VolumePlan) -> None:
        """ControllerPublishVolume, NodeStageVolume, NodePublishVolume, NodeGetVolumeStats."""
        volume = self.volumes[plan.name]
        request = plan.publish_request(volume, NODE)
        reply = await self._call(ATTACHER, self._main.controller.ControllerPublishVolume, request, plan.name)
        kubelet, watch = self._world.kubelet, self._world.watch
        await kubelet.mount(plan, volume, dict(reply.publish_context))
        if not watch.at_or_below(NODE, str(kubelet.target_path(plan))):
            raise CheckFailed(f"{plan.name}: published, but not mounted at its target")
        await kubelet.check_size(plan, volume.volume_id, plan.size_bytes)

    async def expand(self, plan: VolumePlan) -> None:
        """ControllerExpandVolume, NodeExpandVolume, NodeGetVolumeStats."""
        volume_id = self.volumes[plan.name].volume_id
        request = csi.ControllerExpandVolumeRequest(
            volume_id=volume_id,
            capacity_range=csi.CapacityRange(required_bytes=plan.grown_bytes),
            volume_capability=plan.capability(),
        )
        reply = await self._call(RESIZER, self._main.controller.ControllerExpandVolume, request, plan.name)
        if reply.node_expansion_required:
            await self._world.kubelet.grow(plan, volume_id, plan.grown_bytes)
        await self._world.kubelet.check_size(plan, volume_id, plan.grown_bytes)

    async def unmount(self, plan: VolumePlan) -> None:
        """NodeUnpublishVolume, NodeUnstageVolume, ControllerUnpublishVolume."""
        volume_id = self.volumes[plan.name].volume_id
        kubelet, watch = self._world.kubelet, self._world.watch
        await kubelet.unmount(plan, volume_id)
        for path in (kubelet.target_path(plan), kubelet.staging_path(plan)):
            if watch.at_or_below(NODE, str(path)):
                raise CheckFailed(f"{plan.name}: unstaged, but still mounted at {path}")
        request = csi.ControllerUnpublishVolumeRequest(volume_id=volume_id, node_id=NODE)
        await self._call(ATTACHER, self._main.controller.ControllerUnpublishVolume, request, plan.name)

    async def delete(self, plan: VolumePlan) -> None:
        """DeleteVolume."""
        request = csi.DeleteVolumeRequest(volume_id=self.volumes[plan.name].volume_id)
        await self._call(PROVISIONER, self._main.controller.DeleteVolume, request, plan.name)

    async def snapshot(self, name: str, plan: VolumePlan) -> None:
        """CreateSnapshot."""
        request = csi.CreateSnapshotRequest(name=name, source_volume_id=self.volumes[plan.name].volume_id)
        reply = await self._call(SNAPSHOTTER, self._main.controller.CreateSnapshot, request, name)
        if not reply.snapshot.ready_to_use:
            raise CheckFailed(f"{name}: not ready to use")
        self.snapshots[name] = reply.snapshot

    async def delete_snapshot(self, name: str) -> None:
        """DeleteSnapshot."""
        request = csi.DeleteSnapshotRequest(snapshot_id=self.snapshots[name].snapshot_id)
        await self._call(SNAPSHOTTER, self._main.controller.DeleteSnapshot, request, name)

    async def snapshot_group(self, name: str, *plans: VolumePlan) -> csi.VolumeGroupSnapshot:
        """CreateVolumeGroupSnapshot; the members go by the names `NAME of VOLUME`."""
        ids = {self.volumes[plan.name].volume_id: plan.name for plan in plans}
        request = csi.CreateVolumeGroupSnapshotRequest(name=name, source_volume_ids=list(ids))
        method = self._main.group_controller.CreateVolumeGroupSnapshot
        group: csi.VolumeGroupSnapshot = (await self._call(SNAPSHOTTER, method, request, name)).group_snapshot
        if sorted(each.source_volume_id for each in group.snapshots) != sorted(ids):
            raise CheckFailed(f"{name}: has other members than its volumes")
        for each in group.snapshots:
            self.snapshots[f"{name} of {ids[each.source_volume_id]}"] = each
        return group

    async def delete_group(self, group: csi.VolumeGroupSnapshot) -> None:
        """DeleteVolumeGroupSnapshot."""
        request = csi.DeleteVolumeGroupSnapshotRequest(
            group_snapshot_id=group.group_snapshot_id, snapshot_ids=[each.snapshot_id for each in group.snapshots]
        )
        method = self._main.group_controller.DeleteVolumeGroupSnapshot
        await self._call(SNAPSHOTTER, method, request, group.group_snapshot_id)

    async def look(self, plan: VolumePlan, *, mounted: bool) -> None:
        """ListVolumes, ControllerGetVolume and GetCapacity: the one volume, and where it is published."""
        controller = self._main.controller
        listed = await self._call(ATTACHER, controller.ListVolumes, csi.ListVolumesRequest(), "all")
        found = {entry.volume.volume_id: list(entry.status.published_node_ids) for entry in listed.entries}
        wanted = {self.volumes[plan.name].volume_id: [NODE] if mounted else []}
        if found != wanted:
            raise CheckFailed(f"ListVolumes says {found} instead of {wanted}")
        request = csi.ControllerGetVolumeRequest(volume_id=self.volumes[plan.name].volume_id)
        await self._call(ATTACHER, controller.ControllerGetVolume, request, plan.name)
        await self._call(PROVISIONER, controller.GetCapacity, csi.GetCapacityRequest(), "pool")

    async def look_at_snapshots(self, *names: str) -> None:
        """ListSnapshots: these and no others."""
        reply = await self._call(
            SNAPSHOTTER, self._main.controller.ListSnapshots, csi.ListSnapshotsRequest(), "all snapshots"
        )
        found = sorted(entry.snapshot.snapshot_id for entry in reply.entries)
        if found != sorted(self.snapshots[name].snapshot_id for name in names):
            raise CheckFailed(f"ListSnapshots says {', '.join(found)} instead of {', '.join(names)}")

    async def look_at_blocks(self, name: str, offset: int) -> None:
        """GetMetadataAllocated: the snapshot has data at this offset."""
        request = csi.GetMetadataAllocatedRequest(snapshot_id=self.snapshots[name].snapshot_id)
        replies = await self._main.stream(SNAPSHOTTER, self._main.snapshot_metadata.GetMetadataAllocated, request, name)
        found = [(each.byte_offset, each.size_bytes) for reply in replies for each in reply.block_metadata]
        if not any(start <= offset < start + size for start, size in found):
            raise CheckFailed(f"{name}: GetMetadataAllocated says {found}, and {offset} was written")

    async def write(self, plan: VolumePlan, mark: int) -> None:
        """Leave a mark on a volume, as a workload does."""
        await self._world.content.write(plan, mark)

    async def check_content(self, plan: VolumePlan, *marks: int) -> None:
        """Whether the volume has these marks and no others."""
        found = await self._world.content.marks(plan)
        if found != list(marks):
            raise CheckFailed(f"lost data: {plan.name} has the marks {found} instead of {list(marks)}")

    async def _call(self, role: Role, method: Callable[..., Awaitable[Reply]], request: Message, subject: str) -> Reply:
        """Call as a sidecar does; after an answer that it takes as final its controller begins anew."""
        for _ in range(_BEGINNINGS):
            try:
                return await self._main.call(role, method, request, subject)
            except GaveUp as error:
                if error.attempt.code.name not in self._final_codes:
                    raise
                if isinstance(request, csi.CreateVolumeRequest):
                    await self._check_nothing_of(subject)
        return await self._main.call(role, method, request, subject)

    async def _check_nothing_of(self, name: str) -> None:
        """After a final error the provisioner believes that there is nothing, and may never ask again."""
        left = [what for what in await self._world.leftovers() if name in what]
        if left:
            raise CheckFailed(f"CreateVolume({name}) failed for good, and left {', '.join(left)}")
