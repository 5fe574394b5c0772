"""What workers do: chunks of seeds, hits, and runs that are done again."""

import pytest

from csisim.explore.code import OtherCode, version
from csisim.explore.mix import Mix
from csisim.explore.records import weight
from csisim.explore.shrink import deviations_of
from csisim.explore.work import fails_so, first_hit, run_chunk, shrink_failure
from csisim.runs.replay import parse_token
from csisim.runs.run import run_plan
from tests.explore.samples import BROKEN, TINY, UNLOCKED


def test_a_chunk_sums_its_runs_up() -> None:
    mix = Mix(TINY)
    chunk, failures = run_chunk(mix.to_json(), 3, 5, version())
    reports = [run_plan(mix.plan_of(seed)).report for seed in (3, 4)]
    assert (chunk.start, chunk.stop, chunk.verdicts, failures) == (3, 5, {"ok": 2, "violation": 0, "unknown": 0}, [])
    assert chunk.calls == sum(report.calls for report in reports)
    assert chunk.steps == sum(report.steps for report in reports)
    assert int(chunk.digest, 16) == sum(weight(each.seed, each.trace_hash, "ok") for each in reports) % (1 << 128)
    assert chunk.cpu_ms > 0


def test_a_failure_has_what_does_it_again() -> None:
    _, failures = run_chunk(Mix(BROKEN).to_json(), 0, 4, version())
    failure = failures[0]
    assert (failure.signature, failure.verdict, failure.version) == (UNLOCKED, "violation", version())
    assert "csisim:capacity_bytes" in failure.summary
    known = parse_token(failure.replay)
    assert (known.plan.to_short_json(), known.trace_hash) == (failure.plan, failure.trace_hash)
    assert fails_so(failure.replay, UNLOCKED)
    assert not fails_so(failure.replay, "I1: something else")


def test_other_code_does_not_work_for_a_campaign() -> None:
    with pytest.raises(OtherCode, match=r"the campaign was begun by csisim 0\.0\.9"):
        run_chunk(Mix(TINY).to_json(), 0, 1, "0.0.9")


def test_a_search_ends_with_the_first_hit() -> None:
    found = first_hit(Mix(BROKEN).to_json(), ("races",), 0, 50, version())
    assert found.hit is not None
    assert (found.hit.signature, found.hit.seed) == (UNLOCKED, found.runs - 1)
    assert found.hit.operations == 16
    assert found.hit.deviations == deviations_of(run_plan(parse_token(found.hit.replay).plan))
    assert found.runs < 50
    assert found.cpu_ms > 0 < found.wall_ms


def test_a_search_on_real_sockets_takes_the_time_of_the_clock() -> None:
    found = first_hit(Mix(TINY | {"real": True}).to_json(), ("I1",), 0, 1, version())
    assert (found.runs, found.hit) == (1, None)
    assert found.cpu_ms > 0 < found.wall_ms


def test_a_check_that_is_not_asked_makes_no_hit() -> None:
    found = first_hit(Mix(TINY | {"mutant": "M-NOLOCK"}).to_json(), ("I15",), 0, 2, version())
    assert (found.runs, found.hit) == (2, None)


def test_a_run_that_does_not_fail_so_is_not_shrunk() -> None:
    token = run_plan(Mix(TINY).plan_of(1)).report.replay.removeprefix("csisim replay ")
    assert shrink_failure(token, UNLOCKED, 10, 10.0) is None
