"""Campaigns: the same digest everywhere, chunks of a useful length, and an end when a worker dies."""

import os
from concurrent.futures import BrokenExecutor, Executor, Future
from pathlib import Path
from typing import Any

import pytest

from csisim.executors import Inline, Workplace, dask, processes
from csisim.explore import campaign as module
from csisim.explore import work
from csisim.explore.campaign import Silence, campaign
from csisim.explore.code import version
from csisim.explore.journal import Writer, read
from csisim.explore.mix import Mix
from csisim.explore.records import Chunk, Failure, weight
from csisim.explore.tally import Tally, tally_of
from tests.explore.samples import BROKEN, TINY, UNLOCKED

SEEDS = range(8)
INLINE = Workplace(Inline(), 1)


def result_of(mix: Mix, *seeds: range, place: Workplace = INLINE) -> Tally:
    tally = Tally()
    campaign(mix, seeds, place, tally)
    return tally


@pytest.fixture(scope="module")
def digest() -> str:
    return result_of(Mix(TINY), SEEDS).digest


def test_four_shards_in_any_order_have_the_digest_of_the_whole(digest: str) -> None:
    tally = result_of(Mix(TINY), range(6, 8), range(2), range(4, 6), range(2, 4))
    assert (tally.digest, tally.runs) == (digest, 8)


def test_processes_with_other_hashes_of_texts_have_the_same(digest: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    with processes(2) as place:
        tally = result_of(Mix(TINY), SEEDS, place=place)
    assert (tally.digest, tally.runs) == (digest, 8)


@pytest.mark.usefixtures("with_dask")
def test_a_dask_cluster_has_the_same(digest: str) -> None:
    import distributed

    options: dict[str, Any] = {"n_workers": 1, "threads_per_worker": 2, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster, dask(cluster.scheduler_address) as place:
        assert place.workers == 2
        tally = result_of(Mix(TINY), SEEDS, place=place)
    assert (tally.digest, tally.runs) == (digest, 8)


def test_a_campaign_that_was_stopped_goes_on_from_its_file(tmp_path: Path, digest: str) -> None:
    path = tmp_path / "a.jsonl"
    tally = Tally()

    def stop(so_far: Tally) -> None:
        if so_far.runs >= 4:
            raise KeyboardInterrupt

    with Writer.begin(path.open("xb"), Mix(TINY), SEEDS) as writer, pytest.raises(KeyboardInterrupt):
        campaign(Mix(TINY), [SEEDS], INLINE, tally, writer=writer, progress=stop)
    journal = read(path)
    again = tally_of(journal.records)
    assert (again.runs, again.digest) == (tally.runs, tally.digest)
    missing = again.missing(journal.seeds)
    assert sum(map(len, missing)) == 8 - tally.runs > 0
    with Writer.go_on(path, journal) as writer:
        campaign(journal.mix, missing, INLINE, again, writer=writer)
    assert (again.digest, again.missing(SEEDS)) == (digest, [])
    assert tally_of(read(path).records).digest == digest


def test_failures_are_written_before_their_chunk_so_that_none_is_lost(tmp_path: Path) -> None:
    path, tally = tmp_path / "a.jsonl", Tally()
    with Writer.begin(path.open("xb"), Mix(BROKEN), range(4)) as writer:
        campaign(Mix(BROKEN), [range(4)], INLINE, tally, writer=writer)
    *failures, chunk = read(path).records
    assert isinstance(chunk, Chunk)
    assert all(isinstance(each, Failure) for each in failures)
    assert len(failures) == tally.counts["violation"] == tally.groups[UNLOCKED].count > 0


class Counting(Executor):
    """Says how long a run takes, and remembers what it was asked for."""

    def __init__(self, run_ms: float) -> None:
        self.run_ms = run_ms
        self.chunks: list[range] = []

    def submit(self, fn: Any, /, *args: Any, **named: Any) -> Future[Any]:
        assert fn is work.run_chunk
        _, start, stop, code = args
        assert code == version()
        self.chunks.append(range(start, stop))
        digest = sum(weight(seed, "", "ok") for seed in range(start, stop)) % (1 << 128)
        chunk = Chunk(start=start, stop=stop, verdicts={"ok": stop - start, "violation": 0, "unknown": 0},
                      digest=f"{digest:032x}", cpu_ms=self.run_ms * (stop - start), steps=1, calls=1, faults_fired=0,
                      virtual_s=1.0)  # fmt: skip
        future: Future[Any] = Future()
        future.set_result((chunk, []))
        return future


@pytest.mark.parametrize(("run_ms", "least", "most"), [(5.0, 130, 170), (100.0, 7, 8), (3000.0, 1, 1)])
def test_chunks_become_as_long_as_is_useful(run_ms: float, least: int, most: int) -> None:
    executor = Counting(run_ms)
    result_of(Mix(TINY), range(2000), place=Workplace(executor, 2))
    middle = executor.chunks[len(executor.chunks) // 2]
    assert len(executor.chunks[0]) == 4
    assert least <= len(middle) <= most
    assert sorted(seed for chunk in executor.chunks for seed in chunk) == list(range(2000))


def test_towards_the_end_everybody_gets_something() -> None:
    executor = Counting(1.0)
    result_of(Mix(TINY), range(400), place=Workplace(executor, 8))
    assert all(len(chunk) <= -(-(400 - chunk.start) // 8) for chunk in executor.chunks)


def die(*_arguments: object) -> None:
    """What a worker does that is killed."""
    os._exit(9)


def test_a_worker_that_dies_ends_the_campaign(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "run_chunk", die)
    with pytest.raises(BrokenExecutor), processes(2) as place:
        result_of(Mix(TINY), range(1000), place=place)


def test_an_error_in_a_worker_ends_the_campaign_with_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*_arguments: object) -> None:
        raise ZeroDivisionError("in a worker")

    monkeypatch.setattr(module, "run_chunk", wrong)
    with pytest.raises(ZeroDivisionError, match="in a worker") as caught:
        result_of(Mix(TINY), range(1000))
    assert any(entry.name == "wrong" for entry in caught.traceback)


class Deaf(Executor):
    """Never gives anything."""

    def __init__(self) -> None:
        self.futures: list[Future[Any]] = []

    def submit(self, fn: Any, /, *args: Any, **named: Any) -> Future[Any]:
        self.futures.append(Future())
        return self.futures[-1]


def test_a_worker_that_says_nothing_ends_the_campaign_and_what_waits_is_cancelled() -> None:
    deaf = Deaf()
    with pytest.raises(Silence, match=r"no result for 0\.001 s; the seeds 0:4, 4:7, 7:9, 9:10 were being run"):
        campaign(Mix(TINY), [range(10)], Workplace(deaf, 2), Tally(), silence_s=0.001)
    assert all(future.cancelled() for future in deaf.futures)
