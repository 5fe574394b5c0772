"""The rows in which a violation is told, the same on a terminal and on a page."""

from collections.abc import Iterator
from dataclasses import dataclass

from csisim.reports.record import Entry, Record
from csisim.reports.relevance import Explanation
from csisim.reports.words import what, who, whole


@dataclass(frozen=True, slots=True)
class Row:
    """One line of what happened.

    Attributes:
        entry: the event; of a call that is told whole, its beginning.
        end: the end of a call that is told whole.
        who, what: the sentence.
        shows: whether the check named it.
        skipped: how many events lie between the row before and this one.
    """

    entry: Entry
    end: Entry | None
    who: str
    what: str
    shows: bool
    skipped: int


def rows(explanation: Explanation, record: Record) -> Iterator[Row]:
    """Each event to tell; a call whose end is the next thing to tell is one row."""
    told = explanation.told
    last: int | None = None
    number = 0
    while number < len(told):
        entry = told[number]
        end = told[number + 1] if number + 1 < len(told) else None
        if entry.type != "invoke" or end is None or record.partner(entry) is not end:
            end = None
        sentence = whole(entry, end, record) if end else what(entry, record)
        shows = not explanation.shows.isdisjoint({entry.seq, end.seq if end else entry.seq})
        skipped = 0 if last is None else entry.seq - last - 1
        if end:
            skipped += end.seq - entry.seq - 1
        yield Row(entry, end, who(entry), sentence, shows, max(0, skipped))
        last = (end or entry).seq
        number += 2 if end else 1
