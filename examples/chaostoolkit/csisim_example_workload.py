"""A workload as an action: the life of one volume, with the retries that a CO makes. Needs CSI_ENDPOINT.

In your own experiments this is your cluster, or whatever else uses the driver.
"""

import os
import time
from collections.abc import Callable
from typing import Any

import grpc

from csisim.pb import csi_pb2 as csi
from csisim.pb import csi_pb2_grpc

_PASSING = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.ABORTED, grpc.StatusCode.DEADLINE_EXCEEDED}
_BUSY = {grpc.StatusCode.INTERNAL, grpc.StatusCode.FAILED_PRECONDITION}
_ATTEMPTS = 20


def volume_life(name: str, node_id: str = "node-1", protocol: str = "nfs") -> list[str]:
    """Create, publish, stage, use, and undo all of it; gives the codes of the calls that had to be repeated."""
    refused: list[str] = []

    def call(method: Callable[..., Any], request: Any) -> Any:
        for attempt in range(_ATTEMPTS):
            try:
                return method(request, timeout=10)
            except grpc.RpcError as error:
                if error.code() not in _PASSING | _BUSY or attempt == _ATTEMPTS - 1:
                    raise
                refused.append(error.code().name)
                time.sleep(0.05 * 2 ** min(attempt, 4))  # noqa: TID251 - the toolkit's activities are not asynchronous
        raise AssertionError("the last attempt returns or raises")

    with grpc.insecure_channel(os.environ["CSI_ENDPOINT"]) as channel:
        controller, node = csi_pb2_grpc.ControllerStub(channel), csi_pb2_grpc.NodeStub(channel)
        writer = csi.VolumeCapability(
            mount=csi.VolumeCapability.MountVolume(),
            access_mode=csi.VolumeCapability.AccessMode(mode="SINGLE_NODE_WRITER"),
        )
        staging, target = f"/var/lib/kubelet/staging/{name}", f"/var/lib/kubelet/pods/{name}/mount"
        create = csi.CreateVolumeRequest(name=name, volume_capabilities=[writer], parameters={"protocol": protocol})
        volume = call(controller.CreateVolume, create).volume
        about = {"volume_id": volume.volume_id, "volume_capability": writer, "volume_context": volume.volume_context}
        published = call(
            controller.ControllerPublishVolume, csi.ControllerPublishVolumeRequest(node_id=node_id, **about)
        ).publish_context
        paths = {"staging_target_path": staging, "publish_context": published}
        call(node.NodeStageVolume, csi.NodeStageVolumeRequest(**about, **paths))
        call(node.NodePublishVolume, csi.NodePublishVolumeRequest(target_path=target, **about, **paths))
        named = {"volume_id": volume.volume_id}
        call(node.NodeUnpublishVolume, csi.NodeUnpublishVolumeRequest(target_path=target, **named))
        call(node.NodeUnstageVolume, csi.NodeUnstageVolumeRequest(staging_target_path=staging, **named))
        call(controller.ControllerUnpublishVolume, csi.ControllerUnpublishVolumeRequest(node_id=node_id, **named))
        call(controller.DeleteVolume, csi.DeleteVolumeRequest(**named))
    return refused
