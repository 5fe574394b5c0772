import re
from itertools import pairwise
from xml.etree import ElementTree as ET

from csisim.reports.axis import axis
from csisim.reports.drawing import draw
from csisim.reports.picture import Badge
from csisim.reports.record import Record
from csisim.reports.timeline import ROWS, timeline
from tests.reports.runs_told import Told, crowd, data_loss


def drawn(record: Record, badges: tuple[Badge, ...] = (), decides: tuple[int, ...] = ()) -> tuple[ET.Element, str]:
    places = axis(record.entries)
    chart, note = draw(timeline(record, [badge.seq for badge in badges]), places, badges, decides, record.by_seq)
    return ET.fromstring(chart), note  # noqa: S314 - it is our own


def shapes(chart: ET.Element, *looks: str) -> list[ET.Element]:
    return [each for each in chart.iter() if set(looks) <= set((each.get("class") or "").split())]


def test_each_call_lock_mount_and_object_is_a_bar_that_tells_itself() -> None:
    chart, note = drawn(Record(data_loss()[1]))
    assert note == ""
    assert [len(shapes(chart, "b", look)) for look in ("lock", "mount", "object", "wish", "fail")] == [3, 2, 2, 1, 2]
    titles = [bar.findtext("title") or "" for bar in shapes(chart, "b")]
    assert "62.065 s: DeleteVolume(pvc-1): OK after 52 ms" in titles


def test_bars_lie_inside_and_end_after_they_begin() -> None:
    chart, _ = drawn(Record(data_loss()[1]))
    for bar in shapes(chart, "b"):
        start, width = (float((bar.get(key) or "").removesuffix("%")) for key in ("x", "width"))
        assert 0 <= start <= start + width <= 100.001


def test_bars_in_one_row_do_not_overlap() -> None:
    chart, _ = drawn(Record(crowd(1_000)))
    rows: dict[str, list[tuple[float, float]]] = {}
    for bar in shapes(chart, "b"):
        start, width = (float((bar.get(key) or "").removesuffix("%")) for key in ("x", "width"))
        rows.setdefault(bar.get("y") or "", []).append((start, start + width))
    for row in rows.values():
        row.sort()
        assert all(before[1] <= after[0] + 0.002 for before, after in pairwise(row))
    assert len(rows) > 8


def test_points_of_a_violation_are_numbered_at_their_bars_and_lead_to_their_line() -> None:
    record = Record(data_loss()[1])
    gone = next(entry.seq for entry in record.entries if entry.f == "destroyed")
    chart, _ = drawn(record, (Badge(gone, "3", "v3"),))
    (badge,) = shapes(chart, "badge")
    assert (badge.get("href"), badge.get("id"), badge.findtext(".//text")) == ("#v3", "at-v3", "3")
    (wrong,) = shapes(chart, "b", "wrong")
    assert str(gone) in (wrong.get("data-e") or "").split()
    (svg,) = badge
    assert float(svg.get("y") or 0) == float(wrong.get("y") or 0) + 5


def test_deciding_steps_are_marked_from_top_to_bottom() -> None:
    chart, _ = drawn(Record(data_loss()[1]), decides=(7,))
    assert sorted(each.tag for each in shapes(chart, "decides")) == ["line", "svg"]


def test_what_is_joined_or_hidden_is_said() -> None:
    chart, note = drawn(Record(crowd(13_000)))
    assert re.match(r"[\d,]+ bars and marks are too narrow to stand alone", note)
    joined = shapes(chart, "b", "many")
    assert joined
    assert re.match(r"\d+ from [\d.,]+ s: \d+ ", joined[0].findtext("title") or "")
    told = Told()
    for _ in range(ROWS + 3):
        told.call("A", {})
    assert drawn(Record(told.events))[1] == "3 bars not drawn, because too much overlaps in their lanes"


def test_hostile_names_are_drawn_as_text() -> None:
    told = Told()
    hostile = '"><script>alert(1)</script>\x00'
    told.whole(hostile, {"name": hostile}, process=hostile)
    told.add("info", "world", "phase", {"phase": hostile})
    told.add("info", "fault", hostile, {"action": hostile})
    chart, _ = drawn(Record(told.events))
    assert {each.tag for each in chart.iter()} <= {
        "div",
        "svg",
        "text",
        "tspan",
        "title",
        "defs",
        "pattern",
        "rect",
        "line",
        "a",
        "path",
    }
