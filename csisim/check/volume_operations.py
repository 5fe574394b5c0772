"""From the calls of a history to operations on volumes, for `csisim.check.volume_model`.

A volume goes by the name that its CO gave it. Ids of volumes and snapshots are learned from the answers of the whole
history first. A call that concerns several volumes, such as a group snapshot, becomes an operation for each.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final

from csisim.check.doubt import Faults
from csisim.check.index import INDETERMINATE, Call, Index, index, value_of
from csisim.check.linearizability import Operation
from csisim.events import Event

REBOOT: Final = "reboot"
UNLIMITED: Final = 1 << 63
_TOLD: Final = 200
_PLAINLY: Final = str.maketrans("", "", "{}[]\"'")
_INFORMATION: Final = "csi.storage.k8s.io/"
_KUBELET: Final = "kubelet "
_BY_ID: Final = frozenset(
    {"DeleteVolume", "ControllerPublishVolume", "ControllerUnpublishVolume", "ControllerExpandVolume",
     "ControllerModifyVolume", "ControllerGetVolume", "ControllerGetVolumeHealth", "ValidateVolumeCapabilities"}
)  # fmt: skip
_ON_NODE: Final = frozenset(
    {"NodeStageVolume", "NodeUnstageVolume", "NodePublishVolume", "NodeUnpublishVolume", "NodeGetVolumeStats",
     "NodeExpandVolume"}
)  # fmt: skip
_SNAPSHOTS: Final = frozenset({"CreateSnapshot", "DeleteSnapshot", "GetSnapshot"})
_GROUPS: Final = frozenset({"CreateVolumeGroupSnapshot", "DeleteVolumeGroupSnapshot"})

_REFUSED_WHOLE: Final = frozenset({"ABORTED", "ALREADY_EXISTS", "INVALID_ARGUMENT", "NOT_FOUND"})

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked of a volume; members that say nothing are empty.

    Attributes:
        volume: its name, the key of its partition.
        id: by which it was asked for.
        node: where, or for which node.
        path: staging path, target path, or where its statistics were read.
        staging: staging path that a publication starts from.
        snapshot: name of the snapshot.
        snapshot_id: its id.
        required_bytes, limit_bytes: the capacity range; UNLIMITED without a limit.
        parameters: of its creation, without those that are mere information.
        source: what its content comes from.
        how: everything else that a repeat has to agree on, as JSON.
        shared: the access mode is one for several nodes.
        vague: `how` lacks what may not be shown, so that two of them may differ unseen.
        rivals: something else in the history may be the reason of a refusal: copies of the volume or snapshot, the
            same snapshot name for another volume, a node that nobody knows. Or nobody attaches volumes to nodes.
    """

    volume: str
    id: str = ""
    node: str = ""
    path: str = ""
    staging: str = ""
    snapshot: str = ""
    snapshot_id: str = ""
    required_bytes: int = 0
    limit_bytes: int = UNLIMITED
    parameters: Pairs = ()
    source: str = ""
    how: str = ""
    shared: bool = False
    vague: bool = False
    rivals: bool = False

    def __str__(self) -> str:
        shown = [each.name for each in fields(self) if getattr(self, each.name) != each.default]
        hidden = ("vague", "rivals", "volume" if self.id == self.volume else "")
        told = ", ".join(f"{name} {getattr(self, name)}" for name in shown if name not in hidden)
        return told.translate(_PLAINLY)


@dataclass(frozen=True, slots=True)
class Answered:
    """What came back.

    Attributes:
        code: name of the gRPC status.
        excused: a fault in the driver's surroundings may be the reason of the code.
        id: of the volume or snapshot.
        capacity_bytes: 0 where nothing is said.
        nodes: where it is published; None where nothing is said.
        message: of a failed call.
        seq: number of the event.
    """

    code: str = "OK"
    excused: bool = False
    id: str = ""
    capacity_bytes: int = 0
    nodes: tuple[str, ...] | None = None
    message: str = ""
    seq: int = 0

    def __str__(self) -> str:
        message = self.message.partition("\n")[0][:_TOLD]
        parts = [self.code, self.id, f"{self.capacity_bytes} bytes" if self.capacity_bytes else "", message]
        if self.nodes is not None:
            parts.append(f"published on {', '.join(self.nodes) or 'no node'}")
        return " ".join(filter(None, parts))


