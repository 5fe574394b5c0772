"""A run as a report reads it: its events, read once, and which of them belong together."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from csisim.events import Event

# What names a volume or snapshot in requests, answers and other values.
_NAMING: Final = frozenset({"volume_id", "source_volume_id", "snapshot_id", "source_snapshot_id", "group_snapshot_id",
                            "volume", "vol", "snap"})  # fmt: skip
_PATHS: Final = ("staging_target_path", "target_path", "volume_path", "path")
_TOKEN = re.compile(r"[A-Za-z0-9][\w.-]*")
_LONGEST_TEXT = 2_000
_MOST_TEXTS = 200


@dataclass(frozen=True, slots=True)
class Entry:
    """One event with its value at hand; see `csisim.events`."""

    seq: int
    at_s: float
    type: str
    kind: str
    f: str
    call: str
    process: str
    parent: str
    value: Mapping[str, Any]


@dataclass(slots=True)
class Pair:
    """A call: its beginning and its end, either of which the history may lack."""

    begin: Entry | None = None
    end: Entry | None = None


class Record:
    """The events of a run.

    Attributes:
        entries: in order.
        by_seq: the same by number.
        calls: the same by call id, for those that have one.
    """

    def __init__(self, events: Sequence[Event]) -> None:
        self.entries = [_entry(event) for event in events]
        self.by_seq = {entry.seq: entry for entry in self.entries}
        self.calls: dict[str, Pair] = {}
        for entry in self.entries:
            if entry.call:
                pair = self.calls.setdefault(entry.call, Pair())
                if entry.type == "invoke":
                    pair.begin = pair.begin or entry
                else:
                    pair.end = entry

    def pair(self, entry: Entry) -> Pair:
        """The call that an event belongs to; of an event without a call, the event alone."""
        return self.calls.get(entry.call) or (Pair(entry) if entry.type == "invoke" else Pair(None, entry))

    def partner(self, entry: Entry) -> Entry | None:
        """The other end of the same call."""
        pair = self.pair(entry)
        other = pair.end if entry.type == "invoke" else pair.begin
        return other if other is not entry else None

    @cached_property
    def known(self) -> frozenset[str]:
        """Names of all volumes and snapshots that anybody named."""
        found: dict[str, None] = {}
        for entry in self.entries:
            if entry.kind in {"call", "rpc", "data", "lock"}:
                found |= dict.fromkeys(_named(entry))
        return frozenset(found)

    @cached_property
    def _owners(self) -> dict[str, str]:
        """Volume by path, as callers said it: a staging path need not have the volume's name in it."""
        owners: dict[str, str] = {}
        for entry in self.entries:
            volume = entry.value.get("volume_id")
            if entry.kind in {"call", "rpc"} and isinstance(volume, str):
                owners |= {path: volume for key in _PATHS if isinstance(path := entry.value.get(key), str) and path}
        return owners

    def names(self, entry: Entry) -> frozenset[str]:
        """The volumes and snapshots that an event is about, as far as its call, its parents and its texts tell."""
        family = [each for each in (entry, self.partner(entry), *self._parents(entry)) if each is not None]
        found = {name for each in family for name in _named(each)}
        for each in family[:2]:
            for text in _texts(each.value):
                found |= self.known.intersection(_TOKEN.findall(text))
                found |= {owner for path in (text, text.rsplit("/", 1)[0]) if (owner := self._owners.get(path))}
        return frozenset(found)

    def mentioned(self, text: str) -> frozenset[str]:
        """The volumes and snapshots whose names a sentence has in it."""
        return self.known.intersection(token.rstrip(".") for token in _TOKEN.findall(text))

    def _parents(self, entry: Entry) -> Iterator[Entry]:
        seen: set[str] = set()
        parent = entry.parent
        while parent and parent not in seen and parent in self.calls:
            seen.add(parent)
            begin = self.calls[parent].begin
            if begin is None:
                return
            yield begin
            parent = begin.parent


def _entry(event: Event) -> Entry:
    value = event.value() if callable(event.value) else event.value
    return Entry(event.seq, event.at_s, event.type, event.kind, event.f, event.call, event.process, event.parent, value)


def _named(entry: Entry) -> Iterator[str]:
    value = entry.value
    if entry.kind == "lock":
        yield entry.f.partition(" ")[2] or entry.f
        return
    if entry.kind in {"call", "rpc"} and entry.f.startswith("Create") and isinstance(value.get("name"), str):
        yield value["name"]
    for part in (value, value.get("volume"), value.get("snapshot"), value.get("volume_content_source")):
        if isinstance(part, Mapping):
            for key in part:
                if key in _NAMING and isinstance(name := part[key], str) and 0 < len(name) <= _LONGEST_TEXT:
                    yield name
                    volume, at, snapshot = name.partition("@")
                    if at:
                        yield from (volume, snapshot)


def _texts(value: Any) -> Iterator[str]:
    """The strings in a value, up to a bound."""
    left = [value]
    count = 0
    while left and count < _MOST_TEXTS:
        part = left.pop()
        count += 1
        if isinstance(part, str):
            yield part[:_LONGEST_TEXT]
        elif isinstance(part, Mapping):
            left += list(part.values())[:_MOST_TEXTS]
        elif isinstance(part, list | tuple):
            left += part[:_MOST_TEXTS]
