"""A run as lanes over time: what lasts is a bar, what happens at once is a mark. Pure; the drawing is elsewhere."""

import re
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from csisim.reports.record import Entry, Pair, Record
from csisim.reports.text import plain, short_ids
from csisim.reports.words import code, ending, subject, what, whole

ROWS: Final = 16
_CALLS: Final = {"call": "Callers", "data": "Callers", "rpc": "Driver", "nas": "NAS", "mount": "Machines"}
GROUPS: Final = ("Run", "Callers", "Driver", "NAS", "Machines")
_THINGS: Final = ("object", "path", "source")
_DIGITS = re.compile(r"(\d{1,18})")


@dataclass(frozen=True, slots=True)
class Bar:
    """What lasts.

    Attributes:
        start: number of the event that begins it; None: before the history.
        end: of the one that ends it; None: it was still so at the end.
        look: ok, fail, info (nobody knows), open (never ended), lock, mount, object or wish.
        label: short, for within.
        title: one sentence.
    """

    start: int | None
    end: int | None
    look: str
    label: str
    title: str


@dataclass(frozen=True, slots=True)
class Mark:
    """What happens at once: look is fault, crash, refused or note."""

    seq: int
    look: str
    title: str


@dataclass(slots=True)
class Lane:
    """One line of the picture, with as many rows as things overlap in it.

    Attributes:
        group: one of GROUPS.
        title: what is in it.
        bars: row and bar.
        marks: in order.
        rows: how many it has.
        hidden: bars that found no row.
    """

    group: str
    title: str
    bars: list[tuple[int, Bar]] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    rows: int = 1
    hidden: int = 0


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of the run: from event to event, the last one to the end (None)."""

    name: str
    start: int
    end: int | None


@dataclass(frozen=True, slots=True)
class Timeline:
    """All lanes that have anything in them, in order, and the phases behind."""

    lanes: tuple[Lane, ...]
    phases: tuple[Phase, ...]


def timeline(record: Record, first: Iterable[int] = ()) -> Timeline:
    """Sort a run into lanes.

    Args:
        record: the run.
        first: numbers of events whose bars get a row before all others.
    """
    loose: dict[tuple[str, str], tuple[list[Bar], list[Mark]]] = {}
    for source in (_calls, _locks, lives, _wishes):
        for group, title, bar in source(record):
            loose.setdefault((group, title), ([], []))[0].append(bar)
    for group, title, mark in _marks(record):
        loose.setdefault((group, title), ([], []))[1].append(mark)
    wanted = frozenset(first)
    lanes = [_lane(key, *found, wanted) for key, found in loose.items()]
    return Timeline(tuple(sorted(lanes, key=_order)), tuple(_phases(record)))


def _calls(record: Record) -> Iterator[tuple[str, str, Bar]]:
    for pair in record.calls.values():
        entry = pair.begin or pair.end
        if entry is not None and entry.kind in _CALLS:
            look = ending(pair.end) if pair.end else "open"
            title = _call_title(pair, record)
            yield _CALLS[entry.kind], _call_lane(entry), Bar(
                _seq(pair.begin), _seq(pair.end), look, plain(entry.f, 40), title
            )  # fmt: skip


def _call_lane(entry: Entry) -> str:
    process = plain(entry.process, 40)
    return {
        "rpc": f"serves on {process}" if process else "controller serves",
        "nas": "NAS calls",
        "mount": f"{process} is asked",
    }.get(entry.kind, process or entry.kind)


def _call_title(pair: Pair, record: Record) -> str:
    if pair.begin and pair.end:
        return whole(pair.begin, pair.end, record)
    if pair.begin:
        return f"{subject(pair.begin)}: {code(None)}"
    return what(pair.end, record) if pair.end else ""


def _locks(record: Record) -> Iterator[tuple[str, str, Bar]]:
    for pair in record.calls.values():
        entry = pair.begin
        if entry is not None and entry.kind == "lock":
            if pair.end is not None and pair.end.type == "fail":
                continue
            title = whole(entry, pair.end, record) if pair.end else f"holds the lock on {entry.f} to the end"
            look = "lock" if pair.end else "open"
            yield (
                "Driver",
                f"locks of {_place(entry)}",
                Bar(entry.seq, _seq(pair.end), look, short_ids(plain(entry.f, 200)), plain(title)),
            )


def lives(record: Record) -> Iterator[tuple[str, str, Bar]]:
    """Group, lane and bar of everything that really was: mounts of machines, and objects of the NAS."""
    yield from _lives(
        record, lambda entry: entry.kind == "truth" and entry.process != "nas",
        begins=frozenset({"mount", "bind", "login"}), ends=frozenset({"umount", "logout"}), look="mount",
    )  # fmt: skip
    yield from _lives(
        record, lambda entry: entry.kind == "truth" and entry.process == "nas",
        begins=frozenset({"created"}), ends=frozenset({"destroyed"}), look="object",
    )  # fmt: skip


def _lives(
    record: Record, mine: Callable[[Entry], bool], *, begins: frozenset[str], ends: frozenset[str], look: str
) -> Iterator[tuple[str, str, Bar]]:
    """From the event that puts something there to the one that takes it away; a reboot takes all of a node's mounts."""
    living: dict[tuple[str, str], list[Entry]] = {}

    def ended(key: tuple[str, str], end: Entry | None) -> Iterator[tuple[str, str, Bar]]:
        begin = living[key].pop()
        source = str(begin.value.get("dataset" if begin.f == "login" else "source") or "")
        label = f"login {_short(source)}" if begin.f == "login" else _short(key[1])
        lane = ("NAS", "objects of the NAS") if look == "object" else ("Machines", f"{_place(begin)} has mounted")
        yield *lane, Bar(begin.seq, _seq(end), look, label, plain(f"{key[1]}{f' from {source}' if source else ''}"))

    for entry in filter(mine, record.entries):
        key = (entry.process, str(next((entry.value[name] for name in _THINGS if entry.value.get(name)), "")))
        if entry.f in begins:
            living.setdefault(key, []).append(entry)
        elif entry.f in ends and living.get(key):
            yield from ended(key, entry)
        elif entry.f == "reboot":
            for other in [each for each, begun in living.items() if each[0] == entry.process for _ in begun]:
                yield from ended(other, entry)
    for key in [each for each, begun in living.items() for _ in begun]:
        yield from ended(key, None)


