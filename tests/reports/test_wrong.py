import re

from csisim.check.verdicts import Violation
from csisim.reports.record import Record
from csisim.reports.relevance import explain
from csisim.reports.wrong import MOST_TOLD, badges, wrong
from tests.reports.runs_told import data_loss, report


def section(given: dict, record: Record) -> str:
    told = [explain(each, record, 40) for each in given["violations"][:MOST_TOLD]]
    return wrong(given["violations"], told, record, dict.fromkeys(record.by_seq, ""))


def test_the_points_are_numbered_in_order_and_lead_to_the_picture() -> None:
    given, events = data_loss()
    shown = section(given, Record(events))
    assert re.findall(r'<li class="shows" id="(v\d)">', shown) == ["v1", "v2", "v3", "v4", "v5"]
    assert re.findall(r'href="#at-(v\d)">(\d)', shown) == [(f"v{number}", str(number)) for number in range(1, 6)]


def test_the_points_are_the_events_that_the_check_named() -> None:
    given, events = data_loss()
    record = Record(events)
    found = badges(given["violations"], [explain(given["violations"][0], record, 40)], record)
    assert [badge.seq for badge in found] == sorted(given["violations"][0]["events"])


def test_several_violations_have_letters() -> None:
    given, events = data_loss()
    given["violations"] *= 2
    shown = section(given, Record(events))
    ids = re.findall(r' id="([^"]+)"', shown)
    assert ids == [f"v{letter}{number}" for letter in "AB" for number in range(1, 6)]


def test_very_many_violations_are_listed_and_counted() -> None:
    given = report(*[Violation("I8", f"call {number} got INTERNAL", "why") for number in range(500)])
    shown = section(given, Record([]))
    assert shown.count("<article>") == MOST_TOLD
    assert "488 more violations" in shown
    assert "and 288 more" in shown


def test_a_detail_is_shown_as_it_is() -> None:
    shown = section(
        report(Violation("races", "s", "w", (), 0.0, "reader:\n  a.py:1 <f>\nwriter:\n  b.py:2 <g>")), Record([])
    )
    assert "<pre>reader:\n  a.py:1 &lt;f&gt;\nwriter:\n  b.py:2 &lt;g&gt;</pre>" in shown


def test_nothing_wrong_has_no_section() -> None:
    assert section(report(), Record([])) == ""
