"""Kubelet's calls for volumes, one attempt each, and the directories and records that go with them."""

from typing import Any

from csisim.co import volume_requests as requests
from csisim.co.api import Api
from csisim.co.callers import KUBELET, Caller, CallFailed
from csisim.co.driver_info import DriverInfo, NodeRpc
from csisim.co.node_side import NodeDisk, VolumeData
from csisim.co.objects import PersistentVolume, PersistentVolumeClaim, Pod
from csisim.co.timings import Timings
from csisim.pb import csi_pb2 as csi


class NodeCalls:
    """What kubelet asks of the driver's node service.

    Args:
        api: for secrets.
        caller: of the node's socket.
        driver: what it can do there.
        disk: where directories and records are.
        timings: scale the time-outs.

    All methods raise CallFailed; `csisim.co.workqueue.Retry` if a secret is missing.
    """

    def __init__(self, api: Api, caller: Caller, driver: DriverInfo, disk: NodeDisk, timings: Timings) -> None:
        self._api = api
        self._caller = caller
        self._driver = driver
        self._disk = disk
        self._role = timings.role(KUBELET)

    def can(self, capability: int) -> bool:
        """Whether the driver has this capability on nodes."""
        return capability in self._driver.node

    def _capability(self, pv: PersistentVolume, pod: Pod | None = None) -> csi.VolumeCapability:
        group = pod.fs_group if pod is not None and self.can(NodeRpc.VOLUME_MOUNT_GROUP) else ""
        multi_writer = self.can(NodeRpc.SINGLE_NODE_MULTI_WRITER)
        return requests.of_volume(pv, multi_writer=multi_writer, mount_group=group)

    async def stage(self, pv: PersistentVolume, context: dict[str, str], pod: Pod) -> None:
        """NodeStageVolume; the record says so before."""
        path = self._disk.staging_path(pv)
        self._disk.data(pv).staging_path = path
        self._disk.side.paths.make_dir(path)
        request = csi.NodeStageVolumeRequest(
            volume_id=pv.volume_handle,
            publish_context=context,
            staging_target_path=path,
            volume_capability=self._capability(pv, pod),
            secrets=requests.secret(self._api, pv.secret_refs, "node-stage"),
            volume_context=pv.volume_attributes,
        )
        await self._once(self._caller.node.NodeStageVolume, request)

    async def publish(self, pv: PersistentVolume, context: dict[str, str], pod: Pod, *, read_only: bool) -> None:
        """NodePublishVolume; the record says so before."""
        data = self._disk.data(pv)
        path = data.targets[pod.uid] = self._disk.target_path(pv, pod.uid)
        self._disk.make_parent(path)
        request = csi.NodePublishVolumeRequest(
            volume_id=pv.volume_handle,
            publish_context=context,
            staging_target_path=data.staging_path,
            target_path=path,
            volume_capability=self._capability(pv, pod),
            readonly=read_only,
            secrets=requests.secret(self._api, pv.secret_refs, "node-publish"),
            volume_context=pv.volume_attributes,
        )
        await self._once(self._caller.node.NodePublishVolume, request)

    async def unpublish(self, data: VolumeData, pod_uid: str) -> None:
        """NodeUnpublishVolume; record and directories are gone afterwards."""
        path = data.targets[pod_uid]
        request = csi.NodeUnpublishVolumeRequest(volume_id=data.handle, target_path=path)
        await self._once(self._caller.node.NodeUnpublishVolume, request)
        self.forget_target(data, pod_uid)

    async def unstage(self, data: VolumeData) -> None:
        """NodeUnstageVolume; record and directories are gone afterwards."""
        request = csi.NodeUnstageVolumeRequest(volume_id=data.handle, staging_target_path=data.staging_path)
        await self._once(self._caller.node.NodeUnstageVolume, request)
        self.forget_staging(data)

    def forget_target(self, data: VolumeData, pod_uid: str) -> None:
        """Nothing of the volume is at the pod's path, as far as kubelet knows."""
        path = data.targets.pop(pod_uid)
        self._disk.clear(path)

    def forget_staging(self, data: VolumeData) -> None:
        """Nothing of the volume is staged, as far as kubelet knows."""
        self._disk.clear(data.staging_path)
        data.staging_path = ""

    async def expand(self, pv: PersistentVolume, data: VolumeData, path: str) -> int:
        """NodeExpandVolume; gives the size in bytes."""
        request = csi.NodeExpandVolumeRequest(
            volume_id=pv.volume_handle,
            volume_path=path,
            staging_target_path=data.staging_path,
            capacity_range=csi.CapacityRange(required_bytes=pv.capacity),
            volume_capability=self._capability(pv),
            secrets=requests.secret(self._api, pv.secret_refs, "node-expand"),
        )
        reply = await self._once(self._caller.node.NodeExpandVolume, request)
        return int(reply.capacity_bytes) or pv.capacity

    async def look(self, data: VolumeData, pod_uid: str) -> None:
        """NodeGetVolumeStats; kubelet takes note of the numbers, and of an error only that there are none."""
        request = csi.NodeGetVolumeStatsRequest(
            volume_id=data.handle, volume_path=data.targets[pod_uid], staging_target_path=data.staging_path
        )
        try:
            await self._once(self._caller.node.NodeGetVolumeStats, request)
        except CallFailed:
            return

    async def _once(self, method: Any, request: Any) -> Any:
        return await self._caller.once(self._role, method, request, request.volume_id)


def needs_expansion(claim: PersistentVolumeClaim) -> bool:
    """Whether kubelet is to grow the file system."""
    return claim.node_resize > claim.capacity
