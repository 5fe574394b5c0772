"""Cancelled and expired calls: cut off at every single call to the NAS, before it and before its answer."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import grpc
import pytest

from csisim.pb import csi_pb2 as csi
from tests.support.nas import Relay
from tests.support.orchestrator import (
    GIB,
    capability,
    create_request,
    expand_request,
    from_snapshot,
    from_volume,
    node_requests,
)
from tests.support.processes import NODE_ID
from tests.support.site import Site

MOST_POINTS = 40
# On a busy machine the transport may hand a cancellation over late, once in a thousand; not at one point each time.
ATTEMPTS = 3
PROTOCOLS = ("nfs", "iscsi", "nvmeof")

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class Subject:
    """What one operation is tried on; made anew for each point at which it is cut off."""

    site: Site
    protocol: str
    name: str
    volume: Any = None
    snapshot_id: str = ""
    publish_context: Any = None

    async def prepare(self, *, snapshot: bool = False, attached: bool = False) -> None:
        """Make what is missing; the volume is there already where the points of an operation share one."""
        co = self.site.co
        if self.volume is None:
            self.volume = (await co(create_request(f"{self.name}-base", self.protocol))).volume
        if snapshot and not self.snapshot_id:
            made = await co(csi.CreateSnapshotRequest(name=f"{self.name}-cut", source_volume_id=self.volume.volume_id))
            self.snapshot_id = made.snapshot.snapshot_id
        if attached:
            self.publish_context = (await co(self.attach())).publish_context

    def attach(self) -> Any:
        return csi.ControllerPublishVolumeRequest(
            volume_id=self.volume.volume_id, node_id=NODE_ID, volume_capability=capability(self.protocol)
        )

    def detach(self) -> Any:
        return csi.ControllerUnpublishVolumeRequest(volume_id=self.volume.volume_id, node_id=NODE_ID)

    def create(self, source: Any = None) -> Any:
        return create_request(f"{self.name}-new", self.protocol, source=source)

    def stage(self) -> Any:
        return node_requests(self.volume, self.protocol, self.publish_context, *self.site.paths(self.name))[0]


# These leave their volume as it was, or can be taken back.
SHARING = {"restore", "clone", "snapshot", "delete-snapshot", "group", "attach", "detach", "stage"}

OPERATIONS: dict[str, Callable[[Subject], Any]] = {
    "create": lambda on: on.create(),
    "restore": lambda on: on.create(from_snapshot(on.snapshot_id)),
    "clone": lambda on: on.create(from_volume(on.volume.volume_id)),
    "snapshot": lambda on: csi.CreateSnapshotRequest(name=f"{on.name}-2", source_volume_id=on.volume.volume_id),
    "delete": lambda on: csi.DeleteVolumeRequest(volume_id=on.volume.volume_id),
    "delete-snapshot": lambda on: csi.DeleteSnapshotRequest(snapshot_id=on.snapshot_id),
    "group": lambda on: csi.CreateVolumeGroupSnapshotRequest(
        name=f"{on.name}-group", source_volume_ids=[on.volume.volume_id]
    ),
    "expand": lambda on: expand_request(on.volume.volume_id, 2 * GIB),
    "modify": lambda on: csi.ControllerModifyVolumeRequest(
        volume_id=on.volume.volume_id, mutable_parameters={"compression": "zstd", "comments": "x"}
    ),
    "attach": lambda on: on.attach(),
    "detach": lambda on: on.detach(),
    "stage": lambda on: on.stage(),
}


async def _settled(site: Site) -> None:
    """The driver has seen the cancellation: what the client sends later on the same connection arrives later."""
    for _ in range(4):
        await site.client(csi.GetPluginInfoRequest())


async def _cut_off(site: Site, relay: Relay, request: Any, point: int, *, applied: bool) -> list[str] | None:
    """Cancel when call `point` is about to be sent on, or about to be answered; None where there is no such call.

    The call stays held until the driver knows; what it asks of the NAS from then on was started after the end, and is
    what this answers.
    """
    reached, release = asyncio.Event(), asyncio.Event()

    async def hold(ordinal: int, _method: str) -> None:
        if ordinal == point:
            reached.set()
            await release.wait()

    relay.reset()
    setattr(relay, "on_reply" if applied else "on_request", hold)
    running = site.client.begin(request)
    ended = asyncio.ensure_future(running.code())
    waiting = asyncio.ensure_future(reached.wait())
    await asyncio.wait([ended, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if not reached.is_set():
        assert await ended is grpc.StatusCode.OK, await running.details()
        return None
    running.cancel()
    assert await ended is grpc.StatusCode.CANCELLED
    await _settled(site)
    started = len(relay.calls)
    release.set()
    await _settled(site)
    return relay.calls[started:]


# Each protocol in one way at least; `make sweep` cuts all of them in all ways.
@pytest.mark.parametrize(
    ("applied", "protocols"),
    [(False, PROTOCOLS[:2]), (True, PROTOCOLS[::2])],
    ids=["before-the-call", "before-the-answer"],
)
async def test_cut_off_anywhere_a_repeat_finishes(relayed: Site, applied: bool, protocols: tuple[str, ...]) -> None:
    for protocol in protocols:
        for operation in OPERATIONS:
            points = await _cut_at_every_point(relayed, protocol, operation, applied=applied)
            # Staging may be known from the node's own records alone; everything else has to ask.
            assert points or operation == "stage", f"{operation} never asked the NAS"
    await relayed.nothing_left()


async def _cut_at_every_point(site: Site, protocol: str, operation: str, *, applied: bool) -> int:
    """One subject per point, until the operation gets through; answers how many points there were."""
    shared = Subject(site, protocol, operation)
    if operation in SHARING:
        await shared.prepare(snapshot=operation == "restore")
    groups: list[Any] = []
    for point in range(MOST_POINTS):
        for attempt in range(ATTEMPTS):
            subject = replace(shared, name=f"{operation}-{point}-{attempt}")
            request, started = await _cut_and_repeat(subject, operation, point, applied=applied)
            await _off_node(subject, request)
            if isinstance(request, csi.CreateVolumeGroupSnapshotRequest):
                groups.append(request)
            if not started:
                break
        else:
            pytest.fail(f"{operation} cut at call {point} goes on after the RPC has ended: {started}")
        if started is None:
            break
    else:
        pytest.fail(f"{operation} makes more than {MOST_POINTS} calls")
    await asyncio.gather(*(_delete_group(site, request) for request in groups))
    await site.nothing_left()
    return point


async def _cut_and_repeat(
    subject: Subject, operation: str, point: int, *, applied: bool
) -> tuple[Any, list[str] | None]:
    """Answers the request, and what `_cut_off` does."""
    site = subject.site
    assert site.relay is not None
    if operation != "create":
        await subject.prepare(snapshot=operation == "delete-snapshot", attached=operation in {"detach", "stage"})
    request = OPERATIONS[operation](subject)
    started = await _cut_off(site, site.relay, request, point, applied=applied)
    site.relay.reset()
    first = await site.co(request)
    assert await site.co(request) == first
    return request, started


async def _delete_group(site: Site, request: Any) -> None:
    """As a whole, because its members cannot be deleted one by one."""
    group = (await site.co(request)).group_snapshot
    members = [snapshot.snapshot_id for snapshot in group.snapshots]
    await site.co(csi.DeleteVolumeGroupSnapshotRequest(group_snapshot_id=group.group_snapshot_id, snapshot_ids=members))


async def _off_node(subject: Subject, request: Any) -> None:
    if isinstance(request, csi.ControllerPublishVolumeRequest | csi.NodeStageVolumeRequest):
        await subject.site.co.off_node(subject.volume.volume_id, *subject.site.paths(subject.name))


async def test_expired_calls_leave_nothing_that_a_repeat_cannot_finish(relayed: Site) -> None:
    """Deadlines of a few milliseconds against a NAS that takes some per call, on everything at the same time."""
    assert relayed.relay is not None

    async def slow(_ordinal: int, _method: str) -> None:
        await asyncio.sleep(0.005)

    subjects = [Subject(relayed, PROTOCOLS[number % 3], f"expire-{number}") for number in range(9)]
    await asyncio.gather(*(subject.prepare(attached=True) for subject in subjects))
    relayed.relay.on_reply = slow
    requests = [build(subject) for subject in subjects for name, build in OPERATIONS.items() if name in _EXPIRING]
    for milliseconds in (1, 3, 6, 10, 15, 25, 40):
        codes = await asyncio.gather(*(relayed.client.code(request, milliseconds / 1000) for request in requests))
        assert set(codes) <= _BEARABLE, codes
    relayed.relay.reset()
    await asyncio.gather(*(relayed.co(request) for request in requests))
    for subject in subjects:
        await relayed.co.off_node(subject.volume.volume_id, *relayed.paths(subject.name))
    await relayed.nothing_left()


_EXPIRING = {"create", "snapshot", "expand", "modify", "stage"}
_BEARABLE = {
    grpc.StatusCode.OK,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.CANCELLED,
}


async def test_cancelled_at_any_moment_on_the_node_a_repeat_finishes(relayed: Site) -> None:
    """Stage, publish, unpublish and unstage of many volumes at once, each cancelled several times on the way."""
    rng = random.Random(7)

    async def insist(request: Any) -> None:
        for _ in range(3):
            running = relayed.client.begin(request)
            ended = asyncio.ensure_future(running.code())
            await asyncio.wait([ended], timeout=rng.uniform(0.0, 0.008))
            running.cancel()
            assert await ended in _BEARABLE
        await relayed.co(request)

    async def there_and_back(number: int) -> None:
        subject = Subject(relayed, PROTOCOLS[number % 3], f"node-{number}")
        await subject.prepare(attached=True)
        staging, target = relayed.paths(subject.name)
        up = node_requests(subject.volume, subject.protocol, subject.publish_context, staging, target)
        volume_id = subject.volume.volume_id
        down = [
            csi.NodeUnpublishVolumeRequest(volume_id=volume_id, target_path=target),
            csi.NodeUnstageVolumeRequest(volume_id=volume_id, staging_target_path=staging),
        ]
        for request in (*up, *down):
            await insist(request)
        await relayed.co.off_node(volume_id, staging, target)

    await asyncio.gather(*(there_and_back(number) for number in range(18)))
    await relayed.nothing_left()


async def test_the_deadline_bounds_a_call_whose_answer_is_late(relayed: Site) -> None:
    """Until the answer is there nobody knows what it did: a repeat may not go ahead, and afterwards it must."""
    assert relayed.relay is not None
    come = asyncio.Event()

    async def late(_ordinal: int, _method: str) -> None:
        await come.wait()

    relayed.relay.on_reply = late
    request = create_request("unanswered")
    codes = [await relayed.client.code(request, 0.5) for _ in range(2)]
    assert set(codes) <= _BEARABLE - {grpc.StatusCode.OK}
    come.set()
    relayed.relay.reset()
    await relayed.co(request)
    await relayed.nothing_left()
