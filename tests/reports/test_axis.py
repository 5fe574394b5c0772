from itertools import pairwise

import pytest

from csisim.reports.axis import Axis, axis, length
from csisim.reports.record import Record
from tests.reports.runs_told import Told


def at(*times_s: float) -> Axis:
    told = Told()
    for time_s in times_s:
        told.at_s = time_s
        told.add("info", "state", "x")
    return axis(Record(told.events).entries)


def test_places_are_in_the_order_of_events_and_inside_the_page() -> None:
    places = at(0, 0, 0, 0.5, 0.5, 90, 90.1).places
    assert list(places) == sorted(set(places))
    assert places[0] > 0
    assert places[-1] < 1


def test_events_of_one_instant_are_told_apart() -> None:
    places = at(*[1.0] * 5).places
    steps = [after - before for before, after in pairwise(places)]
    assert steps == pytest.approx([steps[0]] * 4)
    assert places[-1] == pytest.approx(0.998)


def test_a_long_silence_is_cut_and_says_how_long_it_was() -> None:
    times = [number * 0.01 for number in range(50)]
    found = at(*times, *[300 + each for each in times])
    (silence,) = found.breaks
    assert length(silence) == "300 s" or silence.length_s == pytest.approx(299.51)
    assert silence.end - silence.start < 0.02
    assert found.place(51) == pytest.approx(silence.end)


def test_a_time_without_silences_is_not_cut() -> None:
    assert at(*[number * 0.01 for number in range(100)]).breaks == []


def test_many_silences_leave_most_of_the_page_to_what_happens() -> None:
    times = [burst * 60 + step * 0.001 for burst in range(13) for step in range(10)]
    found = at(*times)
    assert len(found.breaks) == 12
    assert sum(each.end - each.start for each in found.breaks) < 0.31


def test_ticks_are_round_and_do_not_run_into_each_other() -> None:
    ticks = at(*[number * 0.01 for number in range(100)]).ticks(0.1)
    assert [label for _, label in ticks] == ["0 s", "0.2 s", "0.4 s", "0.6 s", "0.8 s"]
    assert all(after[0] - before[0] >= 0.1 for before, after in pairwise(ticks))


def test_the_first_moment_after_a_silence_has_its_time() -> None:
    times = [number * 0.01 for number in range(50)]
    assert "300.0 s" in [label for _, label in at(*times, *[300 + each for each in times]).ticks(0.05)]


def test_an_event_that_was_not_kept_is_where_the_next_one_is() -> None:
    found = at(0, 1, 2)
    cut = Axis(found.seqs[1:], found.times[1:], found.places[1:], [])
    assert cut.place(1) == found.places[1]
    assert cut.place(None) == 1.0
    assert cut.place(99) == found.places[-1]


def test_no_events_have_no_places() -> None:
    assert at().ticks(0.1) == []
    assert at().place(1) == 1.0
    assert len(at(5.0).places) == 1


def test_no_more_silences_are_cut_than_can_be_read() -> None:
    times = [sum(100.0 * 0.9**gap for gap in range(burst)) + step * 1e-9 for burst in range(60) for step in range(9)]
    found = at(*times)
    assert len(found.breaks) == 24
    assert sum(each.end - each.start for each in found.breaks) < 0.31
