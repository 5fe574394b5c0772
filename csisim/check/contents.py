"""What a file of a volume may hold at a time, judged by the writes that workloads were told about."""

import bisect
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, Final

from csisim.check.index import FOREVER, Call, Index
from csisim.check.order import surely_done
from csisim.check.subjects import Subjects

_DEEPEST: Final = 8
NOTHING: Final = ""
"""Stands for a file that is not there."""


@dataclass
class _File:
    """The writes of one file of one volume, as far as they may have happened, by the number they began with."""

    writes: list[Call] = field(default_factory=list)
    begins: list[int] = field(default_factory=list)
    latest: list[int] = field(default_factory=list)
    sure: list[Call] = field(default_factory=list)

    def add(self, write: Call, *, sure: bool) -> None:
        """Writes come in the order in which they began."""
        self.writes.append(write)
        self.begins.append(write.begin)
        self.latest.append(max(write.settled, self.latest[-1] if self.latest else 0))
        if sure:
            self.sure.append(write)

    def must(self, before: int) -> Call | None:
        """The last write that was surely done before an event."""
        return max((each for each in self.sure if each.end < before), key=lambda each: each.begin, default=None)

    def candidates(self, since: int, end: int) -> list[Call]:
        """The writes that may be the last one: begun before `end`, and not surely over before `since`."""
        found = []
        position = bisect.bisect_left(self.begins, end) - 1
        while position >= 0 and self.latest[position] > since:
            if self.writes[position].settled > since:
                found.append(self.writes[position])
            position -= 1
        return found


@dataclass(frozen=True, slots=True)
class Expected:
    """What a read may find.

    Attributes:
        shas: of the bytes; NOTHING for no file.
        must: the acknowledged write that it may not miss, if there is one.
        source: the snapshot or volume from which it must come, where nothing was written since the restore.
    """

    shas: frozenset[str]
    must: Call | None = None
    source: str = ""


class Contents:
    """The files of all volumes of a history."""

    def __init__(self, index: Index) -> None:
        self._subjects = index.derived(Subjects)
        self._files: dict[tuple[str, str], _File] = defaultdict(_File)
        self._index = index
        for write in index.calls.get("data", ()):
            if write.f == "write" and write.effect != "no":
                volume = str(write.request.get("volume", ""))
                self._files[volume, str(write.request.get("file", ""))].add(write, sure=self.published(write))

    def published(self, data: Call) -> bool:
        """Whether the path was surely that of the volume while a workload used it."""
        if not data.ok:
            return False
        subjects, request = self._subjects, data.request
        volume, node, path = (str(request.get(name, "")) for name in ("volume", "node", "path"))
        there = [each for each in subjects.calls("NodePublishVolume", volume, node) if _target(each) == path]
        undoes = subjects.undoes("NodePublishVolume", volume, node)
        away = [each for each in undoes if not each.request.get("target_path") or _target(each) == path]
        # A volume that was deleted below its mount is another matter.
        deletes = subjects.calls("DeleteVolume", volume)
        return surely_done(there, [*away, *deletes], data.begin, data.end) is not None

    def expected(self, volume: str, file: str, begin: int, end: int) -> Expected | None:
        """What a read between two events may find; None where anything may be there."""
        return self._expected(volume, file, begin, end, _DEEPEST)

    def _expected(self, volume: str, file: str, begin: int, end: int, depth: int) -> Expected | None:
        writes = self._files.get((volume, file)) or _File()
        must = writes.must(begin)
        if must is not None and self._subjects.deleted_between(volume, must.begin, end):
            return None
        since = 0 if must is None else must.begin
        shas = {str(write.request.get("sha", "")) for write in writes.candidates(since, end)}
        if must is not None:
            return Expected(frozenset(shas), must)
        made = [each for each in self._subjects.calls("CreateVolume", volume) if each.effect != "no"]
        sources = {source_of(each) for each in made if each.begin < end}
        if len(sources) != 1 or depth == 0 or self._subjects.deleted_between(volume, 0, end):
            return None
        source = sources.pop()
        if not source[1]:
            return Expected(frozenset(shas | {NOTHING}))
        before = self._restored(source, made, file, depth)
        return None if before is None else Expected(before.shas | shas, before.must, f"{source[0]} {source[1]}")

    def _restored(self, source: tuple[str, str], made: list[Call], file: str, depth: int) -> Expected | None:
        """What a restore or clone may have brought with it: what its source held at the cut."""
        kind, id_ = source
        if kind == "volume":
            begin = min(each.begin for each in made)
            end = min((each.end for each in made if each.effect == "yes"), default=FOREVER)
            return self._expected(id_, file, begin, end, depth - 1)
        cuts = self.cuts_of(id_)
        if cuts is None:
            return None
        volume, begin, end = cuts
        return self._expected(volume, file, begin, end, depth - 1)

    def cuts_of(self, snapshot: str) -> tuple[str, int, int] | None:
        """The volume that a snapshot is of, and between which two events it was cut; None where that is not known."""
        found = [each for each in self._creates() if snapshot in _members(each, self._subjects)]
        volumes = {_members(each, self._subjects)[snapshot] for each in found}
        if len(volumes) != 1:
            return None
        end = min((each.end for each in found if each.effect == "yes"), default=FOREVER)
        # One that is deleted and cut again under the same id holds another time.
        deletes = [each for each in self._index.steps if each.f == "DeleteSnapshot" and each.effect != "no"]
        if any(self._subjects.snapshot(each) == snapshot for each in deletes):
            end = FOREVER
        return volumes.pop(), min(each.begin for each in found), end

    def _creates(self) -> list[Call]:
        return self._index.derived(_snapshot_creates)


def _snapshot_creates(index: Index) -> list[Call]:
    methods = {"CreateSnapshot", "CreateVolumeGroupSnapshot"}
    return [each for each in index.steps if each.f in methods and each.effect != "no"]


def _members(create: Call, subjects: Subjects) -> dict[str, str]:
    """Snapshot ids that a call may have made, each with its volume."""
    if create.f == "CreateSnapshot":
        return {subjects.snapshot(create): str(create.request.get("source_volume_id", ""))}
    group: dict[str, Any] = create.response.get("group_snapshot") or {}
    return {str(each.get("snapshot_id")): str(each.get("source_volume_id")) for each in group.get("snapshots", ())}


def source_of(create: Call) -> tuple[str, str]:
    """Kind and id of what a volume is made from; two empty texts for a new one."""
    source: dict[str, Any] = create.request.get("volume_content_source") or {}
    if "snapshot" in source:
        return "snapshot", str(source["snapshot"].get("snapshot_id", ""))
    if "volume" in source:
        return "volume", str(source["volume"].get("volume_id", ""))
    return "", ""


def _target(call: Call) -> str:
    return str(call.request.get("target_path", ""))
