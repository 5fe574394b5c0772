"""Shrinking: what is left decides, and nothing else is left. One run is real; the others fail by a rule of the test."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from csisim.check.verdicts import Violation
from csisim.events import Event
from csisim.explore import shrink as module
from csisim.explore.mix import Mix
from csisim.explore.shrink import Bounds, NotReproduced, Smallest, deviations_of, shrink
from csisim.runs.plan import RunPlan
from csisim.runs.replay import parse_token
from csisim.runs.report import RunReport, RunResult
from csisim.runs.run import run_plan
from csisim.sim.tape import Tape
from tests.explore.samples import BROKEN, UNLOCKED

BIG = RunPlan(seed=1, strategy="walk", clients=6, operations=10, volumes=4, nodes=3, faults=("none",))
WALKED = Tape({at: 1 + at % 2 for at in range(400)}, {7: 0.5, 90: 2.0})


def tape_of(plan: RunPlan) -> Tape:
    """The schedule of a run: what is on its tape, or, with a strategy, always the same walk."""
    if plan.tape:
        return Tape.load(plan.tape)
    return WALKED if plan.strategy == "walk" else Tape()


def ran(plan: RunPlan, *said: str, events: tuple[Event, ...] = ()) -> RunResult:
    """The result of a run that failed in these ways."""
    found = tuple(Violation("I3", text, "nothing may be left") for text in said)
    report = RunReport(
        seed=plan.seed, strategy=plan.strategy, verdict="violation" if found else "ok", invariants={}, violations=found,
        trace_hash="", steps=0, virtual_s=0.0, replay="csisim replay csi1-", looked_at={}, unknown={},
        plan=plan.to_json(), faults=(), faults_fired=0, calls=0, real=False,
    )  # fmt: skip
    return RunResult(report, events, tape_of(plan).dump())


@pytest.fixture
def fails(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Smallest]:
    """Shrink a run, where runs fail if the test says so."""

    def shrunk(needs: Callable[[RunPlan], bool], plan: RunPlan = BIG, **options: Any) -> Smallest:
        monkeypatch.setattr(module, "run_plan", lambda each: ran(each, *(["left pvc-1"] if needs(each) else [])))
        return shrink(plan, **options)

    return shrunk


def test_of_hundreds_of_steps_out_of_order_those_are_left_that_matter(fails: Callable[..., Smallest]) -> None:
    def needs(plan: RunPlan) -> bool:
        tape = tape_of(plan)
        return {17, 300} <= set(tape.picks) and 90 in tape.stalls

    found = fails(needs)
    assert Tape.load(found.plan.tape) == Tape({17: 2, 300: 1}, {90: 2.0})
    assert (found.deviations, found.finished, found.signature) == (3, True, "I3: left #")
    assert found.plan.strategy == "fifo"


def test_where_no_step_matters_there_is_no_tape(fails: Callable[..., Smallest]) -> None:
    found = fails(lambda _plan: True)
    assert (found.plan.tape, found.plan.strategy, found.deviations) == ("", "fifo", 0)


def test_only_the_operations_that_matter_are_left_and_no_more_clients_nodes_and_volumes(
    fails: Callable[..., Smallest],
) -> None:
    found = fails(lambda plan: plan.does(2, 3) and plan.does(4, 7) and plan.clients >= 4 and plan.operations >= 7)
    assert found.plan.only == ("2.3", "4.7")
    assert (found.plan.clients, found.plan.operations, found.plan.nodes, found.plan.volumes) == (4, 7, 1, 1)
    assert len(found.plan.protocols) == 1


def test_at_least_one_operation_stays(fails: Callable[..., Smallest]) -> None:
    assert len(fails(lambda _plan: True).plan.only) == 1


def test_only_the_rules_that_matter_are_left(fails: Callable[..., Smallest]) -> None:
    rules = (
        "mount.umount: 30%error(EBUSY)",
        "rpc.*.after: 5%drop",
        "mount.bind: 1*error(EIO)",
        "nas.*.request: 5%drop",
    )
    found = fails(lambda plan: rules[1] in plan.faults, replace(BIG, faults=rules))
    assert found.plan.faults == (rules[1],)
    assert fails(lambda _plan: True, replace(BIG, faults=rules)).plan.faults == ("none",)


def test_a_rule_that_strikes_by_chance_becomes_one_that_strikes_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(plan: RunPlan) -> RunResult:
        value = {"rule": "rule-1", "site": "mount.umount", "action": "error(EBUSY)", "vol": "pvc-1"}
        events = [Event(at, 0.0, "info", "fault", "mount.umount", value=value | {"ordinal": at}) for at in (2, 5)]
        chance, right = plan.faults == ("mount.umount: 30%error(EBUSY)",), "#5" in plan.faults[0]
        return ran(plan, *(["left pvc-1"] if chance or right else []), events=tuple(events))

    monkeypatch.setattr(module, "run_plan", run)
    found = shrink(replace(BIG, faults=("mount.umount: 30%error(EBUSY)",)))
    assert found.plan.faults == ("mount.umount{vol=pvc-1}: #5 error(EBUSY)",)


def test_a_smaller_workload_may_need_another_schedule(fails: Callable[..., Smallest]) -> None:
    """With one client the two steps that mattered are others; only a walk meets them."""

    def needs(plan: RunPlan) -> bool:
        return ({11, 12} if plan.clients == 1 else {17, 300}) <= set(tape_of(plan).picks)

    found = fails(needs)
    assert found.plan.clients == 1
    assert set(Tape.load(found.plan.tape).picks) == {11, 12}


def test_the_kind_of_failure_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(plan: RunPlan) -> RunResult:
        return ran(plan, *(["left pvc-1", "lost pvc-1"] if plan.does(1, 1) else ["lost pvc-1"]))

    monkeypatch.setattr(module, "run_plan", run)
    assert shrink(BIG).plan.only == ("1.1",)
    assert shrink(BIG, "I3: lost #").signature == "I3: lost #"
    with pytest.raises(NotReproduced, match="fails otherwise than by 'I3: burnt #': 'I3: left #'"):
        shrink(BIG, "I3: burnt #")


def test_it_stops_at_its_bounds_with_what_it_has(fails: Callable[..., Smallest]) -> None:
    found = fails(lambda plan: plan.does(2, 3), bounds=Bounds(runs=9))
    assert (found.runs, found.finished) == (9, False)
    assert found.plan.does(2, 3)


def test_what_does_not_fail_and_what_does_not_repeat_are_refused(fails: Callable[..., Smallest]) -> None:
    with pytest.raises(NotReproduced, match="seed 1 does not fail"):
        fails(lambda _plan: False)
    with pytest.raises(ValueError, match="real sockets"):
        shrink(replace(BIG, real=True))


def test_a_real_run_comes_down_to_few_operations_and_repeats_itself() -> None:
    mix = Mix(BROKEN)
    plan = next(plan for plan in map(mix.plan_of, range(50)) if run_plan(plan).report.verdict == "violation")
    found = shrink(plan)
    assert (found.signature, found.deviations, found.finished) == (UNLOCKED, 0, True)
    assert 2 <= len(found.plan.only) <= 5
    known = parse_token(found.result.report.replay.removeprefix("csisim replay "))
    again = run_plan(known.plan)
    assert again.report.trace_hash == known.trace_hash == found.result.report.trace_hash
    assert found.result.events
    assert found.cpu_ms > 0


def test_deviations_are_those_of_the_run_whatever_made_its_schedule() -> None:
    assert deviations_of(ran(BIG)) == deviations_of(ran(replace(BIG, strategy="fifo", tape=WALKED.dump()))) == 402
    assert deviations_of(ran(replace(BIG, strategy="fifo"))) == 0


def test_a_strategy_that_had_to_be_kept_is_not_taken_for_fifo(fails: Callable[..., Smallest]) -> None:
    found = fails(lambda plan: plan.strategy == "walk")
    assert (found.plan.strategy, found.deviations) == ("walk", 402)


def test_what_comes_after_the_failure_goes_first() -> None:
    """Whatever fails depends on what was before: of ten rounds only the first six do."""
    asked: list[int] = []

    def needs(plan: RunPlan) -> bool:
        asked.append(max(int(each.split(".")[1]) for each in plan.only or ("1.10",)))
        return asked[-1] >= 6

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "run_plan", lambda each: ran(each, *(["left pvc-1"] if needs(each) else [])))
        assert shrink(replace(BIG, strategy="fifo"), bounds=Bounds(runs=7)).plan.operations == 10
    assert asked[:6] == [10, 10, 5, 7, 6, 6]


def test_where_many_steps_seem_to_matter_few_anywhere_or_another_seed_may_do(fails: Callable[..., Smallest]) -> None:
    """The walk's first twenty steps are needed together; or one step out of order at an early moment; or another seed."""

    def by_a_step(plan: RunPlan) -> bool:
        picks = tape_of(plan).picks
        return set(range(20)) <= set(picks) or (plan.seed == 1 and len(picks) == 1 and bool(plan.tape))

    one = fails(by_a_step)
    assert (one.deviations, one.plan.seed) == (1, 1)
    other = fails(lambda plan: plan.seed == 3 or set(range(20)) <= set(tape_of(plan).picks))
    assert (other.deviations, other.plan.seed, other.plan.strategy) == (0, 3, "fifo")


def test_where_the_cause_is_known_another_thing_that_the_same_check_says_will_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def run(plan: RunPlan) -> RunResult:
        walked = set(range(20)) <= set(tape_of(plan).picks)
        return ran(plan, *(["left pvc-1"] if walked else ["lost it"] if plan.seed == 3 else []))

    monkeypatch.setattr(module, "run_plan", run)
    strict, loose = (shrink(BIG, bounds=Bounds(runs=900), loosely=each) for each in (False, True))
    assert (strict.deviations, strict.signature) == (20, "I3: left #")
    assert (loose.deviations, loose.signature, loose.plan.seed) == (0, "I3: lost it", 3)
