"""What the callers of a workload may believe: an orchestrator never acts on less, whatever was lost on the way."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from google.protobuf.message import Message
from grpc import StatusCode

from csisim.co.callers import INDETERMINATE, PENDING, CallFailed
from csisim.co.plans import VolumePlan
from csisim.pb import csi_pb2 as csi

Reply = TypeVar("Reply")

UNDECIDED = PENDING | INDETERMINATE
"""Codes after which a caller does not take for granted that nothing was done."""


class HungUp(Exception):
    """The caller did not wait for the answer; the effect may have happened, and may happen yet."""


@dataclass(slots=True)
class Belief:
    """Something that calls make and take away: a volume, a snapshot, a publication, a mount.

    Attributes:
        there: None where nobody knows.
        exhausted_is_final: RESOURCE_EXHAUSTED says that nothing was made. The provisioner takes it so, others do not.
        out: how many calls that make it (True), and that take it away (False), may still have their effect.
        begun: how many such calls there have been.
    """

    there: bool | None = False
    exhausted_is_final: bool = False
    out: dict[bool, int] = field(default_factory=lambda: {True: 0, False: 0})
    begun: dict[bool, int] = field(default_factory=lambda: {True: 0, False: 0})

    @property
    def absent(self) -> bool:
        """Whether it is certainly not there, and no call is out that would make it."""
        return self.there is False and not self.out[True]

    @property
    def present(self) -> bool:
        """Whether it is certainly there, and no call is out that would take it away."""
        return self.there is True and not self.out[False]

    def lose(self) -> None:
        """Something else may have taken it away."""
        self.begun[False] += 1
        if self.there:
            self.there = None

    async def through(self, make: bool, call: Callable[[], Awaitable[Reply]], settle_s: float) -> Reply:
        """Make a call that makes it, or takes it away, and believe what follows from its answer.

        Args:
            make: what the call is for.
            call: made once.
            settle_s: how long its effect may come after an answer that tells nothing.

        Raises:
            CallFailed, HungUp: as the call.
        """
        self.begun[make] += 1
        self.out[make] += 1
        others, alone = self.begun[not make], not self.out[not make]
        try:
            reply = await call()
        except CallFailed as error:
            # A busy driver says ABORTED, also half-way: callers take that for "something may have been done".
            pending = error.code is StatusCode.RESOURCE_EXHAUSTED and not self.exhausted_is_final
            if (pending or error.code in UNDECIDED) and self.there is not make:
                self.there = None
            if error.code in INDETERMINATE:
                await asyncio.sleep(settle_s)
            raise
        except HungUp:
            if self.there is not make:
                self.there = None
            await asyncio.sleep(settle_s)
            raise
        else:
            # Of two calls that overlap nobody can tell which came first.
            self.there = make if alone and others == self.begun[not make] else None
            return reply
        finally:
            self.out[make] -= 1


@dataclass(slots=True)
class Spot:
    """One volume on one node.

    Attributes:
        attached, staged: what ControllerPublishVolume and NodeStageVolume make.
        targets: what NodePublishVolume makes, by path.
        context: of the last publication.
        users: how many read or write there now.
    """

    attached: Belief = field(default_factory=Belief)
    staged: Belief = field(default_factory=Belief)
    targets: dict[str, Belief] = field(default_factory=dict)
    context: dict[str, str] = field(default_factory=dict)
    users: int = 0

    def reboot(self) -> None:
        """The node has lost its mounts, and nobody who used them is left."""
        self.staged.lose()
        for target in self.targets.values():
            target.lose()


@dataclass(slots=True)
class VolumeBook:
    """One volume that is to be, or was.

    Attributes:
        plan: as it was meant.
        alive: whether it is there.
        id: as its creation told; "" before.
        context: the same.
        requests: every different request that may have created it.
        spots: by node.
    """

    plan: VolumePlan
    alive: Belief = field(default_factory=lambda: Belief(exhausted_is_final=True))
    id: str = ""
    context: dict[str, str] = field(default_factory=dict)
    requests: list[Message] = field(default_factory=list)
    spots: dict[str, Spot] = field(default_factory=dict)


@dataclass(slots=True)
class SnapshotBook:
    """One snapshot that is to be, or was.

    Attributes:
        name: as it is asked for.
        source: of which volume it is meant to be.
        alive: whether it is there.
        id: as its creation told; "" before.
        of: the volume, by name, of which that creation was.
        unheard: the volumes of which it may have been cut by a call that told nothing.
        requests: every different request that may have created it.
    """

    name: str
    source: VolumeBook
    alive: Belief = field(default_factory=Belief)
    id: str = ""
    of: str = ""
    unheard: set[str] = field(default_factory=set)
    requests: list[Message] = field(default_factory=list)

    async def cut(self, of: str, call: Callable[[], Awaitable[csi.CreateSnapshotResponse]], settle_s: float) -> None:
        """Have it cut of a volume, by name; see `Belief.through`."""
        try:
            reply = await self.alive.through(True, call, settle_s)
        except (CallFailed, HungUp):
            if self.alive.there is not False:
                self.unheard.add(of)
            raise
        self.id, self.of = reply.snapshot.snapshot_id, of
        self.unheard.discard(of)

    async def delete(self, call: Callable[[], Awaitable[object]], settle_s: float) -> None:
        """Have the one deleted whose id was told; see `Belief.through`. One of another volume has another id."""
        of = self.of
        await self.alive.through(False, call, settle_s)
        self.unheard.discard(of)
        if self.unheard:
            self.alive.there = None


@dataclass(slots=True)
class Ledger:
    """Everything that the clients of a run share."""

    volumes: dict[str, VolumeBook] = field(default_factory=dict)
    snapshots: dict[str, SnapshotBook] = field(default_factory=dict)

    def reboot(self, node_id: str) -> None:
        """A node has lost its mounts."""
        for volume in self.volumes.values():
            if (spot := volume.spots.get(node_id)) is not None:
                spot.reboot()
