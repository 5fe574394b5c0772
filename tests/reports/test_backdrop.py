import re

from csisim.reports.axis import axis
from csisim.reports.backdrop import backdrop, points
from csisim.reports.picture import Badge, Picture
from csisim.reports.record import Record
from csisim.reports.timeline import timeline
from tests.reports.runs_told import Told, data_loss


def behind(record: Record) -> str:
    return "\n".join(backdrop(timeline(record), Picture(axis(record.entries), set(), ()), 400))


def test_phases_silences_and_times_are_written() -> None:
    shown = behind(Record(data_loss()[1]))
    assert re.findall(r'class="gap"[^>]*>([^<]+)<', shown) == ["61.5 s", "400 ms", "7.88 s", "23 s"]
    assert "nothing happened for 61.5 s" in shown
    assert ">safety</text>" in shown
    assert [f"phase p{number}" in shown for number in range(5)] == [True, True, True, True, False]
    assert ">0 s</text>" in shown


def test_a_name_is_left_to_the_tooltip_where_it_does_not_fit() -> None:
    told = Told()
    for phase in ("a phase with a long name", "x"):
        told.add("info", "world", "phase", {"phase": phase})
    for _ in range(1_000):
        told.add("info", "state", "y")
    shown = behind(Record(told.events))
    assert shown.count("a phase with a long name") == 1


def test_few_faults_cross_all_lanes_and_many_would_hide_them() -> None:
    told = Told()
    for _ in range(40):
        told.add("info", "fault", "link.up")
    assert behind(Record(told.events)).count('class="fault"') == 40
    told.add("info", "fault", "link.up")
    assert behind(Record(told.events)).count('class="fault"') == 0


def test_a_point_of_an_event_that_has_no_bar_is_at_the_top() -> None:
    record = Record(data_loss()[1])
    (shown,) = points([Badge(1, "1", "v1")], [], Picture(axis(record.entries), set(), ()), 400)
    assert 'y="54"' in shown
