"""Histories as JSON lines: one event per line, as `csisim.events` describes it; docs/history.md is the schema.

What is read comes from outside: every line is checked, and an error names the line and what is wrong with it.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final, get_args

from csisim.events import Event, Kind, Type

MAX_EVENTS: Final = 5_000_000
MAX_LINE: Final = 4 * 1024 * 1024
"""Characters in one line; a page of a thousand volumes has about a tenth of that."""

_TYPES: Final = frozenset(get_args(Type))
_KINDS: Final = frozenset(get_args(Kind))
_KNOWN: Final = frozenset({"seq", "at_s", "type", "kind", "f", "call", "process", "parent", "value"})
_MAX_TEXT: Final = 4096
_MAX_TIME_S: Final = 1e12
_MAX_SHOWN: Final = 60


class HistoryError(ValueError):
    """A line is not an event; the text names the line, the value and what was expected."""


def dump(events: Iterable[Event]) -> Iterator[str]:
    """Each event as one line of JSON in plain ASCII, its newline included."""
    for event in events:
        yield json.dumps(event.to_json(), separators=(",", ":")) + "\n"


def load(lines: Iterable[str]) -> list[Event]:
    """The events of JSON lines; empty lines are skipped.

    Raises:
        HistoryError: a line is not an event, or does not come after the one before it, or there are too many.
    """
    events: list[Event] = []
    last = 0
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        if len(line) > MAX_LINE:
            raise HistoryError(f"line {number}: {len(line)} characters; a line has at most {MAX_LINE}")
        if len(events) >= MAX_EVENTS:
            raise HistoryError(f"line {number}: more than {MAX_EVENTS} events; split the history")
        row: dict[str, Any] = {}
        try:
            row = _object(line)
            event = _event(row)
        except ValueError as error:
            which = f" (seq {_shown(row['seq'])})" if "seq" in row else ""
            raise HistoryError(f"line {number}{which}: {error}") from None
        if event.seq <= last:
            raise HistoryError(f"line {number}: seq {event.seq} comes after {last}; numbers must grow")
        if events and event.at_s < events[-1].at_s:
            raise HistoryError(f"line {number}: at_s {event.at_s} is before {events[-1].at_s}; time must not go back")
        last = event.seq
        events.append(event)
    return events


def _object(line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except RecursionError:
        raise ValueError("too deeply nested") from None
    except ValueError as error:
        raise ValueError(f"not JSON: {error}") from None
    if not isinstance(found, dict):
        raise ValueError(f"an event is an object, not {_shown(found)}")  # noqa: TRY004 - the text was not one
    if unknown := sorted(found.keys() - _KNOWN):
        raise ValueError(f"unknown member {_shown(unknown[0])}; an event has {', '.join(sorted(_KNOWN))}")
    return found


def _event(row: dict[str, Any]) -> Event:
    seq, at_s, value = row.get("seq"), row.get("at_s"), row.get("value", {})
    if type(seq) is not int or seq < 1:
        raise ValueError(f"seq: {_shown(seq)} is not a whole number from 1 on")
    if isinstance(at_s, bool) or not isinstance(at_s, int | float) or not abs(at_s) <= _MAX_TIME_S:
        raise ValueError(f"at_s: {_shown(at_s)} is not a time in seconds")
    if not isinstance(value, dict):
        raise ValueError(f"value: {_shown(value)} is not an object")  # noqa: TRY004 - as above
    type_: Any = _one_of(row, "type", _TYPES)
    kind: Any = _one_of(row, "kind", _KINDS)
    f = _text(row, "f")
    if not f:
        raise ValueError("f: missing; it is the name of the call")
    return Event(
        seq, float(at_s), type_, kind, f, _text(row, "call"), _text(row, "process"), _text(row, "parent"), value
    )


def _one_of(row: dict[str, Any], name: str, known: frozenset[str]) -> str:
    text = row.get(name)
    if not isinstance(text, str) or text not in known:
        raise ValueError(f"{name}: {_shown(text)} is none of {', '.join(sorted(known))}")
    return text


def _text(row: dict[str, Any], name: str) -> str:
    text = row.get(name, "")
    if not isinstance(text, str) or len(text) > _MAX_TEXT:
        raise ValueError(f"{name}: {_shown(text)} is not a text of at most {_MAX_TEXT} characters")
    return text


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 3] + "..."
