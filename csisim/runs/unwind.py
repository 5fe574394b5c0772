"""Everything a workload has made is taken away again, as an orchestrator does it: by the codes, until it is done.

What may have been created without its caller having heard of it is created once more first: only so does anybody learn
its id. (external-provisioner and csi-snapshotter do the same.)
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from google.protobuf.message import Message
from grpc import StatusCode

from csisim.co.callers import CallFailed, Role
from csisim.pb import csi_pb2 as csi
from csisim.runs import requests
from csisim.runs.beliefs import UNDECIDED, Belief, SnapshotBook, Spot, VolumeBook
from csisim.runs.clients import Desk
from csisim.runs.handles import TestNode

Reply = TypeVar("Reply", bound=Message)

_NAME: Final = "unwinding"


class Unwinding:
    """Takes everything on a desk away.

    Args:
        desk: what there is.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._rng = desk.testbed.streams.stream(_NAME)
        self._controller = Role(_NAME, desk.pace.controller_s, frozenset(), 1)
        self._node = Role(_NAME, desk.pace.node_s, frozenset(), 1)

    async def run(self) -> None:
        """Ends when everything is gone."""
        volumes = [each for each in self._desk.ledger.volumes.values() if each.alive.begun[True]]
        snapshots = [each for each in self._desk.ledger.snapshots.values() if each.alive.begun[True]]
        await self._all(*(self._known(each) for each in volumes), *(self._snapshot_known(each) for each in snapshots))
        await self._all(
            *(self._volume_gone(each) for each in volumes), *(self._snapshot_gone(each) for each in snapshots)
        )
        await self._call(csi.ListVolumesRequest(), "all volumes")
        await self._call(csi.ListSnapshotsRequest(), "all snapshots")

    @staticmethod
    async def _all(*work: Any) -> None:
        async with asyncio.TaskGroup() as tasks:
            for each in work:
                tasks.create_task(each)

    # What may be there becomes what is there

    async def _known(self, volume: VolumeBook) -> None:
        """Create a volume that may be there once more, as it was asked for, until that is decided."""
        if volume.alive.there is not None:
            return
        for request in volume.requests:
            reply = await self._decided(volume.alive, request, volume.plan.name)
            if reply is not None:
                volume.id, volume.context = reply.volume.volume_id, dict(reply.volume.volume_context)
                return
        if not volume.id:  # else it may have grown out of every request, and is deleted by the id that was told
            volume.alive.there = False

    async def _snapshot_known(self, snapshot: SnapshotBook) -> None:
        if snapshot.alive.there is not None:
            return
        for request in snapshot.requests:
            reply = await self._decided(snapshot.alive, request, snapshot.name)
            if reply is not None:
                snapshot.id = reply.snapshot.snapshot_id
                return
        if not snapshot.id:
            snapshot.alive.there = False

    async def _decided(self, alive: Belief, request: Message, about: str) -> Any:
        """The answer, or None where it was refused for good."""
        backoff_s = self._desk.pace.backoff_s
        while True:
            try:
                return await alive.through(True, lambda: self._once(request, about), 0.0)
            except CallFailed as error:
                if error.code not in UNDECIDED and error.code is not StatusCode.RESOURCE_EXHAUSTED:
                    return None
            backoff_s = await self._pause(backoff_s)

    # Down

    async def _volume_gone(self, volume: VolumeBook) -> None:
        call = self._intent("volume", volume.plan.name)
        await self._all(*(self._off(volume, volume.spots[node.node_id], node) for node in self._desk.nodes))
        if volume.alive.there is not False:
            await self._call(requests.delete(volume), volume.id)
            volume.alive.there = False
        self._reached("volume", volume.plan.name, call)

    async def _snapshot_gone(self, snapshot: SnapshotBook) -> None:
        call = self._intent("snapshot", snapshot.name)
        if snapshot.alive.there is not False:
            await self._call(requests.delete_snapshot(snapshot), snapshot.id)
            snapshot.alive.there = False
        self._reached("snapshot", snapshot.name, call)

    async def _off(self, volume: VolumeBook, spot: Spot, node: TestNode) -> None:
        for target, mounted in spot.targets.items():
            if mounted.there is not False:
                await self._call(requests.node_unpublish(volume, target), volume.id, node)
                mounted.there = False
            self._tidy(node, target)
        if spot.staged.there is not False:
            await self._call(requests.unstage(volume, node.directory), volume.id, node)
            spot.staged.there = False
        self._tidy(node, requests.staging_path(node.directory, volume.plan))
        if spot.attached.there is not False:
            await self._call(requests.unpublish(volume, node.node_id), volume.id)
            spot.attached.there = False

    def _tidy(self, node: TestNode, path: str) -> None:
        """Remove kubelet's own directories above a path of the driver's; what is left in one keeps it, and is found."""
        while path != node.directory and path.rpartition("/")[0] != node.directory:
            try:
                node.paths.remove(path)
            except OSError:
                return
            path = path.rpartition("/")[0]

    # Calls

    async def _call(self, request: Message, about: str, node: TestNode | None = None) -> Any:
        """Repeat a call until it succeeds."""
        backoff_s = self._desk.pace.backoff_s
        while True:
            try:
                return await self._once(request, about, node)
            except CallFailed:
                backoff_s = await self._pause(backoff_s)

    async def _once(self, request: Message, about: str, node: TestNode | None = None) -> Any:
        caller = self._desk.controller if node is None else self._desk.callers[node.node_id]
        stub = caller.controller if node is None else caller.node
        name = type(request).__name__.removesuffix("Request")
        method: Callable[..., Awaitable[Any]] = getattr(stub, name)
        return await caller.once(self._controller if node is None else self._node, method, request, about)

    async def _pause(self, backoff_s: float) -> float:
        await asyncio.sleep(backoff_s * self._rng.uniform(0.5, 1.0))
        return min(2 * backoff_s, self._desk.pace.backoff_max_s)

    def _intent(self, kind: str, name: str) -> str:
        call = self._desk.history.new_call()
        self._desk.history.add(
            "invoke", "intent", "absent", call=call, process="user", value={"object": f"{kind} {name}"}
        )
        return call

    def _reached(self, kind: str, name: str, call: str) -> None:
        self._desk.history.add("ok", "intent", "absent", call=call, process="user", value={"object": f"{kind} {name}"})