def _wishes(record: Record) -> Iterator[tuple[str, str, Bar]]:
    for pair in record.calls.values():
        entry = pair.begin
        if entry is not None and entry.kind == "intent":
            named = str(entry.value.get("object") or "an object")
            verb = "wanted" if entry.f == "present" else "no longer wanted"
            title = f"{named} {verb}{'' if pair.end else ', and never so'}"
            look = "wish" if pair.end else "open"
            yield "Run", "wishes", Bar(entry.seq, _seq(pair.end), look, _short(named), plain(title))


def _marks(record: Record) -> Iterator[tuple[str, str, Mark]]:
    for entry in record.entries:
        title = what(entry, record)
        match entry.kind:
            case "fault":
                yield "Run", "faults", Mark(entry.seq, "fault", title)
            case "world" if entry.f != "phase":
                yield "Run", "crashes", Mark(entry.seq, "crash", title)
            case "state":
                yield "Run", "looked at", Mark(entry.seq, "note", title)
            case "lock" if entry.type == "fail":
                yield "Driver", f"locks of {_place(entry)}", Mark(entry.seq, "refused", title)
            case "truth" if entry.process != "nas" and entry.f in {"make_fs", "remove", "reboot"}:
                yield "Machines", f"{_place(entry)} has mounted", Mark(entry.seq, "note", title)


def _phases(record: Record) -> Iterator[Phase]:
    begins = [entry for entry in record.entries if entry.kind == "world" and entry.f == "phase"]
    for number, entry in enumerate(begins):
        end = begins[number + 1].seq if number + 1 < len(begins) else None
        yield Phase(plain(entry.value.get("phase", ""), 40), entry.seq, end)


def _lane(key: tuple[str, str], bars: list[Bar], marks: list[Mark], wanted: frozenset[int]) -> Lane:
    """Give each bar the first row in which nothing else is at that time."""
    lane = Lane(*key, marks=marks)
    rows: list[list[tuple[float, float]]] = []
    for bar in sorted(bars, key=lambda each: (each.start not in wanted and each.end not in wanted, each.start or 0)):
        start = -1.0 if bar.start is None else float(bar.start)
        end = float("inf") if bar.end is None else float(bar.end)
        number = next((number for number, row in enumerate(rows) if _free(row, start, end)), len(rows))
        if number == ROWS:
            lane.hidden += 1
            continue
        if number == len(rows):
            rows.append([])
        insort(rows[number], (start, end))
        lane.bars.append((number, bar))
    lane.rows = max(1, len(rows))
    return lane


def _free(row: list[tuple[float, float]], start: float, end: float) -> bool:
    after = bisect_left(row, (start, end))
    return (after == 0 or row[after - 1][1] <= start) and (after == len(row) or row[after][0] >= end)


def _order(lane: Lane) -> tuple[int, list[tuple[int, str]]]:
    """Groups in order; within a group by name, `client-2` before `client-10`."""
    parts = [(int(part), "") if part.isdigit() else (-1, part) for part in _DIGITS.split(lane.title)]
    return GROUPS.index(lane.group), parts


def _place(entry: Entry) -> str:
    return plain(entry.process, 40) or "controller"


def _seq(entry: Entry | None) -> int | None:
    return entry.seq if entry else None


def _short(name: str) -> str:
    """What tells most of an object's name or of a path."""
    kind, _, rest = name.partition(" ")
    parts = [part for part in (rest or kind).split("/") if part]
    return short_ids(plain("/".join(parts[-2:]), 200))
