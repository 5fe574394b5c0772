"""Which events explain a violation: those of its volumes, their parents, and the faults between."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from csisim.reports.record import Entry, Record
from csisim.reports.text import plain
from csisim.reports.timeline import lives

_MOST_SUBJECTS = 8
_QUERIES = (".query", ".get_instance", ".get", ".config")
_LOOKS = {"exists", "mounts", "mounts_of", "statistics"}
_WEIGHTS = {"fault": 2, "truth": 3, "call": 3, "data": 3, "nas": 5}


@dataclass(frozen=True, slots=True)
class Explanation:
    """What to tell of a violation.

    Attributes:
        shows: numbers of the events that the check itself names.
        subjects: volumes and snapshots that it is about.
        told: all events to tell, in order, `shows` among them.
        left_out: how many events of the same subjects are not told.
    """

    shows: frozenset[int]
    subjects: tuple[str, ...]
    told: tuple[Entry, ...]
    left_out: int


def leading(violations: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The first violation of each check before all others, because what fails once tends to fail often.

    Those in the order in which they showed: what is left at the end is mostly a consequence of something.
    """
    seen: set[str] = set()
    first: list[Mapping[str, Any]] = []
    rest: list[Mapping[str, Any]] = []
    for violation in violations:
        check = str(violation.get("check", "?"))
        (rest if check in seen else first).append(violation)
        seen.add(check)
    return [*sorted(first, key=_at_s), *rest]


def _at_s(violation: Mapping[str, Any]) -> float:
    at_s = violation.get("at_s")
    return float(at_s) if isinstance(at_s, int | float) else 0.0


def explain(violation: Mapping[str, Any], record: Record, limit: int) -> Explanation:
    """Choose at most `limit` events; those that the check names come first, then by weight and nearness."""
    shown = [record.by_seq[seq] for seq in violation.get("events") or () if seq in record.by_seq]
    shows = frozenset(entry.seq for entry in shown)
    until = max(shows, default=_last_before(violation, record))
    about = _About(
        _subjects(violation, shown, record),
        frozenset({entry.call for entry in shown} | {entry.parent for entry in shown}) - {""},
        frozenset(_standing(record, until)),
    )
    weighed = []
    for entry in record.entries:
        weight = 0 if entry.seq in shows else _weight(entry, record, about)
        if weight is not None and (entry.seq <= until or (weight <= 1 and entry.call in about.family)):
            weighed.append((weight, abs(until - entry.seq), entry.seq))
    weighed.sort()
    told = sorted(seq for _, _, seq in weighed[:limit])
    return Explanation(shows, about.subjects, tuple(record.by_seq[seq] for seq in told), len(weighed) - len(told))


@dataclass(frozen=True, slots=True)
class _About:
    """Volumes and snapshots, calls, and the events that made what still was there when it showed."""

    subjects: tuple[str, ...]
    family: frozenset[str]
    standing: frozenset[int]


def _standing(record: Record, until: int) -> Iterator[int]:
    for _, _, bar in lives(record):
        if bar.start is not None and bar.start <= until and (bar.end is None or bar.end >= until):
            yield bar.start


def _subjects(violation: Mapping[str, Any], shown: list[Entry], record: Record) -> tuple[str, ...]:
    found = record.mentioned(plain(violation.get("summary", ""), 2_000))
    if not found:
        found = frozenset(name for entry in shown for name in record.names(entry))
    return tuple(sorted(found)[:_MOST_SUBJECTS])


def _last_before(violation: Mapping[str, Any], record: Record) -> int:
    """For a check that names no events: whatever had happened when it showed."""
    at_s = violation.get("at_s") or 0.0
    before = [entry.seq for entry in record.entries if entry.at_s <= at_s or not at_s]
    return before[-1] if before else 0


def _weight(entry: Entry, record: Record, about: _About) -> int | None:
    """1 tells most; None: it has nothing to do with it."""
    minor = _looks(entry)
    if not about.family.isdisjoint({entry.call, entry.parent}):
        return 3 if minor and entry.call not in about.family else 1
    if entry.kind == "world" or (entry.seq in about.standing and _related(entry, record, about)):
        return 2
    if not _related(entry, record, about):
        return None
    refused = entry.kind == "lock" and entry.type == "fail"
    return _WEIGHTS["call"] if refused else _WEIGHTS.get(entry.kind, 4) + 2 * minor


def _looks(entry: Entry) -> bool:
    """Whether it changes nothing."""
    if entry.kind == "nas":
        return entry.f.startswith("fake.") or entry.f.endswith(_QUERIES)
    return entry.kind == "mount" and entry.f in _LOOKS


def _related(entry: Entry, record: Record, about: _About) -> bool:
    if about.subjects:
        return not record.names(entry).isdisjoint(about.subjects)
    return entry.kind in {"call", "fault", "state"}
