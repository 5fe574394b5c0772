"""Logical races: an operation that decides on what it read before it held the lock, or writes over news.

There is one thread, so nothing is torn; what goes wrong is older: something is read, time passes, others write, and
then it is written as if nothing had happened. Whoever watches tells, in order of effect, which operation took and freed
which lock, and which object it read and wrote: what is on the NAS, a node's record of a volume, what is mounted at a
path. `Races` keeps a version per object, counted at the moment a write takes effect, and judges every write:

* it was sent while its operation held no lock at all;
* its operation read the object, but under no lock that it still held when it sent the write, so that anything may have
  happened in between, whether or not it did in this run (a read repeated inside the lock makes up for an earlier one);
* the object has a newer version than the one that was read, written by another operation.

An object has parts (its existence, each property), and only writes of the same part, or of its existence, collide.
Reads that no write of the same object follows, such as lists, are no decisions. A write whose connection had ended when
it took effect (`late`) is not judged and makes nothing stale: nobody could have waited for it. What somebody outside of
the driver writes counts versions and is not judged.
"""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from csisim.check.verdicts import Result, Violation

CHECK: Final = "races"
EXISTENCE: Final = ""
"""The part of an object that is written when it is created, destroyed or renamed."""
COMMUTING: Final = frozenset({"clones"})
"""Parts that several may write at a time: a snapshot's clones, while which ZFS itself lets nobody destroy it."""

Stack = tuple[str, ...]
"""Who called, innermost first: `csisim/driver/volumes.py:120 Volumes.delete`."""

_WHY: Final = {
    "no lock": "A volume or snapshot is changed by whoever holds its operation lock, and by nobody else.",
    "stale": "Every fact that decides is read after the lock is held, and the lock is held until it is acted upon.",
    "newer": "What is written must rest on the version that is there: the changes of others are lost otherwise.",
}
_TOLD_AT_MOST: Final = 50


@dataclass(frozen=True, slots=True)
class Access:
    """One read or write.

    Attributes:
        op: id of the operation: the RPC as it is served; "" for somebody outside of the driver.
        stack: who made it.
        held: numbers of the holds that the operation had: at a read's effect, and when a write was sent.
        at_s: loop time of the effect.
        event: number of the event that shows it.
        after: of a write, number of the last event before it was sent; 0 where it was applied at once.
        name: the NAS method, for people.
        rpc: what the operation is, for people: `DeleteVolume(pvc-1)`.
    """

    op: str
    stack: Stack = ()
    held: frozenset[int] = frozenset()
    at_s: float = 0.0
    event: int = 0
    name: str = ""
    rpc: str = ""
    after: int = 0

    @property
    def who(self) -> str:
        """The operation, for people."""
        return f"{self.rpc} {self.op}".strip()


@dataclass(frozen=True, slots=True)
class _Seen:
    access: Access
    version: int


@dataclass(frozen=True, slots=True)
class _Write:
    access: Access
    version: int
    late: bool