def as_index(events: Index | Sequence[Event]) -> Index:
    """A history that may have been put in order already."""
    return events if isinstance(events, Index) else index(events)


def operations_of(events: Index | Sequence[Event]) -> list[Operation]:
    """The operations on volumes that a history tells of; their times are loop time, their numbers those of events."""
    found = as_index(events)
    reader = _Reader(found, Faults(found))
    operations = [operation for call in found.answers for operation in reader.operations(call)]
    return _known_nodes_only(operations) + _reboots(found, operations)


class _Reader:
    """Calls to operations; knows what ids the whole history tells of."""

    def __init__(self, history: Index, faults: Faults) -> None:
        self._faults = faults
        self._served = _served(history)
        self._names: dict[str, str] = {}
        self._snapshots: dict[str, tuple[str, str]] = {}
        self._members: dict[str, list[tuple[str, str, str]]] = {}
        self._copied: set[str] = set()
        self._sources: dict[str, set[str]] = {}
        self._nodes: set[str] = set()
        self._tells_nodes = False
        self._attaches = any(call.f == "ControllerPublishVolume" for call in history.answers)
        for call in history.answers:
            self._learn(call)

    def _learn(self, call: Call) -> None:
        request, reply = call.request, _reply(call)
        match call.f:
            case "CreateVolume":
                if volume_id := reply.get("volume", {}).get("volume_id"):
                    self._names[volume_id] = request.get("name", "")
                self._copied.update(filter(None, (_source(request),)))
            case "CreateSnapshot":
                name, source = request.get("name", ""), request.get("source_volume_id", "")
                self._sources.setdefault(name, set()).add(source)
                snapshot_id = reply.get("snapshot", {}).get("snapshot_id") or f"{source}@{name}"
                self._snapshots.setdefault(snapshot_id, (source, name))
            case "CreateVolumeGroupSnapshot":
                group = reply.get("group_snapshot", {})
                name = f"group {request.get('name', '')}"
                for each in group.get("snapshots", ()):
                    member = (each.get("source_volume_id", ""), name, each.get("snapshot_id", ""))
                    self._members.setdefault(group.get("group_snapshot_id", ""), []).append(member)
                    self._snapshots[member[2]] = member[:2]
            case "ControllerPublishVolume" if call.code == "OK":
                self._nodes.add(request.get("node_id", ""))
            case "ControllerGetVolume":
                self._tells_nodes |= "status" in reply
        self._nodes.add(self._node_of(call))

    def operations(self, call: Call) -> Iterator[Operation]:
        """What a call does to each volume that it concerns."""
        f, request = call.f, call.request
        asked: Asked | None = None
        if f == "CreateVolume":
            asked = _creation(request)
        elif f in _BY_ID:
            asked = self._by_id(call)
        elif f in _ON_NODE:
            asked = self._on_node(call)
        elif f in _SNAPSHOTS:
            asked = self._snapshot(call)
        elif f in _GROUPS and call.code not in _REFUSED_WHOLE:
            for volume_id, name, snapshot_id in self._of_group(call):
                asked = Asked(self._key(volume_id), snapshot=name, snapshot_id=snapshot_id, id=volume_id)
                # One that is refused in the middle may have dealt with this volume or not.
                yield self._operation(call, asked, certain=call.ok)
        if asked is not None:
            yield self._operation(call, asked)

    def _key(self, volume_id: str) -> str:
        return self._names.get(volume_id, volume_id)

    def _by_id(self, call: Call) -> Asked:
        request = call.request
        volume_id, node = request.get("volume_id", ""), request.get("node_id", "")
        asked = Asked(self._key(volume_id), id=volume_id, node=node)
        match call.f:
            case "DeleteVolume":
                return replace(asked, rivals=volume_id in self._copied)
            case "ControllerPublishVolume":
                capability, vague = _capability(request)
                how = _json([capability, request.get("readonly", False)])
                shared = _is_shared(capability)
                return replace(asked, how=how, vague=vague, shared=shared, rivals=node not in self._nodes)
            case "ControllerExpandVolume":
                required, limit = _range(request)
                return replace(asked, required_bytes=required, limit_bytes=limit)
        return asked

    def _on_node(self, call: Call) -> Asked | None:
        request, node = call.request, self._node_of(call)
        if not node and call.effect == "maybe":
            return None  # it never reached a node
        volume_id = request.get("volume_id", "")
        staging = request.get("staging_target_path", "")
        path = request.get("target_path") or request.get("volume_path") or staging
        asked = Asked(self._key(volume_id), id=volume_id, node=node, path=path)
        if call.f == "NodeStageVolume":
            return replace(asked, rivals=not self._attaches)
        if call.f != "NodePublishVolume":
            return asked
        capability, vague = _capability(request)
        how = _json([capability, request.get("readonly", False)])
        return replace(asked, staging=staging, how=how, vague=vague)

    def _node_of(self, call: Call) -> str:
        """The node that a call was made to, where that is known: from who calls, or who served the like."""
        if call.kind == "rpc":
            return call.process
        if call.process.startswith(_KUBELET):
            return call.process.removeprefix(_KUBELET)
        nodes = self._served.get((call.f, _json(call.request)), set()) if call.f in _ON_NODE else set()
        return next(iter(nodes)) if len(nodes) == 1 else ""

    def _snapshot(self, call: Call) -> Asked | None:
        request = call.request
        if call.f == "CreateSnapshot":
            source, name = request.get("source_volume_id", ""), request.get("name", "")
            return Asked(self._key(source), id=source, snapshot=name, rivals=len(self._sources[name]) > 1)
        snapshot_id = request.get("snapshot_id", "")
        if snapshot_id not in self._snapshots:
            return None  # nobody ever saw it made: of which volume it would be is not known
        source, name = self._snapshots[snapshot_id]
        return Asked(self._key(source), snapshot=name, snapshot_id=snapshot_id, rivals=snapshot_id in self._copied)

    def _of_group(self, call: Call) -> list[tuple[str, str, str]]:
        if call.f == "DeleteVolumeGroupSnapshot":
            return self._members.get(call.request.get("group_snapshot_id", ""), [])
        if call.code == "OK":
            return self._members.get(_reply(call).get("group_snapshot", {}).get("group_snapshot_id", ""), [])
        name = f"group {call.request.get('name', '')}"
        return [(each, name, "") for each in call.request.get("source_volume_ids", ())]

    def _operation(self, call: Call, asked: Asked, *, certain: bool = True) -> Operation:
        doubt = self._faults.doubt(call)
        code, answer, invoke = call.code, call.done, call.invoke
        asked_at: dict[str, Any] = {"invoked_s": invoke.at_s, "invoked_seq": invoke.seq, "value": asked}
        if answer is None or code in INDETERMINATE or doubt in ("effect", "answer") or not certain:
            told = Answered(code, seq=answer.seq if answer else 0, message=_message(call))
            return Operation(invoke.process, call.f, result=told, completed_s=None, type="info", **asked_at)
        told = replace(_answered(call, tells_nodes=self._tells_nodes), excused=bool(doubt))
        return Operation(invoke.process, call.f, result=told, completed_s=answer.at_s, completed_seq=answer.seq,
                         type="ok" if call.ok else "fail", **asked_at)  # fmt: skip


