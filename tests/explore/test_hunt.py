"""Hunts: independent campaigns, what they come to, and a hit that is brought down and done again."""

import pytest

from csisim.executors import Inline, Workplace
from csisim.explore.hunt import Hunted, Terms, hunt
from csisim.explore.shrink import Bounds
from csisim.explore.statistics import wilson
from csisim.mutants.registry import find
from tests.explore.samples import BROKEN, TINY, UNLOCKED

PLACE = Workplace(Inline(), 1)
MUTANT = find("M-NOLOCK")
MEMBERS = {name: value for name, value in BROKEN.items() if name != "mutant"}


def test_a_mutant_is_found_in_every_campaign_and_its_smallest_run_repeats_itself() -> None:
    told: list[tuple[int, int]] = []
    terms = Terms(campaigns=2, cap=40, members=MEMBERS, shrink=Bounds(runs=8), replays=2, first=500)
    found = hunt(MUTANT, PLACE, terms, lambda over, runs: told.append((over, runs)))
    assert (found.name, found.origin, found.found, found.hits) == ("M-NOLOCK", MUTANT.origin, True, 2)
    assert all(1 <= each <= 40 for each in found.schedules)
    assert found.runs == sum(found.schedules) == told[-1][1]
    assert told[-1][0] == 2
    assert found.shrunk is not None
    assert found.shrunk.signature == UNLOCKED
    assert 500 <= found.shrunk.seed < 540
    assert (found.replays, found.reproduced) == (2, 2)
    shown = found.to_json()
    assert {"name", "origin", "found", "campaigns", "schedules_mean", "cpu_ms_mean", "hit_rate", "deviations",
            "replayed"} <= set(shown)  # fmt: skip
    assert (shown["replayed"], shown["deviations"], shown["campaigns"]) == (1.0, 0, 2)
    assert shown["schedules_mean"] == sum(found.schedules) / 2
    assert shown["hit_rate"] == pytest.approx(2 / found.runs, abs=1e-6)
    low, high = wilson(2, found.runs)
    assert (shown["hit_rate_low"], shown["hit_rate_high"]) == pytest.approx((low, high), abs=1e-6)


def test_what_is_not_found_within_the_cap_is_said_so() -> None:
    found = hunt(MUTANT, PLACE, Terms(campaigns=2, cap=2, members=TINY))
    shown = found.to_json()
    assert (found.found, found.hits, found.runs, found.shrunk) == (False, 0, 4, None)
    assert (shown["schedules_mean"], shown["deviations"], shown["replayed"], shown["hit_rate"]) == (None, None, None, 0)
    assert shown["hit_rate_high"] > 0.4


def test_one_campaign_of_two_is_not_enough() -> None:
    found = Hunted(name="M-X", origin="", campaigns=2, hits=1, schedules=(7,), cpu_ms=(70.0,), wall_ms=(80.0,), runs=107,
                   shrunk=None, replays=0, reproduced=0)  # fmt: skip
    assert not found.found
    assert (found.to_json()["schedules_mean"], found.to_json()["schedules_max"]) == (7.0, 7)
