"""From a run that fails to the smallest one that fails in the same way: its schedule, its operations, its faults.

What is left out of one changes what the others do. So every smaller workload is tried with the steps that are left, as
FIFO has it, and with some other schedules; and all of it begins anew until nothing goes any more. Where more than a few
steps out of order remain, other ways are gone: from the whole workload with the steps of it that matter, with a few
steps out of order anywhere, and with other seeds, whose latencies may do by themselves what those steps did.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from csisim.explore.ddmin import ddmin
from csisim.explore.firings import narrowed
from csisim.explore.signature import signatures
from csisim.runs.plan import RunPlan
from csisim.runs.report import RunResult
from csisim.runs.run import rules_of, run_plan
from csisim.sim.streams import Streams
from csisim.sim.tape import Tape

_OTHER_SCHEDULES: Final = ("walk", "stalls", "pos", "pct:2")
FEW: Final = 3
"""With so many steps out of order, people can see what happened; where there are more, other ways are gone."""

_SMALL: Final = 12
_FIRST_LOOK: Final = 0.25
_MAIN_PART: Final = 0.5
_OTHER_PART: Final = 0.9
_OTHERS: Final = 400
_SEEDS: Final = 1 << 63


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
        return deviations_of(self.result)


def deviations_of(result: RunResult) -> int:
    """How many steps of a run were not as FIFO would have them, whatever made its schedule."""
    return len(Tape.load(result.tape)) if result.tape else 0


def shrink(plan: RunPlan, signature: str = "", bounds: Bounds | None = None, *, loosely: bool = False) -> Smallest:
    """Shrink a run.

    Args:
        plan: it fails.
        signature: what it is to go on failing with; "" for what it fails with first.
        bounds: when to stop, with what was found until then.
        loosely: where more than a few steps out of order remain, a run will do in which the same check fires, whatever
            it says: right where the cause is known to be the same.

    Raises:
        NotReproduced: it does not fail, or otherwise.
        ValueError: it runs on real sockets, which no run repeats, or a rule in it is wrong.
    """
    if plan.real:
        raise ValueError("a run on real sockets cannot be shrunk: none of its repeats is the same")
    return _Search(plan, signature, bounds or Bounds(), loosely=loosely).go()


class _Spent(Exception):
    """The bounds are reached."""


class _Search:
    def __init__(self, plan: RunPlan, signature: str, bounds: Bounds, *, loosely: bool) -> None:
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
        self._until = 1.0
        self._may_be_loose = loosely
        self._loosely = False
        self._most: int | None = None  # so many steps out of order are not to become more
        self.best = first

    @property
    def _plan(self) -> RunPlan:
        return RunPlan.from_json(self.best.report.plan)

    def go(self) -> Smallest:
        finished = self._within(1.0, self._all)
        cpu_ms = 1000 * (time.thread_time() - self._begun_s)
        return Smallest(self.best, self._signature, self._runs, cpu_ms, finished)

    def _all(self) -> None:
        self._pin()
        self._fifo()
        self._sooner()
        begun = self.best
        if deviations_of(begun):
            # While all operations are there, the numbers on the tape are those of the steps.
            self._within(_FIRST_LOOK, self._fewer_deviations)
        spare, self.best = self.best, begun
        finished = self._within(_MAIN_PART, self._smaller)
        if deviations_of(self.best) > FEW:
            self.best = min(self.best, spare, key=deviations_of)
            if deviations_of(self.best) > FEW:
                self._loosely = self._may_be_loose
                self._within(_OTHER_PART, lambda: self._otherwise(RunPlan.from_json(begun.report.plan)))
                self._loosely = False
            finished = False
        if not finished:
            self._most = max(FEW, deviations_of(self.best))
            self._smaller()

    def _within(self, share: float, do: Callable[[], object]) -> bool:
        """Do something until a share of the bounds is spent; False: it was not done by then."""
        before = self._until
        self._until = min(before, share)
        try:
            do()
        except _Spent:
            return False
        finally:
            self._until = before
        return True

    def _smaller(self) -> None:
        """Leave out what can be left out, until nothing goes any more."""
        before = None
        while before != (before := self._plan):
            self._fifo()
            self._fewer_rules()
            self._fewer_operations()
            self._fewer_firings()
            self._simpler()
            self._fewer_deviations()

    def _shows(self, plan: RunPlan) -> RunResult | None:
        """What a plan gives, if it fails in the same way."""
        if plan in self._failed:
            return None
        if (
            self._runs >= self._bounds.runs * self._until
            or time.thread_time() - self._begun_s >= self._bounds.cpu_s * self._until
        ):
            raise _Spent
        self._runs += 1
        result = run_plan(plan)
        found = signatures(result.report.to_json())
        if self._signature not in found and self._loosely:
            check = self._signature.partition(":")[0]
            self._signature = next((each for each in found if each.partition(":")[0] == check), self._signature)
            self._failed.clear()  # of another kind
        if self._signature in found and (self._most is None or deviations_of(result) <= self._most):
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
        everything = tuple(f"{client}.{operation}" for operation in range(1, plan.operations + 1)
                           for client in range(1, plan.clients + 1))  # fmt: skip
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

    def _otherwise(self, whole: RunPlan) -> None:
        """What is left with a few steps out of order, anywhere, and it and all of it with other seeds, as FIFO has it.

        Where latencies are drawn in turn, one step out of order draws all of them anew.
        """
        plans = [_on_tape(plan, Tape()) for plan in dict.fromkeys((self._plan, whole))]
        rng, picks = Streams(whole.seed).stream("shrink"), max(1, len(self.best.choices))
        for number in range(1, _OTHERS + 1):
            steps = Tape({rng.randrange(picks): rng.choice((1, 1, 2)) for _ in range(rng.choice((1, 1, 2, FEW)))})
            others = [replace(plan, seed=(plan.seed + number) % _SEEDS) for plan in plans]
            if any(self._take(plan) for plan in (_on_tape(plans[0], steps), *others)):
                break

    # The workload

    def _sooner(self) -> None:
        """Leave out what comes after the failure: whatever was before it stays as it was, to the last latency."""
        plan = self._plan
        shortest, longest = 0, plan.operations
        while plan.only and longest - shortest > 1:
            middle = (shortest + longest) // 2
            kept = tuple(each for each in plan.only if _operation(each) <= middle)
            if kept and self._take(replace(plan, only=kept)):
                longest = middle
            else:
                shortest = middle

    def _fewer_operations(self) -> None:
        clients = sorted({_client(each) for each in self._plan.only})
        if len(clients) > 1:
            ddmin(clients, lambda kept: self._only(each for each in self._plan.only if _client(each) in kept))
        if len(self._plan.only) > 1:
            ddmin(self._plan.only, self._only)
        plan = self._plan
        last = max(map(_client, plan.only), default=1)
        operations = max(map(_operation, plan.only), default=plan.operations)
        if (last, operations) != (plan.clients, plan.operations):
            self._any(replace(plan, clients=last, operations=operations))

    def _only(self, operations: Iterable[str]) -> bool:
        """Go on with these operations; none at all would mean all of them."""
        kept = tuple(operations)
        return bool(kept) and self._any(replace(self._plan, only=kept))

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


def _client(operation: str) -> int:
    return int(operation.partition(".")[0])


def _operation(operation: str) -> int:
    return int(operation.partition(".")[2])


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
    if _on_the_tape(plan) <= FEW and len(plan.only) <= _SMALL:
        for name in _OTHER_SCHEDULES:
            yield replace(plan, tape="", strategy=name)


def _on_tape(plan: RunPlan, tape: Tape) -> RunPlan:
    """With this schedule; FIFO has no need of a tape."""
    return replace(plan, strategy="fifo", tape=tape.dump() if len(tape) else "")


def _on_the_tape(plan: RunPlan) -> int:
    return len(Tape.load(plan.tape)) if plan.tape else 0


def _part(tape: Tape, kept: Sequence[tuple[str, int]]) -> Tape:
    picks = {at: tape.picks[at] for kind, at in kept if kind == "pick"}
    return Tape(picks, {at: tape.stalls[at] for kind, at in kept if kind == "stall"})