def _reply(call: Call) -> Mapping[str, Any]:
    """The response of a call that succeeded, else nothing."""
    return call.response if call.ok else {}


def _served(history: Index) -> dict[tuple[str, str], set[str]]:
    """The nodes that served each request."""
    found: dict[tuple[str, str], set[str]] = {}
    for call in history.calls.get("rpc", ()):
        if call.f in _ON_NODE:
            found.setdefault((call.f, _json(call.request)), set()).add(call.process)
    return found


def _creation(request: Mapping[str, Any]) -> Asked:
    required, limit = _range(request)
    parameters = tuple((key, value) for key, value in sorted(request.get("parameters", {}).items())
                       if not key.startswith(_INFORMATION))  # fmt: skip
    kept = ("volume_capabilities", "accessibility_requirements", "mutable_parameters")
    how = {key: request[key] for key in kept if key in request}
    return Asked(
        request.get("name", ""),
        required_bytes=required,
        limit_bytes=limit,
        parameters=parameters,
        source=_source(request),
        how=_json(how),
    )


def _answered(call: Call, *, tells_nodes: bool) -> Answered:
    reply, seq = _reply(call), call.end
    if call.code != "OK":
        return Answered(call.code, message=_message(call), seq=seq)
    match call.f:
        case "CreateVolume" | "ControllerGetVolume":
            volume = reply.get("volume", {})
            nodes = None
            if call.f == "ControllerGetVolume" and tells_nodes:
                nodes = tuple(sorted(reply.get("status", {}).get("published_node_ids", ())))
            return Answered(id=volume.get("volume_id", ""), capacity_bytes=volume.get("capacity_bytes", 0), nodes=nodes,
                            seq=seq)  # fmt: skip
        case "CreateSnapshot" | "GetSnapshot":
            return Answered(id=reply.get("snapshot", {}).get("snapshot_id", ""), seq=seq)
        case "ControllerExpandVolume":
            return Answered(capacity_bytes=reply.get("capacity_bytes", 0), seq=seq)
    return Answered(seq=seq)


