"""The demo's story: twenty volumes through their whole life on two nodes, with trouble on the way.

Callers work at the same time, a bounded number of them, and never on the same volume at once. What they find wrong is
raised as `CheckFailed`; an answer that they do not repeat after as `GaveUp`.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from csisim.cli.demo_volumes import (
    BLOCK_SNAPSHOT,
    BLOCK_VOLUME,
    GROUP_SNAPSHOT,
    GROUP_VOLUMES,
    LATER_SNAPSHOT,
    SNAPSHOTS,
    copies,
    originals,
)
from csisim.co.callers import ATTACHER, PROVISIONER, RESIZER, SNAPSHOTTER, Caller, Calls, dial
from csisim.co.kubelet import CheckFailed, Kubelet
from csisim.co.plans import VolumePlan
from csisim.pb import csi_pb2 as csi

T = TypeVar("T")

CONCURRENCY = 8
_PAGE = 7


@dataclass(slots=True)
class Trouble:
    """What the workload may have done to it at fixed points of the story.

    Attributes:
        cut_link: cut the websocket in the middle of changes: create, update or delete.
        keep_busy: refuse to unmount (node id, path, volume name).
    """

    cut_link: Callable[[str], None]
    keep_busy: Callable[[str, str, str], None]


@dataclass(slots=True)
class Blocks:
    """The data path to raw volumes.

    Attributes:
        write: (volume id, offset, bytes).
        read: (volume id, offset, length).
    """

    write: Callable[[str, int, bytes], Awaitable[None]]
    read: Callable[[str, int, int], Awaitable[bytes]]


@dataclass(slots=True)
class Workload:
    """One run.

    Attributes:
        main: caller of the socket with the controller.
        kubelets: by node id, in order; the first two are used.
        trouble: faults.
        blocks: what raw volumes contain.
        rng: order of things, and content of blocks.
        progress: told what is going on: (phase, done, total).
        keep: names of volumes that are never deleted, to see that it is noticed.
        volumes: as created, by name.
    """

    main: Caller
    kubelets: dict[str, Kubelet]
    trouble: Trouble
    blocks: Blocks
    rng: random.Random
    progress: Callable[[str, int, int], None]
    keep: frozenset[str] = frozenset()
    volumes: dict[str, csi.Volume] = field(default_factory=dict)
    snapshots: dict[str, csi.Snapshot] = field(default_factory=dict)
    _group: csi.VolumeGroupSnapshot | None = None

    async def run(self) -> None:
        """The whole story."""
        first, second, *_ = self.kubelets
        plans = originals((first, second))
        later = copies((first, second))
        await self._greet()
        self.trouble.cut_link("create")
        await self._each("create volumes", plans, self._create)
        await self._each("attach and mount", plans, self._attach_and_mount)
        self.trouble.cut_link("update")
        await self._each("expand in use", plans, self._expand)
        written = await self._write_and_snapshot()
        await self._each("restore and clone", later, self._create)
        await self._check_copy(written)
        await self._each("attach and mount copies", later, self._attach_and_mount)
        await self._each("expand copies in use", later, self._expand)
        await self._check_list(len(plans) + len(later))
        busy = plans[0]
        self.trouble.keep_busy(busy.nodes[0], str(self.kubelets[busy.nodes[0]].target_path(busy)), busy.name)
        await self._each("unmount and detach", [*plans, *later], self._unmount_and_detach)
        await self._delete_group()
        self.trouble.cut_link("delete")
        # Copies first: nothing keeps a snapshot from being deleted then.
        await self._each("delete copies", later, self._delete)
        await self._each("delete snapshots", sorted(self.snapshots), self._delete_snapshot)
        await self._each("delete volumes", plans, self._delete)

    async def _greet(self) -> None:
        identity, controller = self.main.identity, self.main.controller
        await self.main.call(PROVISIONER, identity.GetPluginInfo, csi.GetPluginInfoRequest(), "driver")
        await self.main.call(PROVISIONER, identity.GetPluginCapabilities, csi.GetPluginCapabilitiesRequest(), "driver")
        await self.main.call(PROVISIONER, identity.Probe, csi.ProbeRequest(), "driver")
        capabilities = csi.ControllerGetCapabilitiesRequest()
        await self.main.call(PROVISIONER, controller.ControllerGetCapabilities, capabilities, "driver")
        await self.main.call(PROVISIONER, controller.GetCapacity, csi.GetCapacityRequest(), "driver")
        for kubelet in self.kubelets.values():
            await kubelet.register()

    async def _create(self, plan: VolumePlan) -> None:
        request = plan.create_request(plan.source_id(self.volumes, self.snapshots))
        reply = await self.main.call(PROVISIONER, self.main.controller.CreateVolume, request, plan.name)
        if reply.volume.capacity_bytes != plan.size_bytes:
            self._wrong(f"{plan.name}: created with {reply.volume.capacity_bytes} instead of {plan.size_bytes} bytes")
        self.volumes[plan.name] = reply.volume

    async def _attach_and_mount(self, plan: VolumePlan) -> None:
        volume = self.volumes[plan.name]
        for node_id in plan.nodes:
            request = plan.publish_request(volume, node_id)
            method = self.main.controller.ControllerPublishVolume
            reply = await self.main.call(ATTACHER, method, request, plan.name)
            await self.kubelets[node_id].mount(plan, volume, dict(reply.publish_context))
            await self.kubelets[node_id].check_size(plan, volume.volume_id, plan.size_bytes)

    async def _expand(self, plan: VolumePlan) -> None:
        volume_id = self.volumes[plan.name].volume_id
        request = csi.ControllerExpandVolumeRequest(
            volume_id=volume_id,
            capacity_range=csi.CapacityRange(required_bytes=plan.grown_bytes),
            volume_capability=plan.capability(),
        )
        method = self.main.controller.ControllerExpandVolume
        reply = await self.main.call(RESIZER, method, request, plan.name)
        for node_id in plan.nodes:
            if reply.node_expansion_required:
                await self.kubelets[node_id].grow(plan, volume_id, plan.grown_bytes)
            await self.kubelets[node_id].check_size(plan, volume_id, plan.grown_bytes)

    async def _write_and_snapshot(self) -> dict[int, bytes]:
        """Write, cut, write more, cut again; returns what the first snapshot holds, by offset."""
        volume_id = self.volumes[BLOCK_VOLUME].volume_id
        first = {offset << 20: self.rng.randbytes(16384) for offset in (0, 1, 64, 1024)}
        for offset, content in first.items():
            await self.blocks.write(volume_id, offset, content)
        await self._each("write and snapshot", SNAPSHOTS, self._snapshot)
        second = {offset << 20: self.rng.randbytes(16384) for offset in (1, 512)}
        for offset, content in second.items():
            await self.blocks.write(volume_id, offset, content)
        await self._snapshot((LATER_SNAPSHOT, BLOCK_VOLUME))
        await self._check_metadata(sorted(first), sorted(second))
        await self._each("snapshot a group", [GROUP_VOLUMES], self._snapshot_group)
        return first

    async def _snapshot(self, pair: tuple[str, str]) -> None:
        name, source = pair
        request = csi.CreateSnapshotRequest(name=name, source_volume_id=self.volumes[source].volume_id)
        reply = await self.main.call(SNAPSHOTTER, self.main.controller.CreateSnapshot, request, name)
        if not reply.snapshot.ready_to_use:
            self._wrong(f"{name}: not ready to use")
        self.snapshots[name] = reply.snapshot

    async def _snapshot_group(self, names: Sequence[str]) -> None:
        ids = [self.volumes[name].volume_id for name in names]
        request = csi.CreateVolumeGroupSnapshotRequest(name=GROUP_SNAPSHOT, source_volume_ids=ids)
        method = self.main.group_controller.CreateVolumeGroupSnapshot
        reply = await self.main.call(SNAPSHOTTER, method, request, GROUP_SNAPSHOT)
        self._group = reply.group_snapshot
        if sorted(each.source_volume_id for each in self._group.snapshots) != sorted(ids):
            self._wrong(f"{GROUP_SNAPSHOT}: has other members than its volumes")

    async def _delete_group(self) -> None:
        if self._group is None:
            return
        request = csi.DeleteVolumeGroupSnapshotRequest(
            group_snapshot_id=self._group.group_snapshot_id,
            snapshot_ids=[each.snapshot_id for each in self._group.snapshots],
        )
        method = self.main.group_controller.DeleteVolumeGroupSnapshot
        await self.main.call(SNAPSHOTTER, method, request, GROUP_SNAPSHOT)

    async def _check_metadata(self, written: list[int], rewritten: list[int]) -> None:
        """Whether the snapshots report the blocks that were written, and the difference between them."""
        base, target = self.snapshots[BLOCK_SNAPSHOT].snapshot_id, self.snapshots[LATER_SNAPSHOT].snapshot_id
        metadata = self.main.snapshot_metadata
        allocated = await self.main.stream(
            SNAPSHOTTER,
            metadata.GetMetadataAllocated,
            csi.GetMetadataAllocatedRequest(snapshot_id=base),
            BLOCK_SNAPSHOT,
        )
        found = [block.byte_offset for reply in allocated for block in reply.block_metadata]
        if not _covered(written, allocated):
            self._wrong(f"GetMetadataAllocated reports {found} where {written} were written")
        request = csi.GetMetadataDeltaRequest(base_snapshot_id=base, target_snapshot_id=target)
        delta = await self.main.stream(SNAPSHOTTER, metadata.GetMetadataDelta, request, LATER_SNAPSHOT)
        found = [block.byte_offset for reply in delta for block in reply.block_metadata]
        unchanged = [offset for offset in written if offset not in rewritten]
        if not _covered(rewritten, delta) or any(_covered([offset], delta) for offset in unchanged):
            self._wrong(f"GetMetadataDelta reports {found} where {rewritten} were rewritten")

    async def _check_copy(self, written: dict[int, bytes]) -> None:
        """Whether the restored volume reads what was written before the snapshot, and nothing of what came later."""
        volume_id = self.volumes["pvc-restored-block"].volume_id
        for offset, content in written.items():
            if await self.blocks.read(volume_id, offset, len(content)) != content:
                self._wrong(f"pvc-restored-block: other bytes at {offset} than before the snapshot")
        if any(await self.blocks.read(volume_id, 512 << 20, 16384)):
            self._wrong("pvc-restored-block: has bytes that were written after the snapshot")

    async def _check_list(self, wanted: int) -> None:
        """Whether ListVolumes, page by page, lists every volume once, with the nodes that it is published on."""
        found: list[str] = []
        token = ""
        while True:
            request = csi.ListVolumesRequest(max_entries=_PAGE, starting_token=token)
            reply = await self.main.call(ATTACHER, self.main.controller.ListVolumes, request, "all volumes")
            found += [entry.volume.volume_id for entry in reply.entries if entry.status.published_node_ids]
            token = reply.next_token
            if not token:
                break
        if sorted(found) != sorted(volume.volume_id for volume in self.volumes.values()) or len(found) != wanted:
            self._wrong(f"ListVolumes has {len(found)} published volumes instead of {wanted}")

    async def _unmount_and_detach(self, plan: VolumePlan) -> None:
        volume_id = self.volumes[plan.name].volume_id
        for node_id in plan.nodes:
            await self.kubelets[node_id].unmount(plan, volume_id)
            request = csi.ControllerUnpublishVolumeRequest(volume_id=volume_id, node_id=node_id)
            await self.main.call(ATTACHER, self.main.controller.ControllerUnpublishVolume, request, plan.name)

    async def _delete(self, plan: VolumePlan) -> None:
        if plan.name in self.keep:
            return
        request = csi.DeleteVolumeRequest(volume_id=self.volumes[plan.name].volume_id)
        await self.main.call(PROVISIONER, self.main.controller.DeleteVolume, request, plan.name)

    async def _delete_snapshot(self, name: str) -> None:
        request = csi.DeleteSnapshotRequest(snapshot_id=self.snapshots[name].snapshot_id)
        await self.main.call(SNAPSHOTTER, self.main.controller.DeleteSnapshot, request, name)

    async def _each(self, phase: str, items: Iterable[T], work: Callable[[T], Awaitable[None]]) -> None:
        """Do it for all items, in random order and several at a time; the first failure ends the phase."""
        order = list(items)
        self.rng.shuffle(order)
        slots = asyncio.Semaphore(CONCURRENCY)
        done = 0
        self.progress(phase, 0, len(order))

        async def one(item: T) -> None:
            nonlocal done
            async with slots:
                await work(item)
            done += 1
            self.progress(phase, done, len(order))

        async with asyncio.TaskGroup() as tasks:
            for item in order:
                tasks.create_task(one(item))

    def _wrong(self, finding: str) -> None:
        raise CheckFailed(finding)


def _covered(offsets: list[int], replies: Sequence[Any]) -> bool:
    """Whether each offset lies in one of the reported ranges."""
    ranges = [(block.byte_offset, block.size_bytes) for reply in replies for block in reply.block_metadata]
    return all(any(start <= offset < start + size for start, size in ranges) for offset in offsets)


def kubelets_on(directory: Path, targets: dict[str, str], calls: Calls, rng: random.Random) -> dict[str, Kubelet]:
    """One kubelet per node socket, each with a directory of its own."""
    found = {}
    for node_id, target in targets.items():
        home = directory / node_id
        for name in ("plugins", "pods"):
            (home / name).mkdir(parents=True)
        found[node_id] = Kubelet(node_id, Caller(dial(target), calls, rng), home)
    return found
