from csisim.reports.record import Record
from csisim.reports.relevance import explain
from csisim.reports.telling import rows
from tests.reports.runs_told import Told


def test_a_call_in_which_nothing_else_is_told_is_one_row() -> None:
    told = Told()
    told.whole("CreateVolume", {"name": "pvc-1"})
    outer = told.call("DeleteVolume", {"volume_id": "pvc-1"})
    told.whole("NodeGetInfo", {})
    told.whole("NodeStageVolume", {"volume_id": "pvc-1"})
    last = told.end("ok", outer)
    record = Record(told.events)
    found = list(rows(explain({"summary": "pvc-1", "events": [last]}, record, 100), record))
    assert [row.what for row in found] == [
        "CreateVolume(pvc-1): OK after 2 ms",
        "calls DeleteVolume(pvc-1)",
        "NodeStageVolume(pvc-1): OK after 2 ms",
        "DeleteVolume(pvc-1): OK after 4 ms",
    ]
    assert [row.skipped for row in found] == [0, 0, 2, 0]
    assert [row.shows for row in found] == [False, False, False, True]


def test_a_row_shows_it_where_its_end_does() -> None:
    told = Told()
    told.whole("CreateVolume", {"name": "pvc-1"})
    record = Record(told.events)
    (row,) = rows(explain({"summary": "pvc-1", "events": [2]}, record, 100), record)
    assert row.shows
    assert (row.entry.seq, row.end and row.end.seq) == (1, 2)
