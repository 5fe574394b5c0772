"""Walks through ListVolumes and ListSnapshots, which span volumes: an interval rule instead of an order (I14).

A walk begins with an empty starting token and follows the next tokens to an empty one. An object that was there from
before its beginning until after its end is shown exactly once. One that cannot have been there is not shown, and none
is shown twice. What came or went meanwhile may be shown or not.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from csisim.check.doubt import Faults
from csisim.check.index import FOREVER, Call, Index
from csisim.check.verdicts import Result, Violation
from csisim.check.volume_operations import as_index
from csisim.events import Event

NAME: Final = "I14"
_METHODS: Final = {"ListVolumes": ("volume", "volume_id"), "ListSnapshots": ("snapshot", "snapshot_id")}
_CREATIONS: Final = {
    "ListVolumes": frozenset({"CreateVolume"}),
    "ListSnapshots": frozenset({"CreateSnapshot", "CreateVolumeGroupSnapshot"}),
}
_DELETIONS: Final = (("DeleteVolume", "volume_id"), ("DeleteSnapshot", "snapshot_id"))
_ALL_WHY: Final = "An object that exists during a whole paged walk is seen exactly once."
_ONLY_WHY: Final = "A list shows what exists, and of that what its filter asks for."
_TOKEN_WHY: Final = "A starting token that is not valid is answered with ABORTED."  # noqa: S105 - a list's token


@dataclass(slots=True)
class Walk:
    """The pages of one list, in order, and how far it has come: `token` is None when it is at its end."""

    pages: list[Call]
    token: str | None

    @property
    def first(self) -> Call:
        """The page it began with."""
        return self.pages[0]

    @property
    def begin(self) -> int:
        """Number of its first event."""
        return self.first.begin

    @property
    def end(self) -> int:
        """Number of its last event so far."""
        return self.pages[-1].end

    def shown(self) -> Iterator[tuple[Mapping[str, Any], Call]]:
        """What it showed, with the page."""
        kind, _ = _METHODS[self.first.f]
        for page in self.pages:
            for entry in page.response.get("entries", ()):
                yield entry.get(kind, {}), page


@dataclass(slots=True)
class _Life:
    """What happened to one object: creations and deletions that had an effect, or may have had."""

    source: str = ""
    created: list[Call] = field(default_factory=list)
    deleted: list[Call] = field(default_factory=list)

    def throughout(self, begin: int, end: int) -> Call | None:
        """The creation since which it was certainly there, where that was from one event to the other."""
        for made in self.created:
            deletable = any(gone.begin < end and gone.settled > made.begin for gone in self.deleted)
            if made.ok and made.end < begin and not deletable:
                return made
        return None

    def possible(self, begin: int, page: Call) -> bool:
        """Whether it can have been there at some time since an event, when a page was made."""
        return any(
            made.begin < page.end
            and (made.effect != "no" or made.end > page.begin)  # a refused one may be seen while it is taken back
            and not any(gone.ok and gone.begin > made.settled and gone.end < begin for gone in self.deleted)
            for made in self.created
        )


def check_lists(events: Index | Sequence[Event], existing: Collection[str] = ()) -> Result:
    """Whether every walk showed what it had to, and nothing else.

    Args:
        events: a history from its beginning on.
        existing: ids of volumes and snapshots that were there before it.
    """
    history = as_index(events)
    if not history.whole:
        return Result(NAME, 0, unknown="the beginning of the history is missing: nobody knows what there was before")
    faults = Faults(history)
    found: list[Violation] = []
    looked_at = 0
    for method in _METHODS:
        pages = [call for call in history.answers if call.f == method]
        if not pages:
            continue
        lives = _lives(history, method)
        walks = [walk for walk in _walks(pages) if not any(faults.doubt(page) == "answer" for page in walk.pages)]
        for walk in walks:
            found += [*_missing(walk, lives), *_wrong(walk, lives, existing)]
        ids = {*lives, *existing}
        found += _bad_tokens(pages, ids, faults)
        looked_at += len(walks)
    return Result(NAME, looked_at, tuple(sorted(found, key=lambda each: each.events)))


def _walks(pages: Sequence[Call]) -> list[Walk]:
    """Each page goes to the walk of its process that waits for it; a page without an answer may be asked for again."""
    walks: list[Walk] = []
    for page in sorted((each for each in pages if each.ok), key=lambda each: each.end):
        following = page.response.get("next_token", "") or None
        token = page.request.get("starting_token", "")
        if not token:
            walks.append(Walk([page], following))
            continue
        for walk in reversed(walks):
            if walk.token == token and walk.first.process == page.process and walk.end < page.begin:
                walk.pages.append(page)
                walk.token = following
                break
    return walks


def _lives(history: Index, method: str) -> dict[str, _Life]:
    """The objects of a kind by id; those whose id no answer told, by "" and by the id that their name suggests."""
    creations = [call for call in history.answers if call.f in _CREATIONS[method]]
    ids: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for call in creations:
        ids.setdefault((call.f, call.request.get("name", "")), []).extend(_made(call))
    lives: dict[str, _Life] = {}
    for call in creations:
        made = _made(call) or ids[call.f, call.request.get("name", "")] or [("", ""), *_guessed(call)]
        for object_id, source in dict.fromkeys(made):
            life = lives.setdefault(object_id, _Life(source))
            life.created.append(call)
    groups = {_group_id(call): _made(call) for call in creations if call.f == "CreateVolumeGroupSnapshot" and call.ok}
    for call in history.answers:
        for each in _unmade(call, groups):
            if each in lives:
                lives[each].deleted.append(call)
    return lives


def _made(call: Call) -> list[tuple[str, str]]:
    """Id and source volume of what a creation answered."""
    if not call.ok:
        return []
    reply = call.response
    if call.f == "CreateVolume":
        return [(reply.get("volume", {}).get("volume_id", ""), "")]
    cut = (
        reply.get("group_snapshot", {}).get("snapshots", ())
        if "group_snapshot" in reply
        else [reply.get("snapshot", {})]
    )
    return [(each.get("snapshot_id", ""), each.get("source_volume_id", "")) for each in cut]


def _guessed(call: Call) -> list[tuple[str, str]]:
    name, source = call.request.get("name", ""), call.request.get("source_volume_id", "")
    return [(f"{source}@{name}", source)] if source else [(name, "")]


def _group_id(call: Call) -> str:
    return str(call.response.get("group_snapshot", {}).get("group_snapshot_id", ""))


def _unmade(call: Call, groups: Mapping[str, Sequence[tuple[str, str]]]) -> list[str]:
    """The ids of what a call deleted, or may have deleted."""
    request = call.request
    if call.f == "DeleteVolumeGroupSnapshot":  # refused in the middle, it may have removed some
        return [member for member, _ in groups.get(request.get("group_snapshot_id", ""), ())]
    if call.effect == "no":
        return []
    return [str(request.get(key, "")) for f, key in _DELETIONS if f == call.f]


def _missing(walk: Walk, lives: Mapping[str, _Life]) -> Iterator[Violation]:
    """What a whole walk ought to have shown."""
    if walk.token is not None:
        return
    _, key = _METHODS[walk.first.f]
    shown = {each.get(key, "") for each, _ in walk.shown()}
    for object_id, life in lives.items():
        if object_id in shown or not object_id or not _matches(walk, object_id, life.source):
            continue
        made = life.throughout(walk.begin, walk.end)
        if made is not None:
            summary = f"{_named(walk)} did not show {object_id}, which was there from {made.end_s:g} s on."
            yield _violation(walk, summary, _ALL_WHY, made.events)


def _wrong(walk: Walk, lives: Mapping[str, _Life], existing: Collection[str]) -> Iterator[Violation]:
    """What a walk ought not to have shown."""
    _, key = _METHODS[walk.first.f]
    before: dict[str, Call] = {}
    for entry, page in walk.shown():
        object_id = str(entry.get(key, ""))
        if object_id in before:
            pages = (before[object_id].end, page.end)
            yield _violation(walk, f"{_named(walk)} showed {object_id} twice.", _ALL_WHY, pages)
            continue
        before[object_id] = page
        if not _matches(walk, object_id, str(entry.get("source_volume_id", ""))):
            summary = f"{_named(walk)} showed {object_id}, which its filter does not ask for."
            yield _violation(walk, summary, _ONLY_WHY, (page.end,))
        unnamed = lives.get("")
        known = lives.get(object_id)
        possible = [life for life in (known, unnamed) if life and life.possible(walk.begin, page)]
        if not possible and object_id not in existing:
            how = "was deleted before it began" if known else "nobody had created"
            summary = f"{_named(walk)} showed {object_id}, which {how}."
            gone = [gone.end for gone in known.deleted if gone.ok and gone.end < walk.begin][-1:] if known else []
            yield _violation(walk, summary, _ONLY_WHY, (*gone, page.end))


def _matches(walk: Walk, object_id: str, source: str) -> bool:
    """Whether the filter of a walk asks for an object."""
    request = walk.first.request
    return bool(
        request.get("snapshot_id", object_id) == object_id and request.get("source_volume_id", source) == source
    )


def _bad_tokens(pages: Sequence[Call], ids: Collection[str], faults: Faults) -> Iterator[Violation]:
    """Tokens that no answer gave. One that is made of an object's id may be valid all the same."""
    given = {call.response.get("next_token", ""): call.end for call in reversed(pages) if call.ok}
    for call in pages:
        token = call.request.get("starting_token", "")
        if not token or given.get(token, FOREVER) < call.begin or any(each and each in token for each in ids):
            continue
        if call.effect == "maybe" or call.code == "ABORTED" or call.request.get("max_entries", 0) < 0:
            continue
        if faults.doubt(call):
            continue
        summary = f"{call.f} by {call.process} with the token {token!r}, which nobody was given, answered {call.code}."
        yield Violation(NAME, summary, _TOKEN_WHY, call.events, call.end_s)


def _named(walk: Walk) -> str:
    whole = "" if walk.token is None else "the beginning of "
    return f"{whole}{walk.first.f} by {walk.first.process}, {walk.first.begin_s:g} to {walk.pages[-1].end_s:g} s,"


def _violation(walk: Walk, summary: str, why: str, events: Sequence[int]) -> Violation:
    pages = "\n".join(
        f"{page.begin_s:g} to {page.end_s:g} s, token {page.request.get('starting_token', '')!r}: "
        + (", ".join(str(entry.get(_METHODS[page.f][1], "")) for entry, at in walk.shown() if at is page) or "nothing")
        for page in walk.pages
    )
    seen = sorted({*events, walk.begin, walk.end})
    return Violation(NAME, summary[0].upper() + summary[1:], why, tuple(seen), walk.pages[-1].end_s, pages)
