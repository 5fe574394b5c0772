"""What really was mounted, and what really was on the NAS, over time: from the events below all faults."""

import re
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from csisim.check.index import FOREVER, Index, value_of
from csisim.check.subjects import Subjects
from csisim.events import Event

_ISCSI: Final = re.compile(r".*-iscsi-(.+)-lun-\d+")
_NVME: Final = re.compile(r".*/nvme-[^-]*-(.+)-\d+")


@dataclass(eq=False)
class Mount:
    """One row of a node's mount table while it was there.

    Attributes:
        volume: what it shows; "" where the source does not tell.
        event: that put it there.
        gone: that took it off; None while it lasts.
    """

    node: str
    path: str
    source: str
    volume: str
    readonly: bool
    event: Event
    gone: Event | None = None

    @property
    def begin(self) -> int:
        """Number of the event that put it there."""
        return self.event.seq

    @property
    def end(self) -> int:
        """Number of the event that took it off; FOREVER while it lasts."""
        return FOREVER if self.gone is None else self.gone.seq


@dataclass(eq=False)
class Object:
    """One life of an object of the NAS, such as `dataset tank/csi/pvc-1`."""

    name: str
    event: Event
    gone: Event | None = None

    @property
    def kind(self) -> str:
        """For example dataset, snapshot, nfs share."""
        return self.name.rpartition(" ")[0]

    @property
    def id(self) -> str:
        """The name without the kind."""
        return self.name.rpartition(" ")[2]

    @property
    def begin(self) -> int:
        """Number of the event that created it."""
        return self.event.seq

    @property
    def moved(self) -> bool:
        """Whether it did not go, but has another name now."""
        return self.gone is not None and "moved_to" in value_of(self.gone)

    @property
    def end(self) -> int:
        """Number of the event that destroyed it; FOREVER while it lives."""
        return FOREVER if self.gone is None else self.gone.seq


def volume_of(value: Mapping[str, Any], known: Collection[str]) -> str:
    """The volume that a mount or device shows, of those that are known; "" where it cannot be told."""
    told = str(value.get("volume") or str(value.get("dataset") or "").rpartition("/")[2])
    if told:
        return told
    source = str(value.get("source") or value.get("device") or "").partition("[/")[0]
    unit = _ISCSI.fullmatch(source) or _NVME.fullmatch(source)
    last = unit[1].rpartition(":")[2] if unit else source.rpartition("/")[2]
    return last if last in known else ""


@dataclass
class Mounts:
    """Every mount of every node.

    Attributes:
        all: in the order in which they were made.
        seen: whether the history tells of any machine at all.
        removed: by node and path, the numbers of the events that removed the path.
    """

    all: list[Mount] = field(default_factory=list)
    seen: bool = False
    removed: dict[tuple[str, str], list[int]] = field(default_factory=lambda: defaultdict(list))
    _stacks: dict[tuple[str, str], list[Mount]] = field(default_factory=lambda: defaultdict(list))

    def top(self, node: str, path: str, at: int) -> Mount | None:
        """The topmost mount at a path just before the event of this number."""
        there = [mount for mount in self._stacks.get((node, path), ()) if mount.begin < at <= mount.end]
        return there[-1] if there else None

    def at(self, node: str, path: str) -> list[Mount]:
        """All mounts that ever were at a path, in order."""
        return self._stacks.get((node, path), [])


def mounts_of(index: Index) -> Mounts:
    """The mounts of a history."""
    found, known = Mounts(), frozenset(index.derived(Subjects).volumes)
    live: dict[str, dict[str, list[Mount]]] = defaultdict(lambda: defaultdict(list))
    for event in index.truth:
        if event.process == "nas":
            continue
        found.seen = True
        value = value_of(event)
        path = str(value.get("path") or value.get("target") or "")
        match event.f:
            case "mount" | "bind":
                readonly = "ro" in (value.get("options") or ())
                source = str(value.get("source") or "")
                mount = Mount(event.process, path, source, volume_of(value, known), readonly, event)
                live[event.process][path].append(mount)
                found._stacks[event.process, path].append(mount)  # noqa: SLF001 - built here
                found.all.append(mount)
            case "umount" | "detach":
                stack = live[event.process][path]
                shown = [each for each in stack if each.source == value.get("source", each.source)]
                if shown:
                    stack.remove(shown[-1])
                    shown[-1].gone = event
            case "remove":
                found.removed[event.process, path].append(event.seq)
            case "reboot":
                for stack in live.pop(event.process, {}).values():
                    for mount in stack:
                        mount.gone = event
    return found


def objects_of(index: Index) -> list[Object]:
    """Every life of every object of the NAS, in the order in which they began; made before the history: left out."""
    found: list[Object] = []
    live: dict[str, list[Object]] = defaultdict(list)
    for event in index.truth:
        if event.process != "nas":
            continue
        name = str(value_of(event).get("object", ""))
        if event.f == "created":
            made = Object(name, event)
            found.append(made)
            live[name].append(made)
        elif event.f == "destroyed" and live[name]:
            live[name].pop(0).gone = event
    return found


def dataset_of(volume: str, object_: Object) -> bool:
    """Whether this is the dataset of a volume."""
    return object_.kind == "dataset" and object_.id.rpartition("/")[2] == volume


def done_for(index: Index) -> dict[str, list[Event]]:
    """What really happened on machines, in order, by the call that it happened for; "" for none."""
    found: dict[str, list[Event]] = {}
    for event in index.truth:
        if event.process != "nas":
            found.setdefault(event.parent, []).append(event)
    return found
