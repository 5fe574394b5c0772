"""The steps that decide: out of order, or broken by a fault; where neither is needed, what the check names."""

from dataclasses import replace

from csisim.check.verdicts import Violation
from csisim.events import Event
from csisim.explore.marks import deciding
from csisim.runs.plan import RunPlan
from csisim.runs.run import run_plan
from csisim.sim.tape import Tape
from tests.explore.test_shrink import BIG, ran

EVENTS = tuple(Event(seq, 0.0, "info", "fault" if seq == 30 else "call", "f") for seq in range(1, 41))


def test_steps_out_of_order_and_faults_are_marked_in_order() -> None:
    result = replace(ran(BIG, "left pvc-1", events=EVENTS), deviations=(35, 12, 12, 99))
    assert deciding(result) == [12, 30, 35, 40]


def test_where_neither_is_needed_the_last_event_of_the_first_violation_is_marked() -> None:
    result = ran(BIG, events=EVENTS[:20])
    found = (Violation("I3", "left", "why", (3, 9)), Violation("I1", "gone", "why", (4,)))
    assert deciding(replace(result, report=replace(result.report, violations=found))) == [9]
    assert deciding(result) == []


def test_a_run_that_follows_a_tape_says_where_it_did() -> None:
    plan = RunPlan(seed=3, clients=2, operations=3, volumes=1, faults=("none",), tape=Tape({40: 1}, {60: 0.01}).dump())
    result = run_plan(plan, keep_events=True)
    assert len(result.deviations) == 2
    assert 1 <= result.deviations[0] <= result.deviations[1] <= result.events[-1].seq
    assert Tape.load(result.tape) == Tape({40: 1}, {60: 0.01})
    assert run_plan(RunPlan(seed=3, clients=1, operations=1, volumes=1, faults=("none",))).deviations == ()
