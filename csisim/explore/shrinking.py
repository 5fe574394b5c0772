"""Each kind of failure of a campaign is shrunk once, from its run with the fewest operations."""

from collections.abc import Callable
from concurrent.futures import Future, as_completed
from typing import Any, Final

from csisim.executors import Workplace
from csisim.explore import work
from csisim.explore.journal import Writer
from csisim.explore.shrink import Bounds
from csisim.explore.tally import Group, Tally
from csisim.reports.text import plain

MOST: Final = 10
"""How many kinds of failure are shrunk, the most frequent first."""


def shrink_groups(
    tally: Tally,
    place: Workplace,
    *,
    writer: Writer | None = None,
    most: int = MOST,
    bounds: Bounds | None = None,
    told: Callable[[str], None] | None = None,
) -> None:
    """Shrink what was not shrunk yet; what is found is in the tally and in the file.

    Args:
        tally: of the campaign.
        place: where it is done.
        writer: of the file.
        most: how many kinds.
        bounds: of each.
        told: one line after each.
    """
    limits = bounds or Bounds()
    wanted = [group for group in tally.ordered()[:most] if group.shrunk is None]
    futures: dict[Future[Any], Group] = {}
    for group in wanted:
        order = (group.example.replay, group.signature, limits.runs, limits.cpu_s)
        futures[place.executor.submit(work.shrink_failure, *order)] = group
    try:
        for future in as_completed(futures):
            shrunk = future.result()
            if shrunk is None:
                _tell(told, futures[future], "could not be done again: another code, or not the same in every process")
                continue
            tally.add(shrunk)
            if writer is not None:
                writer.add(shrunk)
            _tell(told, futures[future], f"{shrunk.deviations} deviations, {shrunk.operations} operations, "
                                         f"{shrunk.rules} rules, after {shrunk.runs} runs")  # fmt: skip
    finally:
        for future in futures:
            future.cancel()


def _tell(told: Callable[[str], None] | None, group: Group, text: str) -> None:
    if told is not None:
        told(f"shrunk {plain(group.signature, 80)}: {text}")
