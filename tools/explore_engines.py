"""Run the same seeds by every engine that `csisim explore` has, and compare the digests.

Usage: python tools/explore_engines.py A:B [JOBS]
"""

import os
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

from csisim.executors import Workplace, dask, processes
from csisim.explore.campaign import campaign
from csisim.explore.mix import Mix
from csisim.explore.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Iterator

_SHARDS = 4


@contextmanager
def local_cluster(jobs: int) -> "Iterator[Workplace]":
    """A Dask scheduler and workers of its own on this machine."""
    import distributed  # noqa: PLC0415 - only here, and only where it is installed

    cluster_of: Any = distributed.LocalCluster  # it says that it is typed, and is not
    with (
        cluster_of(n_workers=jobs, threads_per_worker=1, dashboard_address=None) as cluster,
        dask(cluster.scheduler_address) as place,
    ):
        yield place


def shards(seeds: range) -> list[range]:
    """As --shard divides them, the last first."""
    cuts = [seeds.start + len(seeds) * number // _SHARDS for number in range(_SHARDS + 1)]
    return [range(cuts[number], cuts[number + 1]) for number in reversed(range(_SHARDS))]


def digest(name: str, parts: list[range], place: AbstractContextManager[Workplace]) -> str:
    """One row of the table."""
    tally, begun_s = Tally(), time.perf_counter()
    with place as there:
        campaign(Mix(), parts, there, tally)
    duration_s = time.perf_counter() - begun_s
    print(
        f"{name:<12} {tally.runs:>7} runs {tally.runs / duration_s:>7.1f}/s  {tally.counts}  {tally.digest}", flush=True
    )
    return tally.digest


def main(span: str, jobs: int) -> int:
    """Exit status 0 if all digests are equal, 1 if not."""
    first, _, last = span.partition(":")
    seeds = range(int(first), int(last))
    engines: list[tuple[str, list[range], Callable[[], AbstractContextManager[Workplace]]]] = [
        ("inline", [seeds], lambda: processes(1)),
        ("processes", [seeds], lambda: processes(jobs)),
        ("dask", [seeds], lambda: local_cluster(jobs)),
        ("four shards", shards(seeds), lambda: processes(jobs)),
    ]
    found = {digest(name, parts, place()) for name, parts, place in engines}
    print("equal" if len(found) == 1 else "NOT EQUAL")
    return 0 if len(found) == 1 else 1


if __name__ == "__main__":
    if len(sys.argv) not in {2, 3}:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) == 3 else max(2, os.cpu_count() or 2)))
