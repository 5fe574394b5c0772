"""The steps of a run without which nothing would have gone wrong."""

from typing import Final

from csisim.explore.firings import firings
from csisim.reports.relevance import leading
from csisim.runs.report import RunResult

_MOST: Final = 12


def deciding(result: RunResult) -> list[int]:
    """The numbers of the events to be marked, in order.

    Where the schedule decides: the first events after each step that is out of order; and the faults that happened. In
    a run that was shrunk none of them can be left out. Where neither is needed, every such run goes wrong, and the last
    event that the check names is marked.

    Args:
        result: of a run that followed a tape, or had no need of one; with its events.
    """
    last = result.events[-1].seq if result.events else 0
    found = {min(seq, last) for seq in result.deviations} | {event.seq for event in firings(result.events)}
    return sorted(found)[:_MOST] or _named(result)


def _named(result: RunResult) -> list[int]:
    first = leading([each.to_json() for each in result.report.violations])[:1]
    named: list[int] = [seq for each in first for seq in each["events"]]
    return named[-1:]