class Races:
    """The locks and versions of one run, and what is wrong with them.

    Attributes:
        violations: what was found, each pair of places once, in the order in which it showed.
        looked_at: how many writes of operations were judged.
        begin_s: loop time from which on times are told.
    """

    def __init__(self) -> None:
        self.violations: list[Violation] = []
        self.looked_at = 0
        self.begin_s = 0.0
        self._numbers = itertools.count(1)
        self._holds: dict[str, dict[int, str]] = {}
        self._versions: dict[str, int] = {}
        self._writes: dict[str, dict[str, _Write]] = {}
        self._reads: dict[str, dict[str, list[_Seen]]] = {}
        self._told: set[tuple[str, str, Stack, Stack]] = set()

    def took(self, op: str, key: str) -> int:
        """The operation holds a lock from now on; gives the number of this hold, never given twice."""
        number = next(self._numbers)
        self._holds.setdefault(op, {})[number] = key
        return number

    def freed(self, op: str, number: int) -> None:
        """It holds it no more."""
        holds = self._holds.get(op, {})
        holds.pop(number, None)
        if not holds:
            self._holds.pop(op, None)

    def holds(self, op: str) -> frozenset[int]:
        """The numbers of what the operation holds now."""
        return frozenset(self._holds.get(op, ()))

    def version(self, obj: str) -> int:
        """How often the object was written so far, its creation and destruction included."""
        return self._versions.get(obj, 0)

    def read(self, obj: str, by: Access, version: int | None = None) -> None:
        """The operation has seen the object, or that it is not there.

        Args:
            obj: `dataset tank/csi/pvc-1`.
            by: which operation, from where.
            version: of what it saw; by default the present one.
        """
        seen = self.version(obj) if version is None else version
        if by.op:
            self._reads.setdefault(by.op, {}).setdefault(obj, []).append(_Seen(by, seen))

    def wrote(self, obj: str, part: str, by: Access, *, late: bool = False) -> None:
        """The NAS has applied a write.

        Args:
            obj: the object.
            part: of it: EXISTENCE, or the name of a property.
            by: which operation, from where.
            late: the connection that it came over had ended before.
        """
        reads = self._reads.get(by.op, {}).get(obj, []) if by.op else []
        # What was read when the write had been sent already decided nothing about it.
        before = next((at for at in range(len(reads), 0, -1) if not 0 < by.after < reads[at - 1].access.event), 0)
        seen = reads[before - 1] if before else None
        if by.op and not late:
            self.looked_at += 1
            self._judge(obj, part, by, seen)
        version = self._versions[obj] = self.version(obj) + 1
        self._writes.setdefault(obj, {})[part] = _Write(by, version, late)
        if seen is not None:  # of its own changes it knows
            reads[before - 1] = _Seen(seen.access, version)

    def result(self) -> Result:
        """What was found, as of now."""
        return Result(CHECK, self.looked_at, tuple(self.violations))

    def _judge(self, obj: str, part: str, by: Access, seen: _Seen | None) -> None:
        if not by.held:
            self._tell("no lock", f"{by.who} wrote {_what(obj, part)} without any lock", seen, by)
            return
        if seen is None:
            return
        if not seen.access.held & by.held:
            when = "before it held the lock" if not seen.access.held else "under a lock that it had let go since"
            self._tell("stale", f"{by.who} wrote {_what(obj, part)}, and had read it {when}", seen, by)
        for other in self._newer(obj, part, by.op, seen.version):
            summary = (
                f"{by.who} wrote over version {other.version} of {_what(obj, part)}, which {other.access.who} wrote at "
                f"{other.access.at_s - self.begin_s:.6g} s ({other.access.name}); it had read version {seen.version}"
            )
            self._tell("newer", summary, seen, by, other.access)

    def _newer(self, obj: str, part: str, op: str, version: int) -> Iterable[_Write]:
        for other, write in self._writes.get(obj, {}).items():
            mine = write.access.op in ("", op)
            if write.version > version and not mine and not write.late and _collide(part, other):
                yield write

    def _tell(self, rule: str, summary: str, seen: _Seen | None, by: Access, other: Access | None = None) -> None:
        read = seen.access if seen else Access(by.op)
        key = (rule, by.name, read.stack, by.stack)
        if key in self._told or len(self.violations) >= _TOLD_AT_MOST:
            return
        self._told.add(key)
        named = {"read": read if seen else None, "overwritten write": other, "write": by}
        parts = [_stack(what, each, each.at_s - self.begin_s) for what, each in named.items() if each is not None]
        events = [each.event for each in (read, other, by) if each is not None and each.event]
        self.violations.append(
            Violation(CHECK, summary, _WHY[rule], tuple(sorted(events)), by.at_s - self.begin_s, "\n".join(parts))
        )  # fmt: skip


def _collide(mine: str, other: str) -> bool:
    if mine in COMMUTING or other in COMMUTING:
        return False
    return EXISTENCE in (mine, other) or mine == other


def _what(obj: str, part: str) -> str:
    return f"{part} of {obj}" if part else obj


def _stack(what: str, access: Access, at_s: float) -> str:
    head = f"{what} by {access.who}, {access.name or 'unnamed'} at {at_s:.6g} s"
    return "\n".join([head, *(f"    {frame}" for frame in access.stack)])
