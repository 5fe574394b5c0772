from csisim.reports.record import Record
from tests.reports.runs_told import STAGING, TARGET, Told, data_loss


def test_a_call_knows_both_its_ends() -> None:
    told = Told()
    call = told.whole("CreateVolume", {"name": "pvc-1"}, {"volume": {"volume_id": "vol-9"}})
    record = Record(told.events)
    begin, end = record.entries
    assert (record.calls[call].begin, record.calls[call].end) == (begin, end)
    assert record.partner(begin) is end
    assert record.partner(end) is begin


def test_a_call_whose_beginning_is_lost_still_has_its_end() -> None:
    told = Told()
    told.whole("CreateVolume", {"name": "pvc-1"})
    record = Record(told.events[1:])
    assert record.partner(record.entries[0]) is None
    assert record.pair(record.entries[0]).end is record.entries[0]


def test_a_name_and_the_id_that_it_got_are_names_of_both_events() -> None:
    told = Told()
    told.whole("CreateVolume", {"name": "pvc-1"}, {"volume": {"volume_id": "vol-9"}})
    record = Record(told.events)
    assert [record.names(entry) for entry in record.entries] == [{"pvc-1", "vol-9"}] * 2


def test_a_snapshot_is_about_its_volume_too() -> None:
    told = Told()
    told.call("DeleteSnapshot", {"snapshot_id": "pvc-1@s"})
    record = Record(told.events)
    assert record.names(record.entries[0]) == {"pvc-1@s", "pvc-1", "s"}


def test_what_happens_at_a_path_is_about_the_volume_that_callers_put_there() -> None:
    _, events = data_loss()
    record = Record(events)
    truths = [entry for entry in record.entries if entry.kind == "truth" and entry.process == "node-1"]
    assert [entry.value["path"] for entry in truths] == [STAGING, TARGET]
    assert "pvc-1" not in STAGING
    assert all("pvc-1" in record.names(entry) for entry in truths)


def test_a_call_of_the_nas_is_about_what_its_parent_is_about() -> None:
    told = Told()
    served = told.call("DeleteVolume", {"volume_id": "pvc-1"}, kind="rpc")
    told.call("core.ping", {"params": []}, kind="nas", parent=served)
    record = Record(told.events)
    assert record.names(record.entries[1]) == {"pvc-1"}


def test_calls_that_are_each_others_parents_do_not_hang() -> None:
    told = Told()
    told.add("invoke", "rpc", "A", call="x", parent="y")
    told.add("invoke", "rpc", "B", call="y", parent="x")
    assert Record(told.events).names(Record(told.events).entries[0]) == frozenset()


def test_a_sentence_mentions_names_whole() -> None:
    _, events = data_loss()
    record = Record(events)
    assert record.mentioned("client-2's DeleteVolume(pvc-1) was wrong; so was pvc-2.") == {"pvc-1", "pvc-2"}
    assert record.mentioned("pvc-10 and xpvc-1") == frozenset()


def test_a_value_that_is_computed_when_asked_for_is_asked_for_once() -> None:
    asked = []

    class Message:
        pass

    told = Told()
    told.history.describe = lambda message: asked.append(message) or {"name": "pvc-1"}
    told.add("invoke", "call", "CreateVolume", Message(), call="c1")
    record = Record(told.events)
    assert [record.entries[0].value["name"] for _ in range(3)] == ["pvc-1"] * 3
    assert len(asked) == 1
