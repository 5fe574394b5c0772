"""Runs to report on, written down as their histories would have them."""

from functools import cache
from typing import Any

from csisim.check.verdicts import Result, Violation
from csisim.events import Event, History

STAGING = "/var/lib/kubelet/plugins/kubernetes.io/csi/csi.example/9f2c/globalmount"
TARGET = "/var/lib/kubelet/pods/4f1e/volumes/kubernetes.io~csi/pvc-1/mount"
DATASET = "tank/csi/pvc-1"


class Told:
    """A history whose time is set by hand."""

    def __init__(self) -> None:
        self.at_s = 0.0
        self.history = History(lambda: self.at_s, limit=None)
        self._begun: dict[str, tuple[Any, str, str, str]] = {}

    def add(self, type_: Any, kind: Any, f: str, value: Any = None, **rest: str) -> int:
        self.history.add(type_, kind, f, value=value, **rest)
        return self.history.last_seq

    def call(self, f: str, value: Any, *, kind: Any = "call", process: str = "client-1", parent: str = "") -> str:
        call = self.history.new_call()
        self._begun[call] = (kind, f, process, parent)
        self.add("invoke", kind, f, value, call=call, process=process, parent=parent)
        return call

    def end(self, type_: Any, call: str, value: Any = None) -> int:
        kind, f, process, parent = self._begun[call]
        return self.add(type_, kind, f, value, call=call, process=process, parent=parent)

    def whole(self, f: str, value: Any, answer: Any = None, **rest: Any) -> str:
        call = self.call(f, value, **rest)
        self.at_s += 0.002
        self.end("ok", call, answer)
        return call

    @property
    def events(self) -> list[Event]:
        return self.history.since()


def report(*violations: Violation, results: tuple[Result, ...] = (), **members: Any) -> dict[str, Any]:
    """Plain data of a run; I1, I3, I6 and I13 were judged unless told otherwise."""
    broken = {each.check for each in violations}
    verdicts: dict[str, str] = {
        check: "violation" if check in broken else "ok" for check in ("I1", "I3", "I6", "I13", *broken)
    }
    return {
        "seed": 7, "strategy": "pct:3", "verdict": "violation" if violations else "ok", "invariants": verdicts,
        "violations": [each.to_json() for each in violations], "trace_hash": "d0c5e1f2a3b4c5d6", "steps": 4812,
        "virtual_s": 94.25, "replay": "csisim replay csisim1-7-abc", "looked_at": {"I1": 12, "I3": 1, "I6": 4, "I13": 0},
        "unknown": {}, "plan": {"volumes": 2}, "faults": ["mount.umount{vol=pvc-1}: lie(ok)"], "faults_fired": 1, "calls": 14,
        "real": False,
    } | members  # fmt: skip


def data_loss() -> tuple[dict[str, Any], list[Event]]:
    """A volume is mounted; its unmounting is a lie; its deletion destroys the dataset below the mount: I1."""
    told = Told()
    told.add("info", "world", "phase", {"phase": "safety"}, process="world")
    wanted = told.call("present", {"object": "PersistentVolumeClaim default/data-0"}, kind="intent", process="user")
    _create(told, "pvc-1")
    _create(told, "pvc-2", process="client-2")
    _stage(told)
    told.end("ok", wanted)
    write = told.call("write", {"volume": "pvc-1", "node": "node-1", "path": TARGET, "file": "f1", "sha": "9a0364b9e99bb480"},
                      kind="data", process="workload node-1")  # fmt: skip
    told.at_s += 0.001
    written = told.end("ok", write)
    told.at_s += 61.5
    lie = _unstage_with_a_lie(told)
    told.at_s += 0.4
    gone, deleted = _delete(told)
    told.at_s = 70.0
    told.add("info", "world", "phase", {"phase": "heal"}, process="world")
    told.at_s = 71.0
    told.add("info", "world", "phase", {"phase": "liveness"}, process="world")
    read = told.call(
        "read",
        {"volume": "pvc-1", "node": "node-1", "path": TARGET, "file": "f1", "sha": ""},
        kind="data",
        process="workload node-1",
    )
    lost = told.end("fail", read, {"errno": "ESTALE"})
    told.at_s = 94.0
    told.add("info", "world", "phase", {"phase": "end"}, process="world")
    told.add("info", "state", "left", {"objects": ["dataset tank/csi/pvc-2"], "expected": []}, process="world")
    violation = Violation(
        "I1",
        f"the NAS destroyed dataset {DATASET} while node-1 still had it mounted at {TARGET}; the write of f1 to pvc-1 is lost",
        "Bytes behind a published volume go only when its DeleteVolume is right to take them: nothing may be deleted through a live mount.",
        (written, lie, gone, deleted, lost), told.events[gone - 1].at_s,
    )  # fmt: skip
    return report(violation), told.events


