"""What a campaign comes to, from its records in whatever order they come."""

from bisect import bisect
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from csisim.explore.records import MODULUS, VERDICTS, Chunk, Failure, Record, Shrunk

MOST_SEEDS: Final = 100
"""How many seeds of a kind of failure are named."""


class Disagreement(ValueError):
    """Records that cannot be of one campaign; says which."""


@dataclass(slots=True)
class Group:
    """Failures of one kind.

    Attributes:
        signature: which kind.
        count: how many runs.
        seeds: the lowest of theirs, at most `MOST_SEEDS`.
        example: the failure with the fewest operations.
        shrunk: what decides it; None where that was not looked for.
    """

    signature: str
    count: int
    seeds: list[int]
    example: Failure
    shrunk: Shrunk | None = None

    def add(self, failure: Failure) -> None:
        """One more."""
        self.count += 1
        self.seeds = sorted([*self.seeds, failure.seed])[:MOST_SEEDS]
        self.example = min(self.example, failure, key=_size)


@dataclass(slots=True)
class Tally:
    """Sums, and the failures by kind.

    Attributes:
        chunks: all of them, sorted, none twice and none that overlap.
        counts: how many runs had which verdict.
        groups: by signature.
        cpu_ms, virtual_s, steps, calls, faults_fired: sums.
    """

    chunks: list[Chunk] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(VERDICTS, 0))
    groups: dict[str, Group] = field(default_factory=dict)
    cpu_ms: float = 0.0
    virtual_s: float = 0.0
    steps: int = 0
    calls: int = 0
    faults_fired: int = 0
    _digest: int = 0
    _seeds: set[int] = field(default_factory=set)

    @property
    def runs(self) -> int:
        """How many there were."""
        return sum(self.counts.values())

    @property
    def digest(self) -> str:
        """Equal for equal runs of the same seeds, whoever ran which of them, and in what order."""
        return f"{self._digest:032x}"

    def add(self, record: Record) -> bool:
        """One more; False: it was there before.

        Raises:
            Disagreement: it overlaps with others, or has other results for the same seeds.
        """
        if isinstance(record, Chunk):
            return self._add_chunk(record)
        if isinstance(record, Failure):
            return self._add_failure(record)
        group = self.groups.get(record.signature)
        if group is None or (group.shrunk is not None and _worth(group.shrunk) <= _worth(record)):
            return False
        group.shrunk = record
        return True

    def _add_chunk(self, chunk: Chunk) -> bool:
        at = bisect(self.chunks, chunk.start, key=lambda each: each.start)
        for other in self.chunks[max(0, at - 1) : at + 1]:
            if (other.start, other.stop) == (chunk.start, chunk.stop):
                if other.digest != chunk.digest:
                    raise Disagreement(
                        f"seeds {chunk.start}:{chunk.stop} have the digests {other.digest} and {chunk.digest}: "
                        "they were not run by the same code"
                    )
                return False
            if other.start < chunk.stop and chunk.start < other.stop:
                raise Disagreement(
                    f"seeds {chunk.start}:{chunk.stop} overlap with {other.start}:{other.stop}, which were counted"
                )
        self.chunks.insert(at, chunk)
        for verdict, count in chunk.verdicts.items():
            self.counts[verdict] += count
        self._digest = (self._digest + int(chunk.digest, 16)) % MODULUS
        self.cpu_ms += chunk.cpu_ms
        self.virtual_s += chunk.virtual_s
        self.steps += chunk.steps
        self.calls += chunk.calls
        self.faults_fired += chunk.faults_fired
        return True

    def _add_failure(self, failure: Failure) -> bool:
        if failure.seed in self._seeds:
            return False
        self._seeds.add(failure.seed)
        group = self.groups.get(failure.signature)
        if group is None:
            self.groups[failure.signature] = Group(failure.signature, 1, [failure.seed], failure)
        else:
            group.add(failure)
        return True

    def records(self, found: Iterable[Record]) -> Iterator[Record]:
        """Of these records, which it has taken, those that count, none twice; chunks follow their failures."""
        yield from {each.seed: each for each in found if isinstance(each, Failure)}.values()
        yield from self.chunks
        yield from (group.shrunk for group in self.ordered() if group.shrunk is not None)

    def ordered(self) -> list[Group]:
        """The groups, the most frequent first."""
        return sorted(self.groups.values(), key=lambda group: (-group.count, group.signature))

    def missing(self, seeds: range) -> list[range]:
        """Which of these seeds were not run."""
        found, at = [], seeds.start
        for chunk in self.chunks:
            if chunk.start > at:
                found.append(range(at, min(chunk.start, seeds.stop)))
            at = max(at, chunk.stop)
        found.append(range(at, seeds.stop))
        return [each for each in found if each]


def tally_of(records: Iterable[Record]) -> Tally:
    """Everything put together.

    Raises:
        Disagreement: see `Tally.add`.
    """
    tally, shrunk = Tally(), []
    for record in records:
        if isinstance(record, Shrunk):
            shrunk.append(record)  # the failure that it is about may come later
        else:
            tally.add(record)
    for each in shrunk:
        tally.add(each)
    return tally


def _size(failure: Failure) -> tuple[int, int]:
    plan = failure.plan
    return int(plan.get("clients", 3)) * int(plan.get("operations", 5)), failure.seed


def _worth(shrunk: Shrunk) -> tuple[int, int, int, int]:
    return shrunk.deviations, shrunk.operations, shrunk.rules, shrunk.seed
