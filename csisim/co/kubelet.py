"""Kubelet on one node: its directories, its calls, and what it checks of the answers."""

import contextlib
import os
from pathlib import Path

from csisim.co.callers import KUBELET, Caller
from csisim.co.plans import VolumePlan
from csisim.pb import csi_pb2 as csi


class CheckFailed(Exception):
    """The driver answered OK, and what it answered or did is wrong."""


class Kubelet:
    """One node's kubelet.

    Args:
        node_id: as NodeGetInfo must tell.
        caller: of this node's socket.
        directory: stands for /var/lib/kubelet.
    """

    def __init__(self, node_id: str, caller: Caller, directory: Path) -> None:
        self.node_id = node_id
        self.directory = directory
        self._caller = caller

    def staging_path(self, plan: VolumePlan) -> Path:
        """The global mount of a volume."""
        return self.directory / "plugins" / plan.name / "globalmount"

    def target_path(self, plan: VolumePlan) -> Path:
        """Where the pod finds the volume."""
        return self.directory / "pods" / f"pod-{plan.name}" / "volumes" / plan.name

    async def register(self) -> None:
        """Ask the plugin who it is and where it runs, as the registrar does."""
        info = await self._caller.call(KUBELET, self._caller.node.NodeGetInfo, csi.NodeGetInfoRequest(), self.node_id)
        if info.node_id != self.node_id:
            raise CheckFailed(f"NodeGetInfo says {info.node_id!r} on the socket of {self.node_id!r}")
        await self._caller.call(
            KUBELET, self._caller.node.NodeGetCapabilities, csi.NodeGetCapabilitiesRequest(), self.node_id
        )

    async def mount(self, plan: VolumePlan, volume: csi.Volume, publish_context: dict[str, str]) -> None:
        """Stage and publish, and look whether the pod would find it."""
        staging, target = self.staging_path(plan), self.target_path(plan)
        staging.mkdir(parents=True, exist_ok=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        stage = csi.NodeStageVolumeRequest(
            volume_id=volume.volume_id,
            publish_context=publish_context,
            staging_target_path=str(staging),
            volume_capability=plan.capability(),
            volume_context=volume.volume_context,
        )
        await self._caller.call(KUBELET, self._caller.node.NodeStageVolume, stage, plan.name)
        publish = csi.NodePublishVolumeRequest(
            volume_id=volume.volume_id,
            publish_context=publish_context,
            staging_target_path=str(staging),
            target_path=str(target),
            volume_capability=plan.capability(),
            volume_context=volume.volume_context,
        )
        await self._caller.call(KUBELET, self._caller.node.NodePublishVolume, publish, plan.name)
        if target.is_dir() == plan.block:
            raise CheckFailed(f"{plan.name}: {target} is not the {'file' if plan.block else 'directory'} of its type")

    async def check_size(self, plan: VolumePlan, volume_id: str, size_bytes: int) -> None:
        """Whether the statistics show this size."""
        request = csi.NodeGetVolumeStatsRequest(
            volume_id=volume_id,
            volume_path=str(self.target_path(plan)),
            staging_target_path=str(self.staging_path(plan)),
        )
        stats = await self._caller.call(KUBELET, self._caller.node.NodeGetVolumeStats, request, plan.name)
        totals = [usage.total for usage in stats.usage if usage.unit == csi.VolumeUsage.BYTES]
        if totals != [size_bytes]:
            raise CheckFailed(f"{plan.name}: NodeGetVolumeStats says {totals} bytes instead of {size_bytes}")

    async def grow(self, plan: VolumePlan, volume_id: str, size_bytes: int) -> None:
        """Let the node see that the volume has grown."""
        request = csi.NodeExpandVolumeRequest(
            volume_id=volume_id,
            volume_path=str(self.target_path(plan)),
            staging_target_path=str(self.staging_path(plan)),
            capacity_range=csi.CapacityRange(required_bytes=size_bytes),
            volume_capability=plan.capability(),
        )
        await self._caller.call(KUBELET, self._caller.node.NodeExpandVolume, request, plan.name)

    async def unmount(self, plan: VolumePlan, volume_id: str) -> None:
        """Unpublish and unstage, and take away kubelet's own directories."""
        staging, target = self.staging_path(plan), self.target_path(plan)
        unpublish = csi.NodeUnpublishVolumeRequest(volume_id=volume_id, target_path=str(target))
        await self._caller.call(KUBELET, self._caller.node.NodeUnpublishVolume, unpublish, plan.name)
        if _is_there(target):
            raise CheckFailed(f"{plan.name}: {target} is still there after NodeUnpublishVolume")
        unstage = csi.NodeUnstageVolumeRequest(volume_id=volume_id, staging_target_path=str(staging))
        await self._caller.call(KUBELET, self._caller.node.NodeUnstageVolume, unstage, plan.name)
        for path in (staging, staging.parent, target.parent, target.parent.parent):
            # A directory with something left in it stays, and is found in the end.
            with contextlib.suppress(OSError):
                path.rmdir()

    async def close(self) -> None:
        """Hang up."""
        await self._caller.close()

    def leftovers(self) -> list[str]:
        """Everything below the directory but the two that every kubelet has, sorted."""
        own = {self.directory / "plugins", self.directory / "pods"}
        return sorted(str(path.relative_to(self.directory)) for path in self.directory.rglob("*") if path not in own)


def _is_there(path: Path) -> bool:
    return os.path.lexists(path)
