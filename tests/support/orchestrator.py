"""A small container orchestrator: repeats what may still be running, as the sidecars do, and nothing else."""

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from csisim.pb import csi_pb2 as csi
from tests.support.processes import NODE_ID
from tests.support.rpc import PENDING, AsyncClient, method_of

GIB = 1 << 30
_FIRST_BACKOFF_S = 0.02
_LAST_BACKOFF_S = 0.5


def capability(protocol: str) -> csi.VolumeCapability:
    """Mount for nfs, block for the block protocols."""
    found = csi.VolumeCapability(
        access_mode=csi.VolumeCapability.AccessMode(mode=csi.VolumeCapability.AccessMode.SINGLE_NODE_WRITER)
    )
    (found.mount if protocol == "nfs" else found.block).SetInParent()
    return found


def create_request(
    name: str, protocol: str = "nfs", size_bytes: int = GIB, source: csi.VolumeContentSource | None = None
) -> csi.CreateVolumeRequest:
    return csi.CreateVolumeRequest(
        name=name,
        parameters={"protocol": protocol},
        volume_capabilities=[capability(protocol)],
        capacity_range=csi.CapacityRange(required_bytes=size_bytes),
        volume_content_source=source,
    )


def from_snapshot(snapshot_id: str) -> csi.VolumeContentSource:
    return csi.VolumeContentSource(snapshot=csi.VolumeContentSource.SnapshotSource(snapshot_id=snapshot_id))


def from_volume(volume_id: str) -> csi.VolumeContentSource:
    return csi.VolumeContentSource(volume=csi.VolumeContentSource.VolumeSource(volume_id=volume_id))


def expand_request(volume_id: str, size_bytes: int) -> csi.ControllerExpandVolumeRequest:
    return csi.ControllerExpandVolumeRequest(
        volume_id=volume_id, capacity_range=csi.CapacityRange(required_bytes=size_bytes)
    )


@dataclass
class Orchestrator:
    """Repeats a request until it has a final answer; an answer that is final and not OK is raised.

    Attributes:
        client: the socket it talks to.
        rng: decides the jitter of the pauses.
        within_s: an intent that has not converged by then has failed: a bound for hangs, not a measurement.
        attempt_s: deadline of each single call.
        acknowledged: called with (request, response) at each OK.
    """

    client: AsyncClient
    rng: random.Random = field(default_factory=lambda: random.Random(1))
    within_s: float = 60.0
    attempt_s: float = 10.0
    acknowledged: Callable[[Any, Any], None] = lambda _request, _response: None

    async def __call__(self, request: Any) -> Any:
        backoff_s = _FIRST_BACKOFF_S
        said: list[str] = []
        try:
            async with asyncio.timeout(self.within_s):
                while True:
                    try:
                        response = await self.client(request, self.attempt_s)
                    except grpc.aio.AioRpcError as error:
                        said.append(f"{error.code().name}: {error.details()}")
                        if error.code() not in PENDING:
                            raise
                    else:
                        self.acknowledged(request, response)
                        return response
                    await asyncio.sleep(backoff_s * self.rng.uniform(0.5, 1.0))
                    backoff_s = min(2 * backoff_s, _LAST_BACKOFF_S)
        except TimeoutError:
            raise AssertionError(f"{method_of(request).name} did not converge: {said[-5:]}\n{request}") from None

    async def to_node(self, volume: Any, protocol: str, staging: str, target: str) -> None:
        """Attach, stage and publish, every step until it is done."""
        attached = await self(
            csi.ControllerPublishVolumeRequest(
                volume_id=volume.volume_id,
                node_id=NODE_ID,
                volume_capability=capability(protocol),
                volume_context=volume.volume_context,
            )
        )
        for request in node_requests(volume, protocol, attached.publish_context, staging, target):
            await self(request)

    async def off_node(self, volume_id: str, staging: str, target: str) -> None:
        """All the way back; a volume that is already gone is fine on the node, as for csi-sanity."""
        for request in (
            csi.NodeUnpublishVolumeRequest(volume_id=volume_id, target_path=target),
            csi.NodeUnstageVolumeRequest(volume_id=volume_id, staging_target_path=staging),
            csi.ControllerUnpublishVolumeRequest(volume_id=volume_id, node_id=NODE_ID),
        ):
            await self(request)
        remove_directory(staging)

    async def delete_everything(self) -> None:
        """Snapshots first, then volumes, as listed: what depends on another is refused and tried again later."""
        for _ in range(20):
            snapshots = [entry.snapshot.snapshot_id for entry in (await self(csi.ListSnapshotsRequest())).entries]
            volumes = [entry.volume.volume_id for entry in (await self(csi.ListVolumesRequest())).entries]
            if not snapshots and not volumes:
                return
            requests = [csi.DeleteSnapshotRequest(snapshot_id=snapshot_id) for snapshot_id in snapshots]
            await asyncio.gather(*(self._delete(request) for request in requests))
            await asyncio.gather(*(self._delete(csi.DeleteVolumeRequest(volume_id=each)) for each in volumes))
        raise AssertionError(f"cannot be deleted: {snapshots} {volumes}")

    async def _delete(self, request: Any) -> None:
        try:
            await self(request)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.FAILED_PRECONDITION:
                raise


def remove_directory(path: str) -> None:
    """What the orchestrator made for staging: it must be empty, and the plugin may have removed it already."""
    with suppress(FileNotFoundError):
        Path(path).rmdir()


def node_requests(volume: Any, protocol: str, publish_context: Any, staging: str, target: str) -> list[Any]:
    """Stage and publish."""
    return [
        csi.NodeStageVolumeRequest(
            volume_id=volume.volume_id,
            publish_context=publish_context,
            staging_target_path=staging,
            volume_capability=capability(protocol),
            volume_context=volume.volume_context,
        ),
        csi.NodePublishVolumeRequest(
            volume_id=volume.volume_id,
            publish_context=publish_context,
            staging_target_path=staging,
            target_path=target,
            volume_capability=capability(protocol),
            volume_context=volume.volume_context,
        ),
    ]
