from csisim.reports.record import Record
from csisim.reports.relevance import explain, leading
from tests.reports.runs_told import Told, data_loss


def test_what_the_check_names_is_told_first() -> None:
    report, events = data_loss()
    violation = report["violations"][0]
    found = explain(violation, Record(events), len(violation["events"]))
    assert [entry.seq for entry in found.told] == sorted(violation["events"])
    assert found.shows == set(violation["events"])
    assert found.left_out > 0


def test_other_volumes_are_not_told() -> None:
    report, events = data_loss()
    record = Record(events)
    found = explain(report["violations"][0], record, 1_000)
    assert found.subjects == ("pvc-1",)
    assert not any("pvc-2" in record.names(entry) for entry in found.told)
    assert found.left_out == 0


def test_a_fault_in_a_call_of_the_volume_and_a_lock_that_was_taken_are_told() -> None:
    report, events = data_loss()
    told = explain(report["violations"][0], Record(events), 24).told
    kinds = {(entry.kind, entry.type) for entry in told}
    assert ("fault", "info") in kinds
    assert ("lock", "fail") in kinds
    assert ("nas", "invoke") not in kinds


def test_events_are_in_order_and_none_is_later_than_what_shows_it_but_the_end_of_its_call() -> None:
    told = Told()
    call = told.call("DeleteVolume", {"volume_id": "pvc-1"})
    begun = told.history.last_seq
    told.whole("DeleteVolume", {"volume_id": "pvc-1"})
    end = told.end("ok", call)
    found = explain({"check": "I1", "summary": "s", "events": [begun]}, Record(told.events), 100)
    assert [entry.seq for entry in found.told] == [begun, end]


def test_without_a_name_in_the_summary_the_events_tell_what_it_is_about() -> None:
    _, events = data_loss()
    record = Record(events)
    create = next(entry.seq for entry in record.entries if entry.value.get("name") == "pvc-2")
    assert explain({"summary": "odd", "events": [create]}, record, 10).subjects == ("pvc-2",)


def test_a_check_that_names_nothing_gets_the_calls_before_it() -> None:
    _, events = data_loss()
    found = explain({"check": "termination", "summary": "stuck", "at_s": 1.0}, Record(events), 100)
    assert {entry.kind for entry in found.told} <= {"call", "world", "fault"}
    assert found.told
    assert max(entry.at_s for entry in found.told) <= 1.0


def test_numbers_of_events_that_are_not_there_are_no_reason_to_fail() -> None:
    assert explain({"events": [999]}, Record([]), 10).told == ()


def test_what_still_was_there_is_told_before_what_had_gone() -> None:
    told = Told()
    told.whole("CreateVolume", {"name": "pvc-1"})
    for f in ("created", "destroyed") * 5:
        told.add("info", "truth", f, {"object": "dataset tank/csi/pvc-1"}, process="nas")
    standing = told.add("info", "truth", "created", {"object": "dataset tank/csi/pvc-1"}, process="nas")
    for _ in range(20):
        told.whole("ControllerPublishVolume", {"volume_id": "pvc-1"})
    last = told.history.last_seq
    found = explain({"summary": "pvc-1 is odd", "events": [last]}, Record(told.events), 3)
    assert [entry.seq for entry in found.told] == [standing, last - 1, last]


def test_what_was_done_within_a_named_call_is_told() -> None:
    told = Told()
    for _ in range(3):
        served = told.call("DeleteVolume", {"volume_id": "pvc-1"}, kind="rpc")
        told.whole("pool.dataset.delete", {"params": ["tank/csi/pvc-1"]}, kind="nas", process="nas", parent=served)
        end = told.end("ok", served)
    found = explain({"summary": "pvc-1 is odd", "events": [end]}, Record(told.events), 4)
    assert [(entry.kind, entry.type) for entry in found.told] == [
        ("rpc", "invoke"),
        ("nas", "invoke"),
        ("nas", "ok"),
        ("rpc", "ok"),
    ]


def test_the_first_violation_of_each_check_leads() -> None:
    violations = [
        {"check": check, "summary": str(number)} for number, check in enumerate(["I8", "I8", "I3", "I8", "I3"])
    ]
    assert [each["summary"] for each in leading(violations)] == ["0", "2", "1", "3", "4"]


def test_of_the_checks_the_one_that_failed_first_in_time_leads() -> None:
    left = {"check": "I3", "summary": "96 objects are left", "at_s": 1900.0}
    stuck = {"check": "termination", "summary": "the phase liveness has not converged", "at_s": 1800.0}
    assert leading([left, {**left, "summary": "and a lock"}, stuck]) == [stuck, left, {**left, "summary": "and a lock"}]
