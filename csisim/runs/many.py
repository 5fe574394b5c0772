"""Many seeds of one plan, one after the other, and what they come to."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from csisim.runs.plan import RunPlan
from csisim.runs.report import RunResult
from csisim.runs.run import run_plan

MOST_KEPT = 1000
"""How many failing seeds are named."""


@dataclass(slots=True)
class Tally:
    """What many runs come to.

    Attributes:
        runs, steps, virtual_s, faults_fired, calls: sums.
        violating, unknown: seeds, in order; at most `MOST_KEPT` of each are kept.
        counts: how many runs had which verdict.
        worst: the first run with the worst verdict; an ordinary one where all are well.
    """

    runs: int = 0
    steps: int = 0
    virtual_s: float = 0.0
    faults_fired: int = 0
    calls: int = 0
    violating: list[int] = field(default_factory=list)
    unknown: list[int] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("ok", "violation", "unknown"), 0))
    worst: RunResult | None = None
    _hash: "hashlib.blake2b" = field(default_factory=lambda: hashlib.blake2b(digest_size=16))

    def add(self, result: RunResult) -> None:
        """One more."""
        report = result.report
        self.runs += 1
        self.steps += report.steps
        self.virtual_s += report.virtual_s
        self.faults_fired += report.faults_fired
        self.calls += report.calls
        self.counts[report.verdict] += 1
        self._hash.update(f"{report.seed} {report.trace_hash};".encode())
        seeds = {"violation": self.violating, "unknown": self.unknown}.get(report.verdict)
        if seeds is not None and len(seeds) < MOST_KEPT:
            seeds.append(report.seed)
        if self.worst is None or _RANK[report.verdict] > _RANK[self.worst.report.verdict]:
            self.worst = result

    @property
    def digest(self) -> str:
        """Equal for equal runs of the same seeds."""
        return self._hash.hexdigest()


_RANK = {"ok": 0, "unknown": 1, "violation": 2}


def run_seeds(plan: RunPlan, seeds: Iterable[int], *, keep_events: bool = False) -> Iterator[RunResult]:
    """The runs of a plan with these seeds.

    Args:
        plan: its own seed does not matter.
        seeds: one run each, in this order.
        keep_events: see `run_plan`.

    Raises:
        ValueError: as `run_plan`.
    """
    for seed in seeds:
        yield run_plan(replace(plan, seed=seed), keep_events=keep_events)
