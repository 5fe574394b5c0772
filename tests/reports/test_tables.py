from csisim.reports.record import Record
from csisim.reports.tables import calls, facts, faults, verdicts
from tests.reports.runs_told import Told, data_loss, report


def test_verdicts_say_how_much_they_rest_on() -> None:
    given, _ = data_loss()
    rows = verdicts(given | {"unknown": {"I3": "the history was cut"}}).split("<tr>")[2:]
    assert [row.split("</td>")[0] for row in rows] == ["<td>I1", "<td>I3", "<td>I6", "<td>I13"]
    assert "verdict wrong" in rows[0]
    assert "1 violation" in rows[0]
    assert "the history was cut" in rows[1]
    assert "not met" in rows[3]
    assert "the run never came near it" in rows[3]


def test_calls_are_counted_by_code_and_timed() -> None:
    told = Told()
    for took_s, type_, code in ((0.1, "ok", ""), (0.2, "ok", ""), (5.0, "fail", "ABORTED")):
        call = told.call("DeleteVolume", {})
        told.at_s += took_s
        told.end(type_, call, {"code": code})
    told.call("DeleteVolume", {})
    shown = calls(Record(told.events))
    assert (
        '<span class="code ok">OK <b>2</b></span> <span class="code fail">ABORTED <b>1</b></span> <span class="code open">still out <b>1</b></span>'
        in shown
    )
    assert "<td>4</td>" in shown
    assert "<td>200 ms</td><td>200 ms</td><td>5 s</td>" in shown


def test_each_kind_of_call_has_its_table() -> None:
    shown = calls(Record(data_loss()[1]))
    assert shown.count("<h3>") == 5
    assert calls(Record([])) == "<p>No call was made.</p>"


def test_faults_are_listed_and_beyond_a_bound_counted() -> None:
    assert "lie(ok) at mount.umount, during NodeUnpublishVolume(pvc-1), rule r1" in faults(Record(data_loss()[1]))
    told = Told()
    for _ in range(240):
        told.add("info", "fault", "link.down", {"action": "drop"})
    assert "40 more are in the list" in faults(Record(told.events))
    assert faults(Record([])) == "<p>No fault fired.</p>"


def test_facts_tell_a_simulated_run_from_a_real_one() -> None:
    assert "94.250 s virtual" in facts(report())
    real = facts(report(real=True, trace_hash="", steps=0))
    assert "real sockets" in real
    assert "virtual" not in real
    assert "steps" not in real
