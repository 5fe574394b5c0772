"""Hunts: independent campaigns, other ways to search beside them, and hits that are brought down and done again."""

import pytest

from csisim.executors import Inline, Workplace
from csisim.explore.hunt import AGAINST, Terms, hunt
from csisim.explore.hunted import PATIENT, REAL
from csisim.explore.shrink import Bounds
from csisim.mutants.registry import find
from tests.explore.samples import BROKEN, TINY, UNLOCKED

PLACE = Workplace(Inline(), 1)
MUTANT = find("M-NOLOCK")
MEMBERS = {name: value for name, value in BROKEN.items() if name != "mutant"}


def test_a_mutant_is_found_in_every_campaign_and_each_hit_repeats_itself() -> None:
    told: list[tuple[int, int]] = []
    terms = Terms(campaigns=2, cap=40, members=MEMBERS, shrink=Bounds(runs=8), shrunk=1, first=500)
    found = hunt(MUTANT, PLACE, terms, lambda over, runs: told.append((over, runs)))
    effort = found.effort
    assert (found.name, found.origin, found.race) == ("M-NOLOCK", MUTANT.origin, True)
    assert (effort.found, effort.hits, effort.campaigns) == (True, 2, 2)
    assert all(1 <= each <= 40 for each in effort.schedules)
    assert effort.runs == sum(effort.schedules) == told[-1][1]
    assert told[-1][0] == 2
    (shrunk,) = found.shrunk
    assert (shrunk.signature, shrunk.deviations) == (UNLOCKED, 0)
    assert 500 <= shrunk.seed < 580
    assert (found.replays, found.reproduced) == (3, 3)
    assert found.against == {}


def test_what_is_not_found_within_the_cap_is_said_so() -> None:
    found = hunt(MUTANT, PLACE, Terms(campaigns=2, cap=2, members=TINY))
    assert (found.effort.found, found.effort.hits, found.effort.runs) == (False, 0, 4)
    assert (found.shrunk, found.replays) == ((), 0)


def test_another_way_to_search_has_the_same_runs_but_for_what_it_is_and_ends_with_its_time() -> None:
    terms = Terms(campaigns=1, cap=60, members={**MEMBERS, "strategy": "walk"}, shrink=None, against=("fifo",))
    found = hunt(MUTANT, PLACE, terms)
    assert (found.shrunk, found.replays, found.reproduced) == ((), 1, 1)
    assert found.against["fifo"].found
    mixes = terms.mixes(MUTANT)
    assert list(mixes) == ["", "fifo"]
    assert [mix.plan_of(3).strategy for mix in mixes.values()] == ["walk", "fifo"]
    ended = hunt(MUTANT, PLACE, Terms(campaigns=3, cap=1, members=TINY, against=("fifo",), against_s=1e-6))
    assert (ended.against["fifo"].runs, ended.effort.runs) == (2, 3)


def test_real_sockets_are_one_of_the_ways() -> None:
    assert AGAINST[REAL] == {"real": True}
    plans = [Terms(against=(each,)).mixes(MUTANT)[each].plan_of(0) for each in (REAL, PATIENT)]
    assert [(plan.real, plan.patient) for plan in plans] == [(True, False), (True, True)]


def test_a_way_that_there_is_not_and_a_member_that_there_is_not_are_refused() -> None:
    with pytest.raises(ValueError, match="'luck' is no other way to search: there are fifo, real, patient"):
        Terms(against=("luck",)).mixes(MUTANT)
    with pytest.raises(ValueError, match="colour"):
        Terms(members={"colour": "red"}).mixes(MUTANT)
