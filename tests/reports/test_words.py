from typing import Any

import pytest

from csisim.reports.record import Record
from csisim.reports.words import code, ending, what, who, whole
from tests.reports.runs_told import Told

VOLUME = {"volume_id": "pvc-1"}


def said(told: Told) -> list[str]:
    record = Record(told.events)
    return [f"{who(entry)} {what(entry, record)}" for entry in record.entries]


def ended(type_: str, value: Any, kind: str = "call", process: str = "client-1") -> str:
    told = Told()
    call = told.call("DeleteVolume", VOLUME, kind=kind, process=process)
    told.at_s = 1.5
    told.end(type_, call, value)
    return said(told)[1]


def test_a_call_is_told_at_its_beginning_and_at_its_end() -> None:
    told = Told()
    call = told.call("ControllerPublishVolume", {**VOLUME, "node_id": "node-2"}, process="attacher")
    told.at_s = 0.25
    told.end("ok", call)
    assert said(told) == ["attacher calls ControllerPublishVolume(pvc-1, node-2)",
                          "attacher ControllerPublishVolume(pvc-1, node-2): OK after 250 ms"]  # fmt: skip


def test_a_refusal_is_told_apart_from_what_nobody_knows() -> None:
    assert (
        ended("fail", {"code": "ABORTED", "message": "busy"})
        == 'client-1 DeleteVolume(pvc-1): refused: ABORTED, "busy" after 1.5 s'
    )
    assert ended("info", {"code": "UNAVAILABLE", "message": ""}) == (
        "client-1 DeleteVolume(pvc-1): no answer (UNAVAILABLE) after 1.5 s; nobody knows whether it happened"
    )


def test_a_served_call_that_was_aborted_is_a_refusal() -> None:
    assert (
        ended("info", {"code": "ABORTED", "message": ""}, "rpc", "")
        == "controller DeleteVolume(pvc-1): refused: ABORTED after 1.5 s"
    )
    assert "nobody knows" in ended("info", {"code": "INTERNAL"}, "rpc", "node-1")
    told = Told()
    told.end("info", told.call("DeleteVolume", VOLUME, kind="rpc"), {})
    assert ending(Record(told.events).entries[1]) == "info"


def test_calls_to_the_nas_name_what_they_ask_for() -> None:
    told = Told()
    for params in (["tank/csi/pvc-1"], [{"name": "tank/csi/pvc-2"}], [[["id", "=", "tank"]], {}], [{"port_id": 2}], []):
        told.call("m", {"params": params}, kind="nas", process="nas")
    shown = [each.removeprefix("NAS is asked for ") for each in said(told)]
    assert shown == ["m(tank/csi/pvc-1)", "m(tank/csi/pvc-2)", "m(id = tank)", "m(port_id 2)", "m()"]


def test_locks_are_taken_found_taken_and_freed() -> None:
    told = Told()
    for type_ in ("invoke", "ok", "fail"):
        told.add(type_, "lock", "volume pvc-1", call="l", process="controller")
    assert said(told) == ["controller takes the lock on volume pvc-1", "controller frees the lock on volume pvc-1",
                          "controller finds the lock taken on volume pvc-1"]  # fmt: skip


def test_the_truth_says_that_it_really_happened() -> None:
    told = Told()
    told.add("info", "truth", "mount", {"path": "/a", "source": "nas:/mnt/t"}, process="node-1")
    told.add("info", "truth", "umount", {"path": "/a"}, process="node-1")
    told.add("info", "truth", "destroyed", {"object": "dataset t"}, process="nas")
    told.add("info", "truth", "frobbed", {"path": "/a"}, process="node-1")
    assert said(told) == ["node-1 really mounts /a from nas:/mnt/t", "node-1 really unmounts /a", "NAS has destroyed dataset t",
                          "node-1 really does frobbed with /a"]  # fmt: skip


def test_a_fault_names_the_call_that_it_hits() -> None:
    told = Told()
    call = told.call("DeleteVolume", VOLUME, kind="rpc")
    told.add("info", "fault", "mount.umount", {"action": "error(EBUSY)", "rule": "r1"}, parent=call)
    told.add("info", "fault", "link.down", {"action": "disconnect(rst)", "node": "node-1"})
    assert said(told)[1:] == ["FAULT error(EBUSY) at mount.umount, during DeleteVolume(pvc-1), rule r1",
                              "FAULT disconnect(rst) at link.down, node-1"]  # fmt: skip


