"""The part of the page that says what went wrong, and how it came to that."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from csisim.reports.markup import limited, tag, text
from csisim.reports.picture import Badge
from csisim.reports.record import Record
from csisim.reports.relevance import Explanation
from csisim.reports.rules import TITLES
from csisim.reports.telling import Row, rows
from csisim.reports.text import counted, lines, plain, seconds

MOST_TOLD: Final = 12  # violations told with their events; one letter each
_MOST_LISTED: Final = 200
_DETAIL_LINES: Final = 400
_LETTERS: Final = "ABCDEFGHIJKL"


def badges(violations: Sequence[Mapping[str, Any]], told: Sequence[Explanation], record: Record) -> list[Badge]:
    """The points that checks named, numbered in order; with a letter where there are several violations."""
    found = []
    for number, explanation in enumerate(told):
        shown = [row for row in rows(explanation, record) if row.shows]
        found += [Badge(_named(row, explanation), *_label(number, len(violations), at)) for at, row in enumerate(shown)]
    return found


def wrong(
    violations: Sequence[Mapping[str, Any]], told: Sequence[Explanation], record: Record, linked: Mapping[int, str]
) -> str:
    """Every violation; the first ones with what led to it."""
    if not violations:
        return ""
    parts = [
        _violation(violations[number], explanation, number, len(violations), record, linked)
        for number, explanation in enumerate(told)
    ]
    rest = violations[len(told) :]
    if rest:
        items = [
            f"{tag('b', text(plain(each.get('check', '?'), 40)))} {text(plain(each.get('summary', ''), 400))}"
            for each in rest
        ]
        summary = tag("summary", counted(len(rest), "more violation"))
        parts.append(tag("details", summary + tag("ul", limited(items, _MOST_LISTED))))
    return tag("section", "\n".join([tag("h2", "What went wrong"), *parts]), class_="violations")


def _label(violation: int, count: int, point: int) -> tuple[str, str]:
    """What is written at a point, and the id of the line that tells it."""
    label = f"{_LETTERS[violation] if count > 1 else ''}{point + 1}"
    return label, f"v{label}"


def _named(row: Row, explanation: Explanation) -> int:
    """Which event of a row the check named."""
    return row.end.seq if row.end and row.end.seq in explanation.shows else row.entry.seq


def _violation(
    violation: Mapping[str, Any], told: Explanation, number: int, count: int, record: Record, linked: Mapping[int, str]
) -> str:
    check = plain(violation.get("check", "?"), 40)
    named = f"{_LETTERS[number]} {check}" if count > 1 else check
    parts = [
        tag("h3", f"{tag('span', text(named), class_='check')} {text(TITLES.get(check, ''))}"),
        tag("p", text(plain(violation.get("summary", ""), 2_000)), class_="summary"),
        tag("p", text(plain(violation.get("why", ""), 2_000)), class_="why"),
    ]
    if told.told:
        parts.append(tag("ol", "\n".join(_chain(told, number, count, record, linked)), class_="chain"))
    if told.left_out:
        more = f"{counted(told.left_out, 'event')} of the same volume only in the list of events below."
        parts.append(tag("p", more, class_="note"))
    if violation.get("detail"):
        detail = text("\n".join(lines(violation["detail"], _DETAIL_LINES)))
        parts.append(f"<details open>{tag('summary', 'In detail')}{tag('pre', detail)}</details>")
    return tag("article", "\n".join(parts))


def _chain(told: Explanation, number: int, count: int, record: Record, linked: Mapping[int, str]) -> Iterator[str]:
    point = 0
    for row in rows(told, record):
        label, told_at = "", None
        if row.shows:
            label, told_at = _label(number, count, point)
            point += 1
        time = tag("time", text(seconds(row.entry.at_s)))
        parts = [
            tag("a", label, class_="point", href=f"#at-{told_at}") if label else "",
            tag("a", time, href=f"#e{row.entry.seq}") if row.entry.seq in linked else time,
            tag("span", f"+{row.skipped}", class_="skipped") if row.skipped else "",
            f"{tag('b', text(row.who))} {tag('span', text(row.what))}",
        ]
        yield tag("li", "".join(parts), class_="shows" if label else None, id=told_at)
