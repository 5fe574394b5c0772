"""A run as a terminal tells it: what went wrong, what led to it, why it is wrong, and how to see it again."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from csisim.events import Event
from csisim.reports.record import Record
from csisim.reports.relevance import Explanation, explain, leading
from csisim.reports.remarks import idle, remarks
from csisim.reports.rules import TITLES, order
from csisim.reports.telling import rows
from csisim.reports.text import counted, lines, plain, seconds

# About a screen in all: the first violation is told at length, those of two other checks briefly, the rest in a line.
_EVENTS: Final = (32, 8, 8)
_MOST_LISTED = 8
_DETAIL_LINES = 400


def story(report: Mapping[str, Any], events: Sequence[Event]) -> str:
    """The text for a terminal, about 60 lines; a report of a deadlock is shown whole beside them.

    Args:
        report: plain data of a run; see `csisim.runs`.
        events: of the same run, in order.
    """
    violations = leading(report.get("violations") or [])
    told = [headline(report)]
    if violations:
        record = Record(events)
        checks = len({str(each.get("check", "?")) for each in violations})
        for violation, limit in zip(violations[:checks], _EVENTS, strict=False):
            told += ["", *_violation(violation, record, limit)]
        told += _others(violations[min(checks, len(_EVENTS)) :])
    told += _notes(report)
    if report.get("replay"):
        told += ["", f"replay: {plain(report['replay'], 4_000)}"]
    return "\n".join(told) + "\n"


def headline(report: Mapping[str, Any]) -> str:
    """One line: the verdict and how much it rests on."""
    violations = report.get("violations") or []
    mutant = (report.get("plan") or {}).get("mutant")
    size = ", ".join([
        *([f"driver with the KNOWN BUG {plain(mutant, 40)}"] if mutant else []),
        f"seed {plain(report.get('seed', '?'), 40)}", f"strategy {plain(report.get('strategy', '?'), 80)}",
        counted(_number(report.get("calls")), "call"), f"{counted(_number(report.get('faults_fired')), 'fault')} fired",
        f"{seconds(report.get('virtual_s'))}{'' if report.get('real') else ' of virtual time'}",
    ])  # fmt: skip
    broken = sorted({plain(each.get("check", "?"), 40) for each in violations}, key=order)
    if broken:
        return f"VIOLATION of {', '.join(broken)}: {size}"
    if report.get("verdict") == "unknown":
        return f"UNKNOWN: no violation, but not all could be decided: {size}"
    held = counted(len(report.get("invariants") or {}), "check")
    return f"{plain(report.get('verdict', '?'), 40).upper()}: {held} held: {size}"


def _number(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _violation(violation: Mapping[str, Any], record: Record, limit: int) -> Iterator[str]:
    check = plain(violation.get("check", "?"), 40)
    title = TITLES.get(check)
    yield f"{check}: {title}" if title else check
    yield f"  What happened: {plain(violation.get('summary', ''), 1_000)}"
    yield f"  Why it is wrong: {plain(violation.get('why', ''), 1_000)}"
    explanation = explain(violation, record, limit)
    if explanation.told:
        yield from _events(explanation, record)
    if violation.get("detail"):
        yield "  In detail:"
        yield from (f"    {line}" for line in lines(violation["detail"], _DETAIL_LINES))


def _events(explanation: Explanation, record: Record) -> Iterator[str]:
    about = f" around {', '.join(plain(name, 60) for name in explanation.subjects)}" if explanation.subjects else ""
    yield f"  In order{about} ('>' shows it; +3: three other events passed before):"
    told = list(rows(explanation, record))
    times = max(len(seconds(row.entry.at_s)) for row in told)
    width = min(20, max(len(row.who) for row in told))
    for row in told:
        before = f"+{row.skipped}" if row.skipped else ""
        mark = ">" if row.shows else " "
        yield f"  {mark} {seconds(row.entry.at_s):>{times}} {before:>5}  {row.who:{width}}  {row.what}"
    if explanation.left_out:
        yield f"    ({counted(explanation.left_out, 'event')} of the same volume not told; --html FILE shows all)"


def _others(violations: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if not violations:
        return
    yield ""
    yield f"and {counted(len(violations), 'more violation')}:"
    for violation in violations[:_MOST_LISTED]:
        yield f"  {plain(violation.get('check', '?'), 40)}: {plain(violation.get('summary', ''), 160)}"
    if len(violations) > _MOST_LISTED:
        yield f"  ... {len(violations) - _MOST_LISTED} more"


def _notes(report: Mapping[str, Any]) -> Iterator[str]:
    """What the verdict does not rest on: what was undecided, what nobody could look at, and remarks."""
    unknown, told = report.get("unknown") or {}, remarks(report)
    reasons: dict[str, list[str]] = {}
    for name in sorted((name for name, count in (report.get("looked_at") or {}).items() if not count), key=order):
        reasons.setdefault(idle(report, name), []).append(plain(name, 40))
    if unknown or reasons or told:
        yield ""
    for name in sorted(unknown, key=order)[:_MOST_LISTED]:
        yield f"Undecided: {plain(name, 40)}: {plain(unknown[name], 300)}"
    for reason, names in reasons.items():
        named = ", ".join(names) if len(names) <= _MOST_LISTED else counted(len(names), "check")
        yield f"Nothing to judge for {named}: {reason}"
    yield from (f"Note: {each}" for each in told[:_MOST_LISTED])
    if len(told) > _MOST_LISTED:
        yield f"... {len(told) - _MOST_LISTED} more notes"
