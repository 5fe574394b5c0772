"""Histories written by hand: each line of a test adds events, one tick of a tenth of a second apart."""

from collections.abc import Callable
from typing import Any

from csisim.check.index import Index, index
from csisim.check.verdicts import Result
from csisim.events import Event

SINGLE = {"mount": {"fs_type": "ext4"}, "access_mode": {"mode": "SINGLE_NODE_WRITER"}}
MULTI = {"mount": {}, "access_mode": {"mode": "MULTI_NODE_MULTI_WRITER"}}
STAGED = "/plugins/v/globalmount"
TARGET = "/pods/p/mount"


class Told:
    """A history that grows."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._calls = 0

    def add(self, type_: Any, kind: Any, f: str, *, call: str = "", process: str = "", parent: str = "",
            value: dict[str, Any] | None = None, tick_s: float = 0.1) -> int:  # fmt: skip
        at_s = (self.events[-1].at_s if self.events else 0.0) + tick_s
        self.events.append(Event(len(self.events) + 1, at_s, type_, kind, f, call, process, parent, value or {}))
        return len(self.events)

    def begin(self, kind: str, f: str, process: str = "", parent: str = "", **value: Any) -> str:
        self._calls += 1
        call = f"c{self._calls}"
        self.add("invoke", kind, f, call=call, process=process, parent=parent, value=value)
        return call

    def end(self, call: str, type_: str = "ok", **value: Any) -> None:
        begun = next(each for each in self.events if each.call == call)
        self.add(type_, begun.kind, begun.f, call=call, process=begun.process, parent=begun.parent, value=value)

    def rpc(self, f: str, request: dict[str, Any], code: str = "OK", response: dict[str, Any] | None = None,
            node: str = "node-1") -> str:  # fmt: skip
        call = self.begin("rpc", f, node, **request)
        self.answer(call, code, response)
        return call

    def answer(self, call: str, code: str = "OK", response: dict[str, Any] | None = None) -> None:
        if code == "OK":
            self.end(call, **(response or {}))
        else:
            self.end(call, "fail", code=code, message="because")

    def truth(self, f: str, process: str = "node-1", parent: str = "", **value: Any) -> int:
        return self.add("info", "truth", f, process=process, parent=parent, value=value)

    def made(self, name: str, parent: str = "") -> int:
        return self.truth("created", "nas", parent, object=name)

    def gone(self, name: str, parent: str = "") -> int:
        return self.truth("destroyed", "nas", parent, object=name)

    def world(self, f: str, **value: Any) -> int:
        return self.add("info", "world", f, process="world", value=value)

    def create(self, volume: str = "v", code: str = "OK", size: int = 10, **more: Any) -> str:
        request = {"name": volume, "capacity_range": {"required_bytes": size}, **more}
        answer = {
            "volume": {"volume_id": volume, "capacity_bytes": size, "volume_context": {"share": f"/mnt/t/{volume}"}}
        }
        return self.rpc("CreateVolume", request, code, answer)

    def delete(self, volume: str = "v", code: str = "OK") -> str:
        return self.rpc("DeleteVolume", {"volume_id": volume}, code)

    def attach(self, volume: str = "v", node: str = "node-1", code: str = "OK", capability: Any = SINGLE) -> str:
        request = {"volume_id": volume, "node_id": node, "volume_capability": capability}
        return self.rpc("ControllerPublishVolume", request, code, {"publish_context": {"a": "b"}})

    def detach(self, volume: str = "v", node: str = "node-1", code: str = "OK") -> str:
        return self.rpc("ControllerUnpublishVolume", {"volume_id": volume, "node_id": node}, code)

    def stage_request(self, volume: str = "v", capability: Any = SINGLE) -> dict[str, Any]:
        return {"volume_id": volume, "staging_target_path": STAGED, "volume_capability": capability}

    def stage(self, volume: str = "v", node: str = "node-1", code: str = "OK", *, really: bool = True) -> str:
        call = self.begin("rpc", "NodeStageVolume", node, **self.stage_request(volume))
        if really:
            self.mount(volume, node, STAGED, call)
        self.answer(call, code)
        return call

    def mount(self, volume: str, node: str, path: str, parent: str = "", options: tuple[str, ...] = ("rw",)) -> int:
        value = {"path": path, "source": f"nas:/mnt/t/{volume}", "fs_type": "nfs", "options": list(options)}
        return self.truth("mount", node, parent, **value, dataset=f"t/{volume}")

    def publish(self, volume: str = "v", node: str = "node-1", code: str = "OK", *, really: bool = True) -> str:
        request = {"volume_id": volume, "target_path": TARGET, "volume_capability": SINGLE}
        call = self.begin("rpc", "NodePublishVolume", node, **request)
        if really:
            self.mount(volume, node, TARGET, call)
        self.answer(call, code)
        return call

    def unpublish(self, volume: str = "v", node: str = "node-1", code: str = "OK", *, really: bool = True) -> str:
        call = self.begin("rpc", "NodeUnpublishVolume", node, volume_id=volume, target_path=TARGET)
        if really:
            self.truth("umount", node, call, path=TARGET, source=f"nas:/mnt/t/{volume}")
            self.truth("remove", node, call, path=TARGET)
        self.answer(call, code)
        return call

    def unstage(self, volume: str = "v", node: str = "node-1", code: str = "OK", *, really: bool = True) -> str:
        call = self.begin("rpc", "NodeUnstageVolume", node, volume_id=volume, staging_target_path=STAGED)
        if really:
            self.truth("umount", node, call, path=STAGED, source=f"nas:/mnt/t/{volume}")
        self.answer(call, code)
        return call

    def in_use(self, volume: str = "v", node: str = "node-1", **create: Any) -> None:
        """From nothing to a pod that has the volume."""
        self.create(volume, **create)
        self.attach(volume, node)
        self.stage(volume, node)
        self.publish(volume, node)

    def write(self, sha: str, volume: str = "v", node: str = "node-1", end: str = "ok") -> str:
        call = self.begin("data", "write", "pod", volume=volume, node=node, path=TARGET, file="a", sha=sha)
        if end:
            self.end(call, end)
        return call

    def read(self, sha: str, volume: str = "v", node: str = "node-1") -> str:
        call = self.begin("data", "read", "pod", volume=volume, node=node, path=TARGET, file="a", sha="")
        self.end(call, sha=sha)
        return call

    def snapshot(self, volume: str = "v", name: str = "s") -> str:
        answer = {"snapshot": {"snapshot_id": f"{volume}@{name}", "source_volume_id": volume, "size_bytes": 10}}
        return self.rpc("CreateSnapshot", {"name": name, "source_volume_id": volume}, response=answer)

    @property
    def index(self) -> Index:
        return index(self.events)


def summaries(check: Callable[[Index], Result], told: Told) -> list[str]:
    """What a check finds; it must have looked at something."""
    result = check(told.index)
    assert result.looked_at > 0
    assert all(set(found.events) <= set(range(1, len(told.events) + 1)) and found.events for found in result.violations)
    return [found.summary for found in result.violations]
