"""Many seeds on any executor: chunks of about a second, results as they come, and no waiting for what has died."""

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Any, Final

from csisim.executors import Workplace
from csisim.explore.code import version
from csisim.explore.journal import Writer
from csisim.explore.mix import Mix
from csisim.explore.tally import Tally
from csisim.explore.work import run_chunk

_CHUNK_S: Final = 0.75
_FIRST_RUNS: Final = 4
_MOST_RUNS: Final = 2000
_AHEAD: Final = 2
_SILENCE_S: Final = 600.0

Progress = Callable[[Tally], None]
"""Told after each chunk."""


class Silence(Exception):
    """No worker has given anything for too long; says which seeds were being run."""


def campaign(
    mix: Mix,
    seeds: Iterable[range],
    place: Workplace,
    tally: Tally,
    *,
    writer: Writer | None = None,
    progress: Progress | None = None,
    silence_s: float = _SILENCE_S,
) -> None:
    """Run all seeds; what is done is in the tally and in the file, however this ends.

    Args:
        mix: what the runs are like.
        seeds: which.
        place: where they run; its tasks are `csisim.explore.work.run_chunk`.
        tally: the results are added to it.
        writer: they are written there too.
        progress: told after each chunk.
        silence_s: how long nothing may come.

    Raises:
        Silence: nothing has come for so long.
        Exception: what a worker raised, with its traceback; `concurrent.futures.BrokenExecutor` where one has died.
    """
    todo = _Todo(seeds)
    data = mix.to_json()
    pending: dict[Future[Any], range] = {}
    try:
        while todo or pending:
            while todo and len(pending) < _AHEAD * place.workers:
                chunk = todo.take(place.workers)
                pending[place.executor.submit(run_chunk, data, chunk.start, chunk.stop, version())] = chunk
            done, _ = wait(pending, silence_s, FIRST_COMPLETED)
            if not done:
                running = ", ".join(f"{each.start}:{each.stop}" for each in pending.values())
                raise Silence(f"no result for {silence_s:g} s; the seeds {running} were being run")
            for future in sorted(done, key=lambda each: pending[each].start):
                del pending[future]
                result, failures = future.result()
                if writer is not None:
                    writer.add(*failures, result)
                for record in (*failures, result):
                    tally.add(record)
                todo.took(result.cpu_ms / 1000, result.stop - result.start)
                if progress is not None:
                    progress(tally)
    finally:
        for future in pending:
            future.cancel()


class _Todo:
    """What is left to be run, in pieces of a useful length: long ones cost less, short ones show more.

    Args:
        seeds: all of it.
    """

    def __init__(self, seeds: Iterable[range]) -> None:
        self._left = deque(each for each in seeds if each)
        self._run_s = _CHUNK_S / _FIRST_RUNS

    def __bool__(self) -> bool:
        return bool(self._left)

    def took(self, duration_s: float, runs: int) -> None:
        """Some runs took so long."""
        self._run_s = 0.7 * self._run_s + 0.3 * duration_s / runs

    def take(self, workers: int) -> range:
        """The next piece."""
        fair = -(-sum(map(len, self._left)) // workers)  # towards the end everybody gets something
        runs = max(1, min(round(_CHUNK_S / max(self._run_s, 1e-6)), fair, _MOST_RUNS))
        first = self._left.popleft()
        if rest := first[runs:]:
            self._left.appendleft(rest)
        return first[:runs]
