"""What each CSI call was about: volume, snapshot, node; and the calls about one thing, by method."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

from csisim.check.index import Call, Index, value_of
from csisim.check.order import surely_done, surely_undone

SINGLE_NODE: Final = frozenset(
    {"SINGLE_NODE_WRITER", "SINGLE_NODE_READER_ONLY", "SINGLE_NODE_SINGLE_WRITER", "SINGLE_NODE_MULTI_WRITER"}
)
_ALL_NODES: Final = "*"
_KUBELET: Final = "kubelet "


def access_mode(call: Call) -> str:
    """The access mode of a request's volume_capability; "" where it has none."""
    capability = call.request.get("volume_capability") or {}
    return str((capability.get("access_mode") or {}).get("mode", ""))


def is_block(call: Call) -> bool:
    """Whether a request asks for a raw block volume."""
    return "block" in (call.request.get("volume_capability") or {})


class Subjects:
    """The CSI calls of a history by what they were about.

    Attributes:
        created: volume ids by the CO's name for them, as far as an answer told, each with the number that its call
            began with: a driver may give another id when a name comes up again.
        cut: snapshot ids by name, likewise.
    """

    def __init__(self, index: Index) -> None:
        self.index = index
        self.created: dict[str, list[tuple[int, str]]] = defaultdict(list)
        self.cut: dict[str, list[tuple[int, str]]] = defaultdict(list)
        for call in (*index.calls.get("rpc", ()), *index.calls.get("call", ())):
            if not call.ok:
                continue
            if call.f == "CreateVolume":
                self.created[call.request.get("name", "")].append((call.begin, volume_id(call)))
            elif call.f == "CreateSnapshot":
                self.cut[call.request.get("name", "")].append((call.begin, snapshot_id(call)))
        self._table: dict[tuple[str, str, str], list[Call]] = defaultdict(list)
        self._volumes: dict[str, None] = {}
        self._nodes: dict[str, None] = {}
        for call in index.steps:
            self._file(call)
        self._reboots: dict[str, list[Call]] = defaultdict(list)
        for event in index.world:
            if event.f == "reboot":
                node = str(value_of(event).get("node", ""))
                self._reboots[node].append(Call(event, event, "yes"))

    def _file(self, call: Call) -> None:
        volume = self.volume(call)
        if not volume:
            return
        self._volumes.setdefault(volume)
        node = self.node(call)
        if node and node != _ALL_NODES:
            self._nodes.setdefault(node)
        self._table[call.f, volume, node].append(call)

    @property
    def volumes(self) -> tuple[str, ...]:
        """Every volume that a call was about, in the order in which they came up."""
        return tuple(self._volumes)

    def knows(self, volume: str) -> bool:
        """Whether a call was about a volume of this id."""
        return volume in self._volumes

    @property
    def nodes(self) -> tuple[str, ...]:
        """Every node that a volume was to be on."""
        return tuple(self._nodes)

    def volume(self, call: Call) -> str:
        """The id of the volume that a call was about; a name where no answer ever told the id; "" for none."""
        if call.f == "CreateVolume":
            name = str(call.request.get("name", ""))
            return volume_id(call) or _id_then(self.created.get(name, ()), call) or name
        return str(call.request.get("volume_id") or call.request.get("source_volume_id") or "")

    def snapshot(self, call: Call) -> str:
        """The id of the snapshot that a call was about, as above."""
        if call.f == "CreateSnapshot":
            name = str(call.request.get("name", ""))
            return snapshot_id(call) or _id_then(self.cut.get(name, ()), call)
        return str(call.request.get("snapshot_id", ""))

    def node(self, call: Call) -> str:
        """The node on which a call was to do something; "" for a call about no node."""
        if call.f.startswith("Controller"):
            named = str(call.request.get("node_id", ""))
            return _ALL_NODES if call.f == "ControllerUnpublishVolume" and not named else named
        if not call.f.startswith("Node"):
            return ""
        if call.kind == "rpc":
            return call.process
        # Who else calls a node does not say which.
        return call.process.removeprefix(_KUBELET) if call.process.startswith(_KUBELET) else ""

    def calls(self, f: str, volume: str, node: str = "") -> list[Call]:
        """The calls of one method about a volume, and on a node; those about all nodes included."""
        found = self._table.get((f, volume, node), [])
        return found + self._table.get((f, volume, _ALL_NODES), []) if node else found

    def any_node(self, f: str, volume: str) -> list[Call]:
        """The calls of one method about a volume, on whichever node."""
        return [call for node in ("", _ALL_NODES, *self._nodes) for call in self._table.get((f, volume, node), [])]

    def undoes(self, f: str, volume: str, node: str) -> list[Call]:
        """What takes back a step on a node: its opposite, and for what the machine forgets a reboot."""
        found = self.calls(OPPOSITES[f], volume, node)
        return found if f.startswith("Controller") else found + self._reboots.get(node, [])

    def existed(self, volume: str, begin: int, end: int) -> Call | None:
        """The CreateVolume that made a volume which surely existed all this time."""
        return surely_done(self.calls("CreateVolume", volume), self.calls("DeleteVolume", volume), begin, end)

    def deleted_between(self, volume: str, begin: int, end: int) -> bool:
        """Whether a DeleteVolume may have taken effect between two events."""
        deletes = self.calls("DeleteVolume", volume)
        return any(call.effect != "no" and call.begin <= end and call.settled >= begin for call in deletes)

    def done(self, f: str, volume: str, node: str, begin: int, end: int) -> Call | None:
        """The call by which a step was surely done all this time."""
        return surely_done(self.calls(f, volume, node), self.undoes(f, volume, node), begin, end)

    def undone(self, f: str, volume: str, node: str, begin: int, end: int) -> bool:
        """Whether a step was surely undone all this time."""
        return surely_undone(self.calls(f, volume, node), self.undoes(f, volume, node), begin, end)


OPPOSITES: Final = {
    "ControllerPublishVolume": "ControllerUnpublishVolume",
    "NodeStageVolume": "NodeUnstageVolume",
    "NodePublishVolume": "NodeUnpublishVolume",
}


def _id_then(told: Sequence[tuple[int, str]], call: Call) -> str:
    """The id that a name had when a call ended, or else its first one; "" for none."""
    before = max((each for each in told if each[0] < call.end), default=None)
    return before[1] if before is not None else min(told)[1] if told else ""


def volume_id(call: Call) -> str:
    """The id in the answer of CreateVolume; "" without one."""
    volume: dict[str, Any] = call.response.get("volume") or {}
    return str(volume.get("volume_id", "")) if call.ok else ""


def snapshot_id(call: Call) -> str:
    """The id in the answer of CreateSnapshot; "" without one."""
    snapshot: dict[str, Any] = call.response.get("snapshot") or {}
    return str(snapshot.get("snapshot_id", "")) if call.ok else ""
