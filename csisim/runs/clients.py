"""Clients that make random calls on few volumes, at the same time and on purpose on the same ones.

They keep to what the specification asks of an orchestrator (no detaching under a staged volume, no use of a volume
while it is being taken away), and to nothing beyond that: repeats, other parameters, calls in no useful order, hanging
up, time-outs that are too short. What may be believed is shared, as an API server shares it (`csisim.runs.beliefs`).
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Final, TypeVar

from google.protobuf.message import Message
from grpc import StatusCode

from csisim.co.callers import Caller, CallFailed, Role
from csisim.co.plans import GIB, VolumePlan
from csisim.runs import data, requests
from csisim.runs.beliefs import Belief, HungUp, Ledger, SnapshotBook, Spot, VolumeBook
from csisim.runs.handles import TestNode
from csisim.runs.plan import RunPlan
from csisim.runs.testbed import Testbed
from csisim.sim.streams import Streams

Reply = TypeVar("Reply", bound=Message)
Act = tuple[int, Callable[[], Awaitable[None]]]
"""Something a client may do now, and how gladly."""

_HASTY: Final = 0.1
_LEAVING: Final = 0.05
_AT_HOME: Final = 0.6
_RIVAL: Final = 0.2
_COMPRESSIONS: Final = ("lz4", "off", "zstd")


class Desk:
    """What the clients of a run share.

    Args:
        testbed: that they call.
        plan: how many volumes, and of which protocols.

    Attributes:
        plan: as given.
        ledger: what they believe.
        pace: how they wait.
    """

    def __init__(self, testbed: Testbed, plan: RunPlan) -> None:
        self.testbed = testbed
        self.plan = plan
        self.history = testbed.history
        self.pace = testbed.pace if plan.think_s is None else replace(testbed.pace, think_s=plan.think_s)
        self.nodes = tuple(testbed.nodes.values())
        self.callers: dict[str, Caller] = {node.node_id: testbed.caller("", node.node_id) for node in self.nodes}
        self.controller = self.callers[self.nodes[0].node_id]
        self.ledger = _ledger(testbed.streams.stream("volumes"), plan, [node.node_id for node in self.nodes])
        testbed.cluster.on_reboot.append(self.ledger.reboot)

    async def close(self) -> None:
        """Hang up."""
        for caller in self.callers.values():
            await caller.close()

    def source_id(self, volume: VolumeBook) -> str | None:
        """The id of what a volume starts from; "" where it starts empty, None where that is not known yet."""
        plan = volume.plan
        if plan.source_snapshot:
            return self.ledger.snapshots[plan.source_snapshot].id or None
        return (self.ledger.volumes[plan.source_volume].id or None) if plan.source_volume else ""


def _ledger(rng: random.Random, plan: RunPlan, node_ids: list[str]) -> Ledger:
    ledger = Ledger()
    for number in range(1, plan.volumes + 1):
        name, first = f"pvc-{number}", next(iter(ledger.volumes.values()), None)
        source = rng.choices(("", "snapshot", "volume"), (5, 3, 2))[0] if first is not None else ""
        if first is not None and source:
            of = first.plan
            made = VolumePlan(
                name, of.protocol, of.nodes, fs_type=of.fs_type, block=of.block,
                source_snapshot="snap-1" if source == "snapshot" else "",
                source_volume=of.name if source == "volume" else "",
            )  # fmt: skip
        else:
            protocol = rng.choice(plan.protocols)
            block = protocol != "nfs" and rng.random() < 0.4
            shared = (block or protocol == "nfs") and rng.random() < 0.5
            fs_type = "" if block or protocol == "nfs" else "ext4"
            made = VolumePlan(name, protocol, tuple(node_ids) if shared else (node_ids[0],), fs_type, block=block)
        book = ledger.volumes[name] = VolumeBook(made)
        book.spots = {node_id: Spot() for node_id in node_ids}
        if number <= 2:
            ledger.snapshots[f"snap-{number}"] = SnapshotBook(f"snap-{number}", book)
    return ledger


class Client:
    """One of them.

    Args:
        number: from 1.
        desk: shared with the others.
    """

    def __init__(self, number: int, desk: Desk) -> None:
        self.name = f"client-{number}"
        self._desk = desk
        self._seed = desk.testbed.seed
        self._rng: random.Random  # of the operation that is being done
        self._roles = {
            each: Role(self.name, timeout_s, frozenset(), 1)
            for each, timeout_s in (("controller", desk.pace.controller_s), ("node", desk.pace.node_s))
        }
        self._written = 0
        self._number = number

    async def run(self, operations: int) -> None:
        """So many operations, one after the other, but for those that the plan leaves out.

        Each draws from a stream of its own: what one of them draws, or that it is not done, shifts no other.
        """
        for operation in range(1, operations + 1):
            rng = self._rng = Streams(f"{self._seed}/{self.name}").stream(f"{operation}")
            await asyncio.sleep(rng.uniform(*self._desk.pace.think_s))
            if not self._desk.plan.does(self._number, operation):
                continue
            volume = rng.choice(list(self._desk.ledger.volumes.values()))
            # Most have one node to be on: else there would be little but publishing.
            node = self._desk.nodes[0] if rng.random() < _AT_HOME else rng.choice(self._desk.nodes)
            acts = [*self._controller_acts(volume, node.node_id), *self._node_acts(volume, node)]
            weights, choices = zip(*acts, strict=True)
            (act,) = rng.choices(choices, weights)
            try:
                await act()
            except (CallFailed, HungUp):
                continue

    # What may be done now

    def _controller_acts(self, volume: VolumeBook, node_id: str) -> list[Act]:
        desk, spot = self._desk, volume.spots[node_id]
        acts: list[Act] = [(1, lambda: self._look(volume))]
        source_id = desk.source_id(volume)
        if source_id is not None:
            acts.append((8 if volume.alive.there is False else 1, lambda: self._create(volume, source_id)))
        if not volume.id:
            return acts
        idle = volume.alive.present and all(each.attached.absent for each in volume.spots.values())
        acts += [
            (4 if idle else 1, lambda: self._delete(volume)),
            (2, lambda: self._expand(volume)),
            (1, lambda: self._modify(volume)),
            (8 if spot.attached.there is False else 1, lambda: self._publish(volume, spot, node_id)),
        ]
        if spot.staged.absent and all(each.absent for each in spot.targets.values()):
            acts.append((3 if spot.attached.present else 1, lambda: self._unpublish(volume, spot, node_id)))
        for snapshot in desk.ledger.snapshots.values():
            if snapshot.source is volume:
                acts.append((1, lambda snapshot=snapshot: self._snapshot(snapshot)))  # type: ignore[misc]
                if snapshot.id:
                    acts.append((1, lambda snapshot=snapshot: self._delete_snapshot(snapshot)))  # type: ignore[misc]
        return acts

    def _node_acts(self, volume: VolumeBook, node: TestNode) -> list[Act]:
        spot = volume.spots[node.node_id]
        target = requests.target_path(node.directory, volume.plan, self._rng.choice((1, 1, 1, 2)))
        mounted = spot.targets.setdefault(target, Belief())
        acts: list[Act] = []
        if spot.attached.present:
            acts += [
                (12 if spot.staged.there is False else 1, lambda: self._stage(volume, spot, node)),
                (
                    12 if spot.staged.present and not mounted.there else 1,
                    lambda: self._node_publish(volume, spot, node, target),
                ),
            ]
        if not volume.id:
            return acts
        if spot.staged.there is not False:
            unused = all(each.absent for each in spot.targets.values())
            acts.append((4 if unused else 1, lambda: self._unstage(volume, spot, node)))
            acts.append((2, lambda: self._stats(volume, node, target)))
        if mounted.there is not False and not spot.users:
            acts.append((2, lambda: self._node_unpublish(volume, spot, node, target)))
        if mounted.present:
            acts += [
                (10, lambda: self._write(volume, spot, node, target)),
                (8, lambda: self._read(volume, spot, node, target)),
                (1, lambda: self._node_expand(volume, node, target)),
            ]
        return acts

    # Calls of the controller

    async def _create(self, volume: VolumeBook, source_id: str) -> None:
        size_bytes = 3 * GIB if self._rng.random() < 0.1 else 0
        request = requests.create(volume, source_id, size_bytes=size_bytes)
        if request not in volume.requests:
            volume.requests.append(request)
        reply = await volume.alive.through(
            True, lambda: self._call("controller", "CreateVolume", request, volume.plan.name), self._desk.pace.settle_s
        )
        volume.id, volume.context = reply.volume.volume_id, dict(reply.volume.volume_context)

    async def _delete(self, volume: VolumeBook) -> None:
        request = requests.delete(volume)
        await volume.alive.through(
            False, lambda: self._call("controller", "DeleteVolume", request, volume.id), self._desk.pace.settle_s
        )

    async def _publish(self, volume: VolumeBook, spot: Spot, node_id: str) -> None:
        request = requests.publish(volume, node_id)
        reply = await spot.attached.through(
            True,
            lambda: self._call("controller", "ControllerPublishVolume", request, volume.id),
            self._desk.pace.settle_s,
        )
        spot.context = dict(reply.publish_context)

    async def _unpublish(self, volume: VolumeBook, spot: Spot, node_id: str) -> None:
        request = requests.unpublish(volume, node_id)
        await spot.attached.through(
            False,
            lambda: self._call("controller", "ControllerUnpublishVolume", request, volume.id),
            self._desk.pace.settle_s,
        )

    async def _expand(self, volume: VolumeBook) -> None:
        request = requests.expand(volume, self._rng.choice(requests.SIZES_BYTES))
        await self._call("controller", "ControllerExpandVolume", request, volume.id)

    async def _modify(self, volume: VolumeBook) -> None:
        request = requests.modify(volume, self._rng.choice(_COMPRESSIONS))
        await self._call("controller", "ControllerModifyVolume", request, volume.id)

    async def _snapshot(self, book: SnapshotBook) -> None:
        sources = [book.source]
        if self._rng.random() < _RIVAL:  # two callers at a time want it, each of another volume
            sources += [each for each in self._desk.ledger.volumes.values() if each.id and each is not book.source][:1]
        ended = await asyncio.gather(*(self._cut(book, each) for each in sources), return_exceptions=True)
        for error in ended:
            if isinstance(error, BaseException):
                raise error

    async def _cut(self, book: SnapshotBook, source: VolumeBook) -> None:
        request = requests.snapshot(book, source)
        if request not in book.requests:
            book.requests.append(request)
        await book.cut(
            source.plan.name,
            lambda: self._call("controller", "CreateSnapshot", request, book.name),
            self._desk.pace.settle_s,
        )

    async def _delete_snapshot(self, book: SnapshotBook) -> None:
        request = requests.delete_snapshot(book)
        await book.delete(
            lambda: self._call("controller", "DeleteSnapshot", request, book.id), self._desk.pace.settle_s
        )

    async def _look(self, volume: VolumeBook) -> None:
        snapshot = next((each for each in self._desk.ledger.snapshots.values() if each.source is volume), None)
        request = requests.look(self._rng, volume, snapshot)
        method = type(request).__name__.removesuffix("Request")
        reply = await self._call("controller", method, request, volume.plan.name)
        while token := getattr(reply, "next_token", ""):
            request = requests.next_page(request, token)
            reply = await self._call("controller", method, request, volume.plan.name)

    # Calls of a node

    async def _stage(self, volume: VolumeBook, spot: Spot, node: TestNode) -> None:
        node.paths.make_dir(requests.staging_path(node.directory, volume.plan))
        request = requests.stage(volume, spot, node.directory)
        await spot.staged.through(
            True, lambda: self._on(node, "NodeStageVolume", request, volume.id), self._desk.pace.settle_s
        )

    async def _unstage(self, volume: VolumeBook, spot: Spot, node: TestNode) -> None:
        request = requests.unstage(volume, node.directory)
        await spot.staged.through(
            False, lambda: self._on(node, "NodeUnstageVolume", request, volume.id), self._desk.pace.settle_s
        )

    async def _node_publish(self, volume: VolumeBook, spot: Spot, node: TestNode, target: str) -> None:
        node.paths.make_dir(target.rpartition("/")[0])
        request = requests.node_publish(volume, spot, node.directory, target)
        await spot.targets[target].through(
            True, lambda: self._on(node, "NodePublishVolume", request, volume.id), self._desk.pace.settle_s
        )

    async def _node_unpublish(self, volume: VolumeBook, spot: Spot, node: TestNode, target: str) -> None:
        request = requests.node_unpublish(volume, target)
        await spot.targets[target].through(
            False, lambda: self._on(node, "NodeUnpublishVolume", request, volume.id), self._desk.pace.settle_s
        )

    async def _stats(self, volume: VolumeBook, node: TestNode, target: str) -> None:
        await self._on(node, "NodeGetVolumeStats", requests.stats(volume, node.directory, target), volume.id)

    async def _node_expand(self, volume: VolumeBook, node: TestNode, target: str) -> None:
        await self._on(node, "NodeExpandVolume", requests.node_expand(volume, node.directory, target), volume.id)

    # Data

    async def _write(self, volume: VolumeBook, spot: Spot, node: TestNode, target: str) -> None:
        self._written += 1
        content = f"{self.name} wrote {self._written}".encode()
        spot.users += 1
        try:
            await data.write(self._desk.history, self.name, node, volume.id, target, self._file, content)
        finally:
            spot.users -= 1

    async def _read(self, volume: VolumeBook, spot: Spot, node: TestNode, target: str) -> None:
        spot.users += 1
        try:
            await data.read(self._desk.history, self.name, node, volume.id, target, self._file)
        finally:
            spot.users -= 1

    @property
    def _file(self) -> str:
        """A name, and on raw devices a slot, of this client's own."""
        return f"file-{self._number}"

    # One call

    async def _on(self, node: TestNode, method: str, request: Message, about: str) -> Any:
        return await self._send("node", getattr(self._desk.callers[node.node_id].node, method), request, about, node)

    async def _call(self, role: str, method: str, request: Message, about: str) -> Any:
        return await self._send(role, getattr(self._desk.controller.controller, method), request, about, None)

    async def _send(
        self, role: str, method: Callable[..., Awaitable[Reply]], request: Message, about: str, node: TestNode | None
    ) -> Reply:
        pace = self._desk.pace
        caller = self._desk.controller if node is None else self._desk.callers[node.node_id]
        mood = self._rng.random()
        if mood < _HASTY:
            hasty = Role(self.name, self._short(*pace.hasty_s), frozenset[StatusCode](), 1)
            return await caller.once(hasty, method, request, about)
        if mood >= _HASTY + _LEAVING:
            return await caller.once(self._roles[role], method, request, about)
        try:
            async with asyncio.timeout(self._short(*pace.leave_s)):
                return await caller.once(self._roles[role], method, request, about)
        except TimeoutError:
            raise HungUp(f"{self.name} did not wait for {type(request).__name__}") from None

    def _short(self, shortest_s: float, longest_s: float) -> float:
        """Short times are as likely as long ones."""
        return shortest_s * float((longest_s / shortest_s) ** self._rng.random())
