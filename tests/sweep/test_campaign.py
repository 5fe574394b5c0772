"""The whole sweep over few sites, in this process."""

from concurrent.futures import BrokenExecutor, Future

import pytest

from csisim.executors import Inline
from csisim.sweep import campaign, work
from csisim.sweep.campaign import Order, Sweep, by_site, sweep
from csisim.sweep.cases import Case


@pytest.fixture(scope="module")
def recorded():
    return work.record_stories("nfs", 1)


@pytest.fixture
def told(monkeypatch, recorded):
    """What progress is told; the stories are recorded once for all of these tests."""
    monkeypatch.setattr(work, "record_stories", lambda _protocol, _seed: recorded)
    return []


def order_of(*cases):
    return Order(protocols=("nfs",), seed=3, cases=cases)


def run(told, **order):
    found = Sweep(Order(**{"protocols": ("nfs",), "seed": 3} | order))
    sweep(found, Inline(), lambda *counts: told.append(counts))
    assert found.complete
    return found


def test_every_passing_of_the_sites_that_are_meant_is_failed_once_per_kind(told):
    result = run(told, site="file.remove*")

    rows = {row[0]: row[1:] for row in by_site(result)}
    mounts = result.passes["nfs", "mount"]["file.remove"] + result.passes["nfs", "copies"]["file.remove"]
    assert rows == {
        "file.remove": (mounts, mounts * 3, mounts * 3, 0),
        "file.remove.after": (mounts, mounts * 4, mounts * 4, 0),
    }
    assert result.violations == []
    assert result.fired == len(result.outcomes) == len({outcome.case for outcome in result.outcomes})
    assert told[0] == (0, result.fired, 0)
    assert told[-1] == (result.fired, result.fired, 0)


def test_a_limit_takes_some_of_them_and_the_same_seed_takes_the_same(told):
    order = {"site": "link.*", "limit": 3}

    first, second, other = run(told, **order), run(told, **order), run(told, **order, seed=4)

    assert len(first.outcomes) == 3
    assert [outcome.case for outcome in first.outcomes] == [outcome.case for outcome in second.outcomes]
    assert [outcome.case for outcome in first.outcomes] != [outcome.case for outcome in other.outcomes]


def test_cases_that_are_named_are_run_alone(told):
    case = Case("nfs", "mount", "rpc.DeleteVolume.after", 1, "error(INTERNAL)")

    result = run(told, cases=(case,))

    assert [outcome.case for outcome in result.violations] == [case]
    assert told[-1] == (1, 1, 1)
    assert list(by_site(result)) == [("rpc.DeleteVolume.after", 0, 1, 1, 1)]


def test_passings_that_were_not_recorded_are_found_and_failed_too(monkeypatch, told, recorded):
    there = recorded["mount"]["file.write"]
    one_less = recorded["mount"] | {"file.write": there - 1}
    monkeypatch.setattr(work, "record_stories", lambda _protocol, _seed: {"mount": one_less})

    cases = [outcome.case for outcome in run(told, site="file.write").outcomes]

    assert [case.ordinal for case in cases] == [number for number in range(1, there + 1) for _ in range(3)]
    assert told[-1] == (len(cases), len(cases), 0)
    assert told[-1][0] == there * 3


def test_a_site_that_no_story_passes_is_refused(told):
    with pytest.raises(ValueError, match="no story passes a site like 'device"):
        run(told, site="device.*")


def test_what_goes_wrong_in_a_worker_is_raised():
    with pytest.raises(ValueError, match="there is no site"):
        sweep(Sweep(order_of(Case("nfs", "mount", "x.y", 1, "drop"))), Inline(), lambda *_counts: None)


class Dying(Inline):
    """Its worker dies of the second piece of work."""

    submitted = 0

    def submit(self, fn, /, *args, **kwargs):
        self.submitted += 1
        if self.submitted != 2:
            return super().submit(fn, *args, **kwargs)
        future = Future()
        future.set_exception(BrokenExecutor("a worker was killed"))
        return future


def test_what_was_found_before_a_worker_died_is_there(monkeypatch, told):
    monkeypatch.setattr(campaign, "_BATCH", 1)
    cases = [Case("nfs", "mount", "rpc.DeleteVolume.after", 1, fault) for fault in ("error(INTERNAL)", "drop")]
    found = Sweep(order_of(*cases))

    with pytest.raises(BrokenExecutor):
        sweep(found, Dying(), lambda *counts: told.append(counts))

    assert [outcome.case for outcome in found.outcomes] == cases[:1]
    assert (found.known, len(found.violations), found.complete) == (2, 1, False)
    assert told == [(0, 2, 0), (1, 2, 1)]
