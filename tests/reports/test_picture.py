from csisim.reports.axis import axis
from csisim.reports.picture import WIDEST_PX, Badge, Picture
from csisim.reports.record import Record
from csisim.reports.timeline import Timeline, timeline
from tests.reports.runs_told import Told, crowd


def drawn(told: Told, badges: tuple[Badge, ...] = ()) -> tuple[Picture, Timeline]:
    record = Record(told.events)
    return Picture(axis(record.entries), set(), badges), timeline(record)


def test_a_picture_is_as_wide_as_there_is_to_show_up_to_a_bound() -> None:
    told = Told()
    told.whole("A", {})
    assert drawn(told)[0].width == 1_080
    assert Picture(axis(Record(crowd(5_000)).entries), set(), ()).width == WIDEST_PX


def test_narrow_neighbours_are_joined_and_wide_bars_are_not() -> None:
    told = Told()
    for _ in range(1_000):
        told.at_s += 0.01
        told.whole("A", {}, process="client-1")
    picture, lanes = drawn(told)
    assert len(list(picture.clusters(lanes.lanes[0]))) == 1_000
    picture.apart = 20
    clusters = [cluster for _, cluster in picture.clusters(lanes.lanes[0])]
    assert max(map(len, clusters)) > 10
    assert sum(map(len, clusters)) == 1_000


def test_what_shows_a_violation_is_never_joined() -> None:
    told = Told()
    for _ in range(100):
        told.whole("A", {}, process="client-1")
    picture, lanes = drawn(told, (Badge(101, "1", "v1"),))
    picture.apart = 50
    assert [bar.start for _, cluster in picture.clusters(lanes.lanes[0]) if len(cluster) == 1 for bar in cluster] == [
        101
    ]


def test_a_large_run_is_joined_until_it_can_be_drawn() -> None:
    record = Record(crowd(3_000))
    lanes = timeline(record)
    picture = Picture(axis(record.entries), set(), ())
    assert sum(1 for lane in lanes.lanes for _ in picture.clusters(lane)) > 500
    picture.fit(lanes, 500)
    assert sum(1 for lane in lanes.lanes for _ in picture.clusters(lane)) <= 500


def test_only_events_that_have_a_line_are_linked() -> None:
    told = Told()
    told.whole("A", {})
    picture = Picture(axis(Record(told.events).entries), {1}, ())
    assert picture.link("<g/>", 1) == '<a href="#e1"><g/></a>'
    assert picture.link("<g/>", 2) == "<g/>"
    assert picture.time(None) == "before the first event"
    assert picture.time(2) == "0.002 s"