def test_workloads_say_what_they_found() -> None:
    told = Told()
    for type_, value in (("ok", {"sha": "9a03"}), ("ok", {"sha": ""}), ("fail", {"errno": "ESTALE"})):
        told.end(type_, told.call("read", {"volume": "pvc-1", "file": "f"}, kind="data", process="w"), value)
    assert said(told)[1::2] == [
        "w read(pvc-1 f): finds 9a03",
        "w read(pvc-1 f): finds no such file",
        "w read(pvc-1 f): ESTALE",
    ]


def test_wishes_are_wanted_and_come_true() -> None:
    told = Told()
    for f in ("present", "absent"):
        told.end("ok", told.call(f, {"object": "PersistentVolumeClaim default/data-0"}, kind="intent", process="user"))
    named = "PersistentVolumeClaim default/data-0"
    assert said(told) == [f"user wants {named}", f"user has {named}, as wanted", f"user no longer wants {named}",
                          f"user is rid of {named}, as wanted"]  # fmt: skip


def test_the_run_tells_its_phases_and_what_it_does_to_processes() -> None:
    told = Told()
    told.add("info", "world", "phase", {"phase": "heal"})
    told.add("info", "world", "crash", {"what": "driver", "node": "node-1", "down_s": 2.5})
    told.add("info", "world", "reboot", {"node": "node-1"})
    told.add("info", "state", "left", {"objects": ["dataset a", "dataset b"], "expected": ["dataset a"]})
    told.add("info", "state", "locks", {"held": []})
    assert said(told) == [
        "the run heals: all rules out, links up, processes back",
        "the run kills driver on node-1 and stays down for 2.5 s",
        "the run reboots node-1",
        "the run finds 2 objects left, 1 of them unexpected: dataset b",
        "the run finds no lock held",
    ]


def test_a_call_told_whole_is_one_sentence() -> None:
    told = Told()
    told.whole("umount", {"path": "/a"}, kind="mount", process="node-1")
    told.add("invoke", "lock", "volume pvc-1", call="l")
    told.at_s += 3
    told.add("ok", "lock", "volume pvc-1", call="l")
    record = Record(told.events)
    umount, end, taken, freed = record.entries
    assert whole(umount, end, record) == "umount(/a): done after 2 ms"
    assert whole(taken, freed, record) == "holds the lock on volume pvc-1 for 3 s"


def test_long_ids_in_paths_are_shortened_to_what_tells_them_apart() -> None:
    told = Told()
    path = f"/plugins/{'0123abcd' * 8}/globalmount/4f1e0000-1111-2222-3333-444455556666"
    told.add("info", "truth", "umount", {"path": path}, process="node-1")
    assert said(told) == ["node-1 really unmounts /plugins/0123abcd../globalmount/4f1e0000.."]


@pytest.mark.parametrize(
    "kind", ["call", "rpc", "nas", "mount", "lock", "data", "fault", "intent", "truth", "world", "state", "new"]
)
def test_any_value_gives_a_sentence(kind: Any) -> None:
    hostile = {
        "params": {"a": 1},
        "path": ["x"],
        "object": None,
        "objects": 7,
        "phase": 3,
        "down_s": "long",
        "code": {"a": 1},
    }
    for type_ in ("invoke", "ok", "fail", "info"):
        told = Told()
        told.add(type_, kind, "f\x1b[31m", hostile, call="c", process="p\n")
        assert all("\x1b" not in each and "\n" not in each for each in said(told))


def test_codes_are_counted_by_what_ended_the_call() -> None:
    told = Told()
    told.end("ok", told.call("A", {}))
    told.end("fail", told.call("A", {}), {"code": "ABORTED"})
    told.end("fail", told.call("A", {}, kind="mount"))
    record = Record(told.events)
    assert [code(entry) for entry in record.entries[1::2]] == ["OK", "ABORTED", "refused"]
    assert code(None) == "still out"
