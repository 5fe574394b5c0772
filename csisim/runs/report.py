"""What a run gives: plain data for people, files and other processes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from csisim.check.verdicts import Verdict, Violation
from csisim.events import Event

TERMINATION: Final = "termination"
"""The check that a run ends by itself."""


@dataclass(frozen=True, slots=True)
class RunReport:
    """The verdict of a run and how it came about.

    Attributes:
        seed, strategy: as in the plan.
        verdict: the worst of all checks.
        invariants: verdict by name of check.
        violations: everything that was found.
        trace_hash: equal for equal runs; "" on real sockets.
        steps: of the simulated loop; 0 on real sockets.
        virtual_s: how long it took, loop time.
        replay: the command that does it again.
        looked_at: how many things each check judged.
        unknown: why a check could not decide, by name.
        plan: `RunPlan.to_json()`.
        faults: the rules that were in force, drawn or given.
        faults_fired: how many faults happened.
        calls: how many CSI calls were made.
        real: whether it ran on real sockets.
    """

    seed: int
    strategy: str
    verdict: Verdict
    invariants: Mapping[str, Verdict]
    violations: tuple[Violation, ...]
    trace_hash: str
    steps: int
    virtual_s: float
    replay: str
    looked_at: Mapping[str, int]
    unknown: Mapping[str, str]
    plan: Mapping[str, Any]
    faults: tuple[str, ...]
    faults_fired: int
    calls: int
    real: bool

    def to_json(self) -> dict[str, Any]:
        """Plain data; every member."""
        return {
            "seed": self.seed,
            "strategy": self.strategy,
            "verdict": self.verdict,
            "invariants": dict(self.invariants),
            "violations": [each.to_json() for each in self.violations],
            "trace_hash": self.trace_hash,
            "steps": self.steps,
            "virtual_s": round(self.virtual_s, 6),
            "replay": self.replay,
            "looked_at": dict(self.looked_at),
            "unknown": dict(self.unknown),
            "plan": dict(self.plan),
            "faults": list(self.faults),
            "faults_fired": self.faults_fired,
            "calls": self.calls,
            "real": self.real,
        }


@dataclass(frozen=True, slots=True)
class RunResult:
    """A report with what it was made of; can be pickled.

    Attributes:
        report: the verdict.
        events: the history, values as plain data; empty where they were not asked for.
        tape: `Tape.dump()` of the schedule.
        deviations: where a tape was followed, for each step that it put before others, or held up, the number of the
            event that came next.
        choices: the number of candidates of each contested pick; empty on real sockets.
    """

    report: RunReport
    events: tuple[Event, ...] = field(default=(), repr=False)
    tape: str = ""
    deviations: tuple[int, ...] = ()
    choices: tuple[int, ...] = field(default=(), repr=False)
