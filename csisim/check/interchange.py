"""Operations in the forms of other checkers, so that these can look at a verdict of ours.

Porcupine has a form in memory alone: these are its fields as JSON, times in nanoseconds. Where it wants an end and
there is none, it gets one after all others, with an output that says so. Jepsen's form is one EDN map per line: an
invoke, and an ok, fail or info. Both want processes that do one thing at a time, so one of ours may become several.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, Final

from csisim.check.linearizability import Operation

PENDING: Final = {"pending": True}
_NANOSECONDS: Final = 1_000_000_000
_Time = tuple[float, int]


def to_porcupine(operations: Iterable[Operation]) -> list[dict[str, Any]]:
    """ClientId, Input, Call, Output and Return of each operation, by their beginning; plain JSON data."""
    ordered = sorted(operations, key=_begin)
    times = _times(ordered)
    last = max(times.values(), default=0) + 1
    return [
        {
            "ClientId": client,
            "Input": {"f": each.f, "value": _plain(each.value)},
            "Call": times[_begin(each)],
            "Output": PENDING if each.pending else {"type": each.type, "value": _plain(each.result)},
            "Return": last if each.pending else times[_end(each)],
        }
        for each, client in zip(ordered, _clients(ordered), strict=True)
    ]


def to_edn(operations: Iterable[Operation]) -> str:
    """A Jepsen history, one map per line, times in nanoseconds. An info comes when nothing else does any more."""
    ordered = sorted(operations, key=_begin)
    times = _times(ordered)
    last = max(times.values(), default=0) + 1
    events: list[tuple[int, int, str, int, Operation]] = []
    for each, client in zip(ordered, _clients(ordered), strict=True):
        events.append((times[_begin(each)], 0, "invoke", client, each))
        end = (last, 1, "info") if each.pending else (times[_end(each)], 1, each.type)
        events.append((*end, client, each))
    events.sort(key=lambda event: event[:2])
    lines = []
    for index, (at, _, type_, client, each) in enumerate(events):
        value = each.value if type_ in ("invoke", "info") else {"asked": each.value, "answered": each.result}
        shown = {":index": index, ":time": at, ":process": client, ":type": f":{type_}", ":f": f":{each.f}"}
        members = [f"{key} {part}" for key, part in shown.items()]
        lines.append("{" + ", ".join([*members, f":value {_edn(_plain(value))}"]) + "}\n")
    return "".join(lines)


def _clients(ordered: Sequence[Operation]) -> list[int]:
    """A number for each operation's process, of those that have nothing under way the first."""
    found: list[int] = []
    lanes: dict[str, list[int]] = {}
    busy: dict[int, _Time] = {}
    for each in ordered:
        mine = lanes.setdefault(each.process, [])
        number = next((lane for lane in mine if busy[lane] < _begin(each)), None)
        if number is None:
            number = len(busy)
            mine.append(number)
        busy[number] = (float("inf"), 0) if each.pending else _end(each)
        found.append(number)
    return found


def _times(operations: Sequence[Operation]) -> dict[_Time, int]:
    """Nanoseconds that keep the order: what the numbers of events tell apart at one time is a nanosecond apart."""
    points = {_begin(each) for each in operations} | {_end(each) for each in operations if not each.pending}
    times: dict[_Time, int] = {}
    last = -1
    for point in sorted(points):
        last = max(last + 1, round(point[0] * _NANOSECONDS))
        times[point] = last
    return times


def _begin(operation: Operation) -> _Time:
    return operation.invoked_s, operation.invoked_seq


def _end(operation: Operation) -> _Time:
    return operation.completed_s or 0.0, operation.completed_seq


def _plain(value: Any) -> Any:
    """Any value as JSON data; records by the members that say something."""
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)
                if getattr(value, each.name) != each.default}  # fmt: skip
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(map(_plain, value), key=str)
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)


def _edn(value: Any) -> str:
    if value is None:
        return "nil"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} {_edn(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + " ".join(map(_edn, value)) + "]"
    return json.dumps(value)
