"""Every schedule of a whole run: the count is right, a bug that hides from FIFO is found, an early end is no proof."""

from dataclasses import replace

import pytest

from csisim.runs.exhaust import Exhausting, in_lockstep
from csisim.runs.plan import BadPlan, RunPlan
from csisim.runs.run import run_plan

TINY = in_lockstep(RunPlan(seed=21, clients=2, operations=1, volumes=2, nodes=1, protocols=("nfs",), faults=("none",)))
# In no order but one that is a little odd does one client walk over the counts while another one changes them.
COUNTED = in_lockstep(replace(TINY, seed=22, clients=3, operations=3, volumes=1, mutant="M-COUNT"))


def exhausted(plan: RunPlan, deviations: int, budget: int = 1000) -> Exhausting:
    found = Exhausting(plan, deviations, budget)
    for tally in found.run():
        assert tally is found.tally
    return found


def test_in_lockstep_time_passes_only_where_the_program_waits():
    assert (TINY.network_s, TINY.nas_s, TINY.think_s, TINY.strategy) == ((0, 0), (0, 0), (0, 0), "fifo")
    assert run_plan(TINY).report.virtual_s < run_plan(replace(TINY, think_s=(0.5, 0.5))).report.virtual_s - 0.4


def test_a_small_program_is_exhausted_and_the_number_of_its_schedules_is_that_of_the_choices():
    plan = replace(TINY, clients=1, operations=0)
    choices = run_plan(plan).choices
    found = exhausted(plan, 1)
    assert (found.verdict, found.exhausted) == ("ok", True)
    assert found.tally.runs == found.schedules == 1 + sum(each - 1 for each in choices) > 30
    assert found.tally.counts == {"ok": found.tally.runs, "violation": 0, "unknown": 0}


def test_a_bug_that_needs_one_odd_choice_is_proved_absent_without_and_found_with_it():
    without = exhausted(COUNTED, 0)
    assert (without.verdict, without.exhausted, without.tally.runs) == ("ok", True, 1)
    found = exhausted(COUNTED, 2)
    assert (found.verdict, found.exhausted) == ("violation", False)
    assert found.tally.counts["violation"] == 1
    assert 1 < found.tally.runs < found.schedules
    worst = found.tally.worst
    assert worst is not None
    assert (worst.report.strategy, len(worst.deviations)) == ("tape", 1)
    again = run_plan(RunPlan.from_json(worst.report.plan))
    assert (again.report.trace_hash, again.report.verdict) == (worst.report.trace_hash, "violation")


def test_a_budget_that_ends_it_leaves_the_verdict_open():
    found = exhausted(TINY, 1, budget=3)
    assert (found.verdict, found.exhausted, found.tally.runs) == ("unknown", False, 3)
    assert found.schedules == 1 + sum(each - 1 for each in run_plan(TINY).choices)


def test_a_budget_that_is_just_enough_is_enough():
    assert exhausted(TINY, 0, budget=1).verdict == "ok"


@pytest.mark.parametrize(
    ("plan", "deviations", "budget", "said"),
    [
        (TINY, -1, 1, "deviations: -1"),
        (TINY, 11, 1, "deviations: 11"),
        (TINY, 1, 0, "budget: 0 schedules"),
        (replace(TINY, real=True), 1, 1, "real: "),
        (replace(TINY, tape='{"picks":[]}'), 1, 1, "tape: "),
    ],
)
def test_what_cannot_be_exhausted_is_refused(plan, deviations, budget, said):
    with pytest.raises(BadPlan, match=said):
        Exhausting(plan, deviations, budget)
