"""A run as one HTML page that needs no server, no network and, for reading, no script."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from csisim.events import Event
from csisim.reports.axis import axis
from csisim.reports.drawing import draw
from csisim.reports.eventlist import gaps, listed
from csisim.reports.markup import asset, digest, limited, tag, text
from csisim.reports.record import Record
from csisim.reports.relevance import explain, leading
from csisim.reports.remarks import remarks
from csisim.reports.rules import order
from csisim.reports.tables import calls, facts, faults, verdicts
from csisim.reports.text import compact, counted, plain
from csisim.reports.timeline import timeline
from csisim.reports.wrong import MOST_TOLD, badges, wrong

_EVENTS: Final = 40
_MOST_RULES: Final = 200
_PLAN_CHARS: Final = 30_000
_KEY: Final = (
    ("ok", "done"), ("fail", "refused: it did not happen"), ("info", "no answer: nobody knows"),
    ("open", "never ended"), ("lock", "lock held"), ("mount", "mounted"), ("object", "exists on the NAS"),
    ("wish", "wished for"),
)  # fmt: skip


def page(report: Mapping[str, Any], events: Sequence[Event], emphasis: Sequence[int] = ()) -> str:
    """The whole page; at most about 5 MiB, and where something had to be left out it says so.

    Args:
        report: plain data of a run; see `csisim.runs`.
        events: of the same run, in order.
        emphasis: numbers of the steps without which nothing would have gone wrong.
    """
    record = Record(events)
    violations = leading(report.get("violations") or [])
    told = [explain(each, record, _EVENTS) for each in violations[:MOST_TOLD]]
    decides = [seq for seq in emphasis if seq in record.by_seq]
    kept, cut = listed(record, {entry.seq for each in told for entry in each.told} | set(decides))
    points = badges(violations, told, record)
    lanes = timeline(record, [badge.seq for badge in points])
    picture, joined = draw(lanes, axis(record.entries), points, decides, kept.keys())
    drawn = _key() + _note(joined) + picture if record.entries else tag("p", "The run was reported without its events.")
    listing = tag("summary", f"{counted(len(record.entries), 'event')}, in order") + tag(
        "ol", gaps(record, kept), class_="events"
    )
    return _document(report, [
        _top(report, violations),
        wrong(violations, told, record, kept),
        _remarks(report),
        _section("Verdicts", verdicts(report)),
        _section("Timeline", drawn),
        _section("Calls", calls(record)),
        _section("Faults", _rules(report) + faults(record)),
        _section("Plan", _plan(report)),
        _section("Events", _note(cut) + tag("details", listing), id="events"),
    ])  # fmt: skip


def _section(title: str, inner: str, **attributes: str) -> str:
    return tag("section", f"{tag('h2', title)}\n{inner}", **attributes)


def _document(report: Mapping[str, Any], parts: Sequence[str]) -> str:
    style, script = asset("page.css"), asset("page.js")
    # Only this style and this script run, whatever else were to slip in.
    policy = (
        f"default-src 'none'; style-src {digest(style)}; script-src {digest(script)}; base-uri 'none'; "
        "form-action 'none'"
    )
    title = f"{plain(report.get('verdict', '?'), 40)}: seed {plain(report.get('seed', '?'), 40)}"
    head = [
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        tag("title", text(title)),
        tag("style", style),
    ]
    inner = "\n".join([tag("head", "\n".join(head)), tag("body", "\n".join([*parts, tag("script", script)]))])
    return f"<!DOCTYPE html>\n{tag('html', inner, lang='en')}\n"


def _top(report: Mapping[str, Any], violations: Sequence[Mapping[str, Any]]) -> str:
    verdict = plain(report.get("verdict", "?"), 40)
    broken = sorted({plain(each.get("check", "?"), 40) for each in violations}, key=order)
    judged = sum(bool(count) for count in (report.get("looked_at") or {}).values())
    if broken:
        said = f"{counted(len(violations), 'violation')} of {', '.join(broken[:12])}"
    elif verdict == "ok":
        said = f"Everything held: {counted(judged, 'check')} had something to judge"
    else:
        said = "No violation was found, but not everything could be decided"
    look = "wrong" if broken else "ok" if verdict == "ok" else "info"
    replay = tag("code", text(plain(report.get("replay", ""), 20_000)), id="replay")
    parts = [
        tag("p", text(verdict), class_="word"),
        tag("h1", text(said)),
        tag("dl", facts(report), class_="facts"),
        tag("div", tag("span", "Replay") + replay, class_="replay"),
    ]
    return tag("header", "\n".join(parts), class_=look)


def _key() -> str:
    """What the colours mean."""
    bars = [(tag("rect", None, class_=f"b {look}", width=22, height=10, rx=1.5), "", name) for look, name in _KEY]
    fault = (tag("path", None, d="M6 10 L11 0 L16 10 Z"), "m fault", "fault")
    shown = [
        tag("span", tag("svg", shape, width=22, height=10, class_=look) + text(name))
        for shape, look, name in [*bars, fault]
    ]
    return tag("p", "".join(shown), class_="key")


def _note(said: str) -> str:
    return tag("p", f"{text(said[:1].upper() + said[1:])}.", class_="note") if said else ""


def _remarks(report: Mapping[str, Any]) -> str:
    told = [text(each) for each in remarks(report)]
    return _section("Notes", tag("ul", limited(told, _MOST_RULES), class_="notes")) if told else ""


def _rules(report: Mapping[str, Any]) -> str:
    given = [tag("code", text(plain(rule, 400))) for rule in report.get("faults") or []]
    return tag("ul", limited(given, _MOST_RULES), class_="rules") if given else ""


def _plan(report: Mapping[str, Any]) -> str:
    plan = text(compact(report.get("plan") or {}, _PLAN_CHARS))
    return tag("details", tag("summary", "Everything that defines this run") + tag("pre", plan))
