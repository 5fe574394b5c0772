"""Many seeds and what they come to."""

from dataclasses import replace

from csisim.runs.many import Tally, run_seeds
from csisim.runs.plan import RunPlan

PLAN = RunPlan(seed=0, clients=1, operations=2, volumes=1, faults=("none",))


def test_runs_are_added_up_and_their_hashes_are_one_digest():
    results = list(run_seeds(PLAN, range(3, 6)))
    assert [each.report.seed for each in results] == [3, 4, 5]
    tally, again, other = Tally(), Tally(), Tally()
    for result in results:
        tally.add(result)
        again.add(result)
    for result in results[:2]:
        other.add(result)
    assert (tally.runs, tally.counts) == (3, {"ok": 3, "violation": 0, "unknown": 0})
    assert tally.calls == sum(each.report.calls for each in results)
    assert tally.worst is results[0]
    assert tally.digest == again.digest != other.digest


def test_the_first_of_the_worst_is_kept():
    (ok,) = run_seeds(PLAN, [1])
    unknown, first, second = (
        replace(ok, report=replace(ok.report, seed=seed, verdict=verdict))
        for seed, verdict in ((2, "unknown"), (3, "violation"), (4, "violation"))
    )
    tally = Tally()
    for result in (ok, unknown, first, second):
        tally.add(result)
    assert tally.worst is first
    assert (tally.violating, tally.unknown) == ([3, 4], [2])
