"""All events as lines of a page, as many as fit into its size."""

from collections.abc import Collection, Sequence
from typing import Final

from csisim.reports.markup import tag, text
from csisim.reports.record import Entry, Record
from csisim.reports.text import compact, counted, plain

BUDGET_BYTES: Final = 3_000_000
# What goes last when not everything fits: the rarer an event and the more it tells, the earlier it is kept.
_KINDS: Final = ("fault", "world", "state", "truth", "intent", "call", "data", "lock", "rpc", "mount", "nas")
_FULL_VALUE, _LONGEST_VALUE, _SHORTEST_VALUE = 6_000, 1_500, 120
_LINE_BYTES: Final = 190


def listed(record: Record, first: Collection[int], budget_bytes: int = BUDGET_BYTES) -> tuple[dict[int, str], str]:
    """Lines by number of their event, in order, and a note of what was cut ("" if nothing).

    Args:
        record: the run.
        first: events that must be there, with long values.
        budget_bytes: for all lines.
    """
    entries = record.entries
    room = budget_bytes // max(1, len(entries)) - _LINE_BYTES
    limit = min(_LONGEST_VALUE, max(_SHORTEST_VALUE, room))
    kept: dict[int, str] = {}
    left = budget_bytes
    for entry in _by_weight(entries, first):
        line = _line(entry, _FULL_VALUE if entry.seq in first else limit)
        left -= len(line.encode())
        if left < 0:
            break
        kept[entry.seq] = line
    missing = len(entries) - len(kept)
    notes = []
    if missing:
        notes.append(f"{counted(missing, 'event')} of {len(entries):,} left out to keep this page small")
    if limit < _LONGEST_VALUE:
        notes.append(f"values longer than {limit} characters are shortened")
    return dict(sorted(kept.items())), "; ".join(notes)


def gaps(record: Record, kept: dict[int, str]) -> str:
    """The lines one after the other, with a line where some are missing."""
    parts = []
    missing = 0
    for entry in record.entries:
        line = kept.get(entry.seq)
        if line is None:
            missing += 1
            continue
        if missing:
            parts.append(f'<li class="cut">{counted(missing, "event")} left out</li>')
            missing = 0
        parts.append(line)
    if missing:
        parts.append(f'<li class="cut">{counted(missing, "event")} left out</li>')
    return "\n".join(parts)


def _by_weight(entries: Sequence[Entry], first: Collection[int]) -> list[Entry]:
    places = {kind: number for number, kind in enumerate(_KINDS)}
    return sorted(entries, key=lambda entry: (entry.seq not in first, places.get(entry.kind, len(places)), entry.seq))


def _line(entry: Entry, limit: int) -> str:
    value = tag("code", text(compact(entry.value, limit))) if entry.value else ""
    call = f" {plain(entry.call, 40)}" if entry.call else ""
    parent = f" in {plain(entry.parent, 40)}" if entry.parent else ""
    columns = [str(entry.seq), f"{entry.at_s:.6f}", plain(entry.process, 60), plain(entry.kind, 20)]
    shown = "".join(tag("i", text(column)) for column in columns)
    ended = tag("i", text(plain(entry.type, 20)), class_=_LOOKS.get(entry.type, "open"))
    what = tag("p", f"{tag('b', text(plain(entry.f, 120)))}{text(call + parent)} {value}")
    return tag("li", shown + ended + what, id=f"e{entry.seq}")


_LOOKS: Final = {"invoke": "begin", "ok": "ok", "fail": "fail", "info": "info"}
