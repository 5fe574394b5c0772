"""The kernel's mount table: what is mounted where, in which order, and what keeps it busy. Pure.

A mount hangs on its parent: the mount that its path led to when it was made. Mounts stacked on one path are therefore a
chain, and a mount made below a path that was covered later is hidden, as on Linux.
"""

import errno
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from csisim.host import MountPoint
from csisim.sim.backend import os_error

_ROOT = 0


@dataclass(frozen=True, slots=True)
class Mount:
    """One mount: `parent` is the id of the mount that it hangs on, 0 for the root file system."""

    id: int
    parent: int
    point: MountPoint


class MountTable:
    """All mounts of one host. Paths are absolute, already resolved, and not the root directory."""

    def __init__(self, rows: Iterable[Mapping[str, Any]] = ()) -> None:
        """Start with what `rows` returned earlier; KeyError, TypeError or ValueError where it is not that."""
        self._children: dict[tuple[int, str], Mount] = {}
        self._handles: dict[int, int] = {}
        self._detached: list[Mount] = []
        self._last_id = _ROOT
        for row in rows:
            point = MountPoint(
                str(row["path"]), str(row["source"]), str(row["fs_type"]), tuple(map(str, row["options"]))
            )
            self._put(Mount(int(row["id"]), int(row["parent"]), point))

    def rows(self) -> list[dict[str, Any]]:
        """Plain data to build the table from again; open files are not part of it."""
        return [{"id": each.id, "parent": each.parent, **asdict(each.point)} for each in self._children.values()]

    def chain(self, path: str) -> tuple[Mount, ...]:
        """The mounts stacked at exactly this path, oldest first, as far as they are not hidden."""
        prefix, _, _ = path.rpartition("/")
        current = self._id_at(prefix)
        found = []
        while (mount := self._children.get((current, path))) is not None:
            found.append(mount)
            current = mount.id
        return tuple(found)

    def covering(self, path: str) -> Mount | None:
        """The mount whose file system holds this path; None for the root file system."""
        current = self._id_at(path)
        return next((each for each in self._children.values() if each.id == current), None)

    def showing(self, source: str) -> tuple[Mount, ...]:
        """All mounts that show this source, oldest first."""
        return tuple(each for each in self._children.values() if each.point.source == source)

    def points(self) -> tuple[MountPoint, ...]:
        """Every mount, hidden ones too, oldest first."""
        return tuple(each.point for each in self._children.values())

    def add(self, point: MountPoint) -> Mount:
        """Put a mount on top of whatever is at its path."""
        mount = Mount(self._last_id + 1, self._id_at(point.path), point)
        self._put(mount)
        return mount

    def take_off(self, path: str) -> Mount:
        """Remove the topmost mount at this path. EINVAL: none. EBUSY: open files, or mounts below it."""
        stack = self.chain(path)
        if not stack:
            raise os_error(errno.EINVAL, path)
        top = stack[-1]
        if self._handles.get(top.id) or any(each.parent == top.id for each in self._children.values()):
            raise os_error(errno.EBUSY, path)
        del self._children[top.parent, path]
        return top

    def detach(self, path: str) -> None:
        """Take the topmost mount off lazily, with all below it; their sources stay held. EINVAL: none."""
        stack = self.chain(path)
        if not stack:
            raise os_error(errno.EINVAL, path)
        gone = {stack[-1].id}
        for key, mount in sorted(self._children.items(), key=lambda item: item[1].id):
            if mount.id in gone or mount.parent in gone:
                gone.add(mount.id)
                self._detached.append(self._children.pop(key))

    def holds(self, source: str) -> bool:
        """Whether the source is mounted, or detached but not let go yet."""
        return bool(self.showing(source)) or any(each.point.source == source for each in self._detached)

    def settle(self) -> None:
        """What was detached lets go of its sources."""
        self._detached.clear()

    def pin(self, path: str) -> int:
        """Count an open file below this path; returns the id of the mount that it keeps busy."""
        held = self._id_at(path)
        self._handles[held] = self._handles.get(held, 0) + 1
        return held

    def unpin(self, held: int) -> None:
        """Close what `pin` opened; after a reboot there is nothing to close."""
        if self._handles.get(held):
            self._handles[held] -= 1

    def clear(self) -> None:
        """Forget everything, as a reboot does. Ids are not used again."""
        self._children.clear()
        self._handles.clear()
        self._detached.clear()

    def _id_at(self, path: str) -> int:
        current = _ROOT
        prefix = ""
        for part in path.split("/")[1:]:
            prefix = f"{prefix}/{part}"
            while (mount := self._children.get((current, prefix))) is not None:
                current = mount.id
        return current

    def _put(self, mount: Mount) -> None:
        self._children[mount.parent, mount.point.path] = mount
        self._last_id = max(self._last_id, mount.id)