def _message(call: Call) -> str:
    return str(call.response.get("message", "")) if call.code != "OK" else ""


def _source(request: Mapping[str, Any]) -> str:
    source = request.get("volume_content_source", {})
    return str(source.get("snapshot", {}).get("snapshot_id", "") or source.get("volume", {}).get("volume_id", ""))


def _range(request: Mapping[str, Any]) -> tuple[int, int]:
    asked = request.get("capacity_range", {})
    return asked.get("required_bytes", 0), asked.get("limit_bytes", 0) or UNLIMITED


def _capability(request: Mapping[str, Any]) -> tuple[Mapping[str, Any], bool]:
    """The capability without what is not shown, and whether there was such."""
    capability = dict(request.get("volume_capability", {}))
    mount = capability.get("mount", {})
    if "mount_flags" not in mount:
        return capability, False
    capability["mount"] = {key: value for key, value in mount.items() if key != "mount_flags"}
    return capability, True


def _is_shared(capability: Mapping[str, Any]) -> bool:
    return str(capability.get("access_mode", {}).get("mode", "")).startswith("MULTI_NODE")


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _known_nodes_only(operations: Sequence[Operation]) -> list[Operation]:
    """Without what nodes did with volumes where one of those nodes is not known: it may be any of them."""
    unclear = {each.value.volume for each in operations if each.f in _ON_NODE and not each.value.node}
    return [each for each in operations if each.f not in _ON_NODE or each.value.volume not in unclear]


def _reboots(history: Index, operations: Sequence[Operation]) -> list[Operation]:
    """A reboot takes mounts away, of every volume that was on the node."""
    used = dict.fromkeys((each.value.node, each.value.volume) for each in operations if each.f in _ON_NODE)
    found = []
    for begin, end, node in _reboot_times(history):
        found += [
            Operation("world", REBOOT, Asked(volume, node=node), Answered(seq=end.seq), begin.at_s, end.at_s,
                      invoked_seq=begin.seq, completed_seq=end.seq)
            for where, volume in used
            if where == node
        ]  # fmt: skip
    return found


def _reboot_times(history: Index) -> Iterator[tuple[Event, Event, str]]:
    """Between which events each machine was rebooted."""
    for event in history.truth:
        if event.f == REBOOT:
            yield event, event, event.process
    begun: dict[str, Event] = {}
    for event in history.world:
        value = value_of(event)
        node = str(value.get("node", ""))
        if event.f == REBOOT:
            yield event, event, node
        elif event.f == "crash" and value.get("what") == REBOOT:
            begun[node] = event
        elif event.f == "restart" and value.get("what") == REBOOT and node in begun:
            yield begun.pop(node), event, node
    for node, event in begun.items():
        yield event, event, node
