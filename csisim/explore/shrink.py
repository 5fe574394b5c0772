"""From a run that fails to the smallest one that fails in the same way: its schedule, its operations, its faults.

What is left out of one changes what the others do. So every smaller workload is tried with the steps that are left, as
FIFO has it, and with some other schedules; and all of it begins anew until nothing goes any more.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from csisim.explore.ddmin import ddmin
from csisim.explore.firings import narrowed
from csisim.explore.signature import signatures
from csisim.runs.plan import RunPlan
from csisim.runs.report import RunResult
from csisim.runs.run import rules_of, run_plan
from csisim.sim.tape import Tape

_OTHER_SCHEDULES: Final = ("walk", "stalls", "pos", "pct:2")
_FEW: Final = 3
_SMALL: Final = 12


class NotReproduced(ValueError):
    """The run to be shrunk does not fail as it was said to; says what it does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much may be spent: runs, and processor time in seconds."""

    runs: int = 2000
    cpu_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Smallest:
    """What was found.

    Attributes:
        result: of the run, whose plan is in its report; with its events.
        signature: the kind of failure, the same as before.
        runs, cpu_ms: what it took.
        finished: whether nothing more could be left out, one at a time.
    """

    result: RunResult
    signature: str
    runs: int
    cpu_ms: float
    finished: bool

    @property
    def plan(self) -> RunPlan:
        """The smallest run."""
        return RunPlan.from_json(self.result.report.plan)

    @property
    def deviations(self) -> int:
        """How many steps are not as FIFO would have them."""
        return deviations_of(self.plan)


def deviations_of(plan: RunPlan) -> int:
    """How many steps of a run with a tape are not as FIFO would have them."""
    return len(Tape.load(plan.tape)) if plan.tape else 0


def shrink(plan: RunPlan, signature: str = "", bounds: Bounds | None = None) -> Smallest:
    """Shrink a run.

    Args:
        plan: it fails.
        signature: what it is to go on failing with; "" for what it fails with first.
        bounds: when to stop, with what was found until then.

    Raises:
        NotReproduced: it does not fail, or otherwise.
        ValueError: it runs on real sockets, which no run repeats, or a rule in it is wrong.
    """
    if plan.real:
        raise ValueError("a run on real sockets cannot be shrunk: none of its repeats is the same")
    return _Search(plan, signature, bounds or Bounds()).go()


class _Spent(Exception):
    """The bounds are reached."""


class _Search:
    def __init__(self, plan: RunPlan, signature: str, bounds: Bounds) -> None:
        self._begun_s = time.thread_time()
        self._bounds = bounds
        self._runs = 1
        first = run_plan(plan)
        found = signatures(first.report.to_json())
        if not found:
            raise NotReproduced(f"seed {plan.seed} does not fail: it cannot be shrunk")
        if signature and signature not in found:
            raise NotReproduced(f"seed {plan.seed} fails otherwise than by {signature!r}: {found[0]!r}")
        self._signature = signature or found[0]
        self._failed: set[RunPlan] = set()
        self.best = first

    @property
    def _plan(self) -> RunPlan:
        return RunPlan.from_json(self.best.report.plan)

    def go(self) -> Smallest:
        finished = True
        try:
            self._pin()
            while True:
                before = self._plan
                self._fifo()
                self._fewer_operations()
                self._fewer_rules()
                self._fewer_firings()
                self._simpler()
                self._fewer_deviations()
                if self._plan == before:
                    break
        except _Spent:
            finished = False
        cpu_ms = 1000 * (time.thread_time() - self._begun_s)
        return Smallest(self.best, self._signature, self._runs, cpu_ms, finished)

    def _shows(self, plan: RunPlan) -> RunResult | None:
        """What a plan gives, if it fails in the same way."""
        if plan in self._failed:
            return None
        if self._runs >= self._bounds.runs or time.thread_time() - self._begun_s >= self._bounds.cpu_s:
            raise _Spent
        self._runs += 1
        result = run_plan(plan)
        if self._signature in signatures(result.report.to_json()):
            return result
        self._failed.add(plan)
        return None

    def _take(self, plan: RunPlan) -> bool:
        """Go on from a plan, if it fails in the same way."""
        result = self._shows(plan)
        if result is not None:
            self.best = result
        return result is not None

    def _pin(self) -> None:
        """Say which rules the seed has drawn, and which operations there are. The strategy goes on making the schedule.

        For as long as operations are left out it does that better than the tape, whose steps are then others' steps.
        """
        plan = self._plan
        rules = rules_of(plan) or ("none",)
        everything = tuple(f"{client}.{operation}" for client in range(1, plan.clients + 1)
                           for operation in range(1, plan.operations + 1))  # fmt: skip
        plan = replace(plan, faults=rules, only=plan.only or everything)
        if plan.operations == 0:
            plan = replace(plan, only=())
        self._take(plan)

    # The schedule

    def _fifo(self) -> None:
        """Most failures need no step out of order, and then nothing else needs to be tried."""
        if self._plan.tape or self._plan.strategy != "fifo":
            self._take(_on_tape(self._plan, Tape()))

    def _fewer_deviations(self) -> None:
        plan = self._plan
        if not plan.tape:
            if plan.strategy != "fifo":
                self._take(_on_tape(plan, Tape.load(self.best.tape)))
                plan = self._plan
            if not plan.tape:
                return
        tape = Tape.load(plan.tape)
        steps = [("pick", at) for at in sorted(tape.picks)] + [("stall", at) for at in sorted(tape.stalls)]
        ddmin(steps, lambda kept: self._take(_on_tape(plan, _part(tape, kept))))

    # The workload

    def _fewer_operations(self) -> None:
        plan = self._plan
        if len(plan.only) > 1:
            # At least one stays: no operations at all would mean all of them.
            ddmin(plan.only, lambda kept: bool(kept) and self._any(replace(self._plan, only=tuple(kept))))
        last = max((tuple(map(int, each.split("."))) for each in self._plan.only), default=(1, 0))
        plan = self._plan
        operations = max((int(each.split(".")[1]) for each in plan.only), default=plan.operations)
        if (last[0], operations) != (plan.clients, plan.operations):
            self._any(replace(plan, clients=last[0], operations=operations))

    # The faults

    def _fewer_rules(self) -> None:
        rules = self._plan.rules
        ddmin(rules, lambda kept: self._any(replace(self._plan, faults=tuple(kept) or ("none",))))

    def _fewer_firings(self) -> None:
        """A rule that strikes often, or by chance, becomes one that strikes once, at a place that it says."""
        for number, rule in enumerate(self._plan.rules, 1):
            for other in narrowed(rule, number, self.best.events):
                rules = tuple(other if each == rule else each for each in self._plan.rules)
                plan = replace(self._plan, faults=rules)
                if _can_be_honoured(plan) and self._any(plan):
                    break

    # The rest

    def _simpler(self) -> None:
        plan = self._plan
        smaller: list[dict[str, Any]] = [{"nodes": number} for number in range(1, plan.nodes)]
        smaller += [{"volumes": number} for number in range(1, plan.volumes)]
        if len(plan.protocols) > 1:
            smaller += [{"protocols": (protocol,)} for protocol in plan.protocols]
        for members in smaller:
            if all(getattr(self._plan, name) != value for name, value in members.items()):
                self._any(replace(self._plan, **members))

    def _any(self, plan: RunPlan) -> bool:
        """Go on from a plan with one of some schedules: what is left of this one, FIFO, or others."""
        return any(self._take(each) for each in _schedules(plan))


def _can_be_honoured(plan: RunPlan) -> bool:
    try:
        rules_of(plan)
    except ValueError:
        return False
    return True


def _schedules(plan: RunPlan) -> Iterator[RunPlan]:
    yield plan
    if not plan.tape and plan.strategy == "fifo":
        return  # and of what fails in this order no other needs to be tried
    yield _on_tape(plan, Tape())
    if deviations_of(plan) <= _FEW and len(plan.only) <= _SMALL:
        for name in _OTHER_SCHEDULES:
            yield replace(plan, tape="", strategy=name)


def _on_tape(plan: RunPlan, tape: Tape) -> RunPlan:
    """With this schedule; FIFO has no need of a tape."""
    return replace(plan, strategy="fifo", tape=tape.dump() if len(tape) else "")


def _part(tape: Tape, kept: Sequence[tuple[str, int]]) -> Tape:
    picks = {at: tape.picks[at] for kind, at in kept if kind == "pick"}
    return Tape(picks, {at: tape.stalls[at] for kind, at in kept if kind == "stall"})