def _create(told: Told, name: str, process: str = "client-1") -> None:
    call = told.call("CreateVolume", {"name": name, "capacity_range": {"required_bytes": 1 << 30}}, process=process)
    served = told.call("CreateVolume", {"name": name}, kind="rpc", process="")
    lock = told.add("invoke", "lock", f"volume {name}", call=f"lock-{name}", process="controller", parent=served)
    assert lock
    told.at_s += 0.012
    asked = told.call(
        "pool.dataset.create", {"params": [{"name": f"tank/csi/{name}"}]}, kind="nas", process="nas", parent=served
    )
    told.at_s += 0.004
    told.add("info", "truth", "created", {"object": f"dataset tank/csi/{name}"}, process="nas")
    told.end("ok", asked)
    told.add("ok", "lock", f"volume {name}", call=f"lock-{name}", process="controller", parent=served)
    told.at_s += 0.001
    told.end("ok", served, {"volume": {"volume_id": name}})
    told.end("ok", call, {"volume": {"volume_id": name, "capacity_bytes": 1 << 30}})


def _stage(told: Told) -> None:
    request = {"volume_id": "pvc-1", "staging_target_path": STAGING}
    for method, value, operation, path in (
        ("NodeStageVolume", request, "mount", STAGING),
        ("NodePublishVolume", request | {"target_path": TARGET}, "bind", TARGET),
    ):
        call = told.call(method, value, process="kubelet node-1")
        served = told.call(method, value, kind="rpc", process="node-1")
        asked = told.call(operation, {"path": path}, kind="mount", process="node-1", parent=served)
        told.at_s += 0.05
        source = f"nas:/mnt/{DATASET}" if operation == "mount" else STAGING
        told.add("info", "truth", operation, {"path": path, "source": source, "fs_type": "nfs4"}, process="node-1")
        told.end("ok", asked)
        told.end("ok", served)
        told.end("ok", call)


def _unstage_with_a_lie(told: Told) -> int:
    request = {"volume_id": "pvc-1", "target_path": TARGET}
    call = told.call("NodeUnpublishVolume", request, process="kubelet node-1")
    served = told.call("NodeUnpublishVolume", request, kind="rpc", process="node-1")
    asked = told.call("umount", {"path": TARGET}, kind="mount", process="node-1", parent=served)
    told.add("info", "fault", "mount.umount", {"rule": "r1", "site": "mount.umount", "action": "lie(ok)", "vol": "pvc-1", "node": "node-1"},
             parent=served, process="node-1")  # fmt: skip
    told.at_s += 0.03
    told.end("ok", asked)
    told.end("ok", served)
    return told.end("ok", call)


def _delete(told: Told) -> tuple[int, int]:
    call = told.call("DeleteVolume", {"volume_id": "pvc-1"}, process="client-2")
    other = told.call("DeleteVolume", {"volume_id": "pvc-1"}, process="client-1")
    served = told.call("DeleteVolume", {"volume_id": "pvc-1"}, kind="rpc", process="")
    told.add("invoke", "lock", "volume pvc-1", call="lock-d", process="controller", parent=served)
    told.add("fail", "lock", "volume pvc-1", call="lock-e", process="controller")
    told.at_s += 0.002
    told.end("fail", other, {"code": "ABORTED", "message": "an operation on pvc-1 is under way"})
    asked = told.call(
        "pool.dataset.delete", {"params": [DATASET, {"recursive": False}]}, kind="nas", process="nas", parent=served
    )
    told.at_s += 0.03
    gone = told.add("info", "truth", "destroyed", {"object": f"dataset {DATASET}"}, process="nas")
    told.end("ok", asked)
    told.add("ok", "lock", "volume pvc-1", call="lock-d", process="controller", parent=served)
    told.end("ok", served)
    told.at_s += 0.02
    told.call("ListVolumes", {}, process="client-3")
    return gone, told.end("ok", call)


@cache
def crowd(count: int) -> list[Event]:
    """A busy run of about `count` events: callers with calls of all outcomes, bursts, and long silences between."""
    told = Told()
    told.add("info", "world", "phase", {"phase": "safety"}, process="world")
    outcomes = ("ok", "ok", "ok", "fail", "info")
    number = 0
    while told.history.last_seq < count:
        number += 1
        client, volume = f"client-{number % 8}", f"pvc-{number % 20}"
        call = told.call(
            "CreateVolume" if number % 3 else "DeleteVolume",
            {"name": volume} if number % 3 else {"volume_id": volume},
            process=client,
        )
        told.at_s += 30.0 if number % 500 == 0 else 0.001 * (number % 4)
        served = told.whole("CreateVolume", {"name": volume}, kind="rpc", process="")
        told.add("invoke", "lock", f"volume {volume}", call=f"l{number}", process="controller", parent=served)
        told.whole(
            "pool.dataset.query",
            {"params": [[["id", "=", f"tank/csi/{volume}"]], {}]},
            kind="nas",
            process="nas",
            parent=served,
        )
        told.add("ok", "lock", f"volume {volume}", call=f"l{number}", process="controller", parent=served)
        kind = outcomes[number % 5]
        told.end(kind, call, {"code": {"fail": "ABORTED", "info": "UNAVAILABLE"}.get(kind, ""), "message": "later"})
        if number % 50 == 0:
            told.add("info", "fault", "link.down", {"rule": "r2", "action": "disconnect(rst)"})
    return told.events
