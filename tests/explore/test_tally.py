"""What a campaign comes to does not depend on who ran which seeds, nor on the order of the results."""

import random
from itertools import pairwise

import pytest

from csisim.explore.records import Chunk, Failure, Record, Shrunk, weight
from csisim.explore.tally import Disagreement, Tally, tally_of


def chunk(start: int, stop: int, bad: int = 0, salt: str = "") -> Chunk:
    digest = sum(weight(seed, f"{seed}{salt}", "ok") for seed in range(start, stop)) % (1 << 128)
    return Chunk(start=start, stop=stop, verdicts={"ok": stop - start - bad, "violation": bad, "unknown": 0},
                 digest=f"{digest:032x}", cpu_ms=1.0, steps=2, calls=3, faults_fired=4, virtual_s=5.0)  # fmt: skip


def failure(seed: int, signature: str = "I3: left #", **plan: int) -> Failure:
    return Failure(seed=seed, verdict="violation", signature=signature, summary=f"left {seed}", plan={"seed": seed, **plan},
                   trace_hash="", replay=f"csi1-{seed}", version="1")  # fmt: skip


def shrunk(signature: str, deviations: int, operations: int = 2) -> Shrunk:
    return Shrunk(signature=signature, seed=1, deviations=deviations, operations=operations, rules=0, firings=0, runs=9,
                  cpu_ms=1.0, replay="csi1-s", finished=True)  # fmt: skip


def test_the_digest_depends_on_the_seeds_alone() -> None:
    rng, one = random.Random(1), tally_of([chunk(0, 100)])
    for _ in range(20):
        cuts = [0, *sorted(rng.sample(range(1, 100), 6)), 100]
        parts = [chunk(start, stop) for start, stop in pairwise(cuts)]
        rng.shuffle(parts)
        assert tally_of(parts).digest == one.digest
    assert tally_of([chunk(0, 99)]).digest != one.digest


def test_sums_are_kept() -> None:
    tally = tally_of([chunk(0, 10, bad=2), chunk(10, 15)])
    assert (tally.runs, tally.counts) == (15, {"ok": 13, "violation": 2, "unknown": 0})
    assert (tally.cpu_ms, tally.steps, tally.calls, tally.faults_fired, tally.virtual_s) == (2.0, 4, 6, 8, 10.0)


def test_the_same_chunk_counts_once() -> None:
    tally = Tally()
    assert tally.add(chunk(0, 10))
    assert not tally.add(chunk(0, 10))
    assert tally.runs == 10


def test_the_same_seeds_with_another_digest_are_refused() -> None:
    with pytest.raises(Disagreement, match="seeds 0:10 have the digests"):
        tally_of([chunk(0, 10), chunk(0, 10, salt="other code")])


@pytest.mark.parametrize("other", [(0, 5), (5, 15), (8, 12), (0, 30)])
def test_chunks_that_overlap_are_refused(other: tuple[int, int]) -> None:
    with pytest.raises(Disagreement, match="overlap"):
        tally_of([chunk(3, 10), chunk(10, 20), chunk(*other)])


def test_what_is_missing_is_what_lies_between() -> None:
    tally = tally_of([chunk(5, 10), chunk(20, 30)])
    assert tally.missing(range(40)) == [range(5), range(10, 20), range(30, 40)]
    assert tally.missing(range(7, 25)) == [range(10, 20)]
    assert tally.missing(range(20, 30)) == []
    assert tally.missing(range(32, 35)) == [range(32, 35)]
    assert Tally().missing(range(3)) == [range(3)]


def test_failures_are_grouped_and_the_one_with_the_fewest_operations_is_the_example() -> None:
    tally = tally_of([failure(9, clients=8), failure(4), failure(2, clients=2, operations=3), failure(7, "I1: gone")])
    first, second = tally.ordered()
    assert (first.signature, first.count, first.seeds, first.example.seed) == ("I3: left #", 3, [2, 4, 9], 2)
    assert (second.signature, second.count) == ("I1: gone", 1)


def test_a_failure_that_comes_twice_counts_once() -> None:
    tally = tally_of([failure(9), failure(9), failure(3)])
    assert tally.groups["I3: left #"].count == 2


def test_of_two_shrunk_runs_the_smaller_one_stays_and_one_without_its_failure_is_passed_over() -> None:
    records: list[Record] = [
        shrunk("I3: left #", 2),
        shrunk("I3: left #", 1, 5),
        shrunk("I3: left #", 1, 7),
        shrunk("I9: x", 0),
        failure(1),
    ]
    tally = tally_of(records)
    best = tally.groups["I3: left #"].shrunk
    assert best is not None
    assert (best.deviations, best.operations) == (1, 5)
    assert set(tally.groups) == {"I3: left #"}


def test_what_is_written_again_is_what_counts() -> None:
    records: list[Record] = [
        failure(1),
        chunk(10, 12),
        chunk(0, 10),
        failure(1),
        chunk(0, 10),
        shrunk("I3: left #", 3),
        shrunk("I3: left #", 0),
    ]
    kept = list(tally_of(records).records(records))
    assert kept == [failure(1), chunk(0, 10), chunk(10, 12), shrunk("I3: left #", 0)]
