"""What hunts come to: means that also hold where not every campaign had a hit, and comparisons that do not flatter."""

import pytest

from csisim.explore.hunted import Effort, Hunted
from csisim.explore.records import Shrunk
from csisim.explore.statistics import wilson

OWN = Effort(campaigns=2, schedules=(3, 7), runs=10, cpu_ms=500.0, wall_ms=600.0)
NEVER = Effort(campaigns=2, schedules=(), runs=8, cpu_ms=900.0, wall_ms=20_000.0)
ONCE = Effort(campaigns=2, schedules=(4,), runs=12, cpu_ms=1000.0, wall_ms=30_000.0)


def shrunk(deviations: int, operations: int) -> Shrunk:
    return Shrunk(
        signature="I1: #", seed=1, deviations=deviations, operations=operations, rules=1, firings=0, runs=5, cpu_ms=1.0,
        replay=f"csi1-{deviations}-{operations}", finished=True,
    )  # fmt: skip


def hunted(own: Effort = OWN, *small: Shrunk, **against: Effort) -> Hunted:
    return Hunted(
        name="M-X", origin="there", race=True, effort=own, shrunk=small, replays=4, reproduced=3, against=against
    )


def test_one_object_says_all_of_it() -> None:
    shown = hunted(OWN, shrunk(2, 1), shrunk(0, 4), shrunk(0, 3), real=ONCE).to_json()
    assert {"name", "origin", "found", "campaigns", "schedules_mean", "cpu_ms_mean", "hit_rate", "deviations",
            "replayed"} <= set(shown)  # fmt: skip
    assert (shown["name"], shown["origin"], shown["race"], shown["found"]) == ("M-X", "there", True, True)
    assert (shown["schedules_mean"], shown["schedules_max"], shown["cpu_ms_mean"]) == (5.0, 7, 250.0)
    assert (shown["deviations"], shown["shrunk"], shown["operations"], shown["replay"]) == (2, 3, 3, "csi1-0-3")
    assert (shown["replays"], shown["replayed"]) == (4, 0.75)
    low, high = wilson(2, 10)
    assert (shown["hit_rate"], shown["hit_rate_low"], shown["hit_rate_high"]) == pytest.approx(
        (0.2, low, high), abs=1e-6
    )
    assert (shown["against"]["real"]["found"], shown["against"]["real"]["times_longer"]) == (False, 120.0)


def test_runs_of_campaigns_without_a_hit_count_too() -> None:
    shown = ONCE.to_json()
    assert (shown["found"], shown["hits"], shown["schedules_mean"], shown["wall_ms_mean"]) == (False, 1, 12.0, 30_000.0)


def test_what_was_never_found_has_no_mean_and_takes_longer_than_what_was_spent_on_it() -> None:
    shown = NEVER.to_json()
    assert (shown["schedules_mean"], shown["cpu_ms_mean"], shown["hit_rate"]) == (None, None, 0)
    assert shown["hit_rate_high"] > 0.3
    found = hunted(real=NEVER, fifo=NEVER)
    assert (found.times_longer("real"), found.times_longer("fifo")) == (80.0, 3.6)
    assert hunted(NEVER, real=OWN).times_longer("real") is None
    assert hunted().times_longer("real") is None


def test_nothing_shrunk_and_nothing_done_again_is_said_so() -> None:
    found = Hunted(name="M-X", origin="", race=False, effort=NEVER)
    shown = found.to_json()
    assert (shown["deviations"], shown["operations"], shown["rules"], shown["replayed"]) == (None, None, None, None)
    assert (shown["replay"], shown["against"], found.smallest) == ("", {}, None)
