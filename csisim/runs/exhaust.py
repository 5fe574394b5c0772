"""Every schedule of one plan with at most k deviations from first in, first out.

In lockstep: messages, the NAS and the callers take no time, so that whatever is concurrent is ready at the same moment,
where the schedule alone decides about its order. With latencies most of the order would be up to the seed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from csisim.check.verdicts import Verdict
from csisim.runs.many import Tally
from csisim.runs.plan import BadPlan, RunPlan
from csisim.runs.run import run_plan
from csisim.sim.exhaustive import Exhaustion
from csisim.sim.tape import Tape

MOST_DEVIATIONS: Final = 10
_NO_TIME: Final = (0.0, 0.0)


def in_lockstep(plan: RunPlan) -> RunPlan:
    """The plan, and nothing that it does takes time but for waits that the program itself asks for."""
    return replace(plan, strategy="fifo", network_s=_NO_TIME, nas_s=_NO_TIME, think_s=_NO_TIME)


@dataclass(slots=True)
class Exhausting:
    """What is known so far.

    Attributes:
        plan: of the first run; the others have a tape beside it.
        deviations: at most so many in a schedule.
        budget: at most so many schedules.
        tally: of the runs; its `worst` is the first violating one, and none has fewer deviations.
        schedules: how many there are at least; where `exhausted`, exactly.
        exhausted: whether every one of them has been run.
    """

    plan: RunPlan
    deviations: int
    budget: int
    tally: Tally = field(default_factory=Tally)
    schedules: int = 1
    exhausted: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.deviations <= MOST_DEVIATIONS:
            raise BadPlan(f"deviations: {self.deviations} is not a whole number from 0 to {MOST_DEVIATIONS}")
        if self.budget < 1:
            raise BadPlan(f"budget: {self.budget} schedules are none; give 1 or more")
        if self.plan.real:
            raise BadPlan("real: the schedules of real sockets cannot be counted")
        if self.plan.tape:
            raise BadPlan("tape: the plan has one schedule only")

    @property
    def verdict(self) -> Verdict:
        """What is proved: `ok` only where every schedule was run and everything held in each."""
        if self.tally.counts["violation"]:
            return "violation"
        return "ok" if self.exhausted and self.tally.counts["ok"] == self.tally.runs else "unknown"

    def run(self, *, keep_events: bool = False) -> Iterator[Tally]:
        """Run them, those with fewer deviations first, up to the first violation; gives the tally after each run.

        Args:
            keep_events: see `run_plan`; of the first run and of those that are not ok.

        Raises:
            csisim.sim.errors.Diverged: runs do not repeat: nothing is known.
            ValueError: as `run_plan`.
        """

        def run(tape: Tape) -> Sequence[int]:
            keeps = keep_events and not self.tally.runs
            result = run_plan(replace(self.plan, tape=tape.dump()), keep_events=keeps)
            self.tally.add(result)
            return result.choices

        space = Exhaustion(run, deviations=self.deviations)
        for _ in space:
            self.schedules, self.exhausted = space.known, space.finished
            yield self.tally
            if self.tally.counts["violation"] or self.tally.runs >= self.budget:
                return
