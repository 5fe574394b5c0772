"""I7, idempotence; I8, code truth; I12, size truth: what the driver answers."""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any, Final

from csisim.check.findings import Findings, at, told
from csisim.check.index import Call, Index, value_of
from csisim.check.order import surely_undone
from csisim.check.subjects import OPPOSITES, Subjects
from csisim.check.truth import done_for, mounts_of, objects_of
from csisim.check.verdicts import Result

_WHY_I7: Final = "The same request repeated converges to the same answer (id, capacity, context) and the same state."
_WHY_I8: Final = (
    "The gRPC code is the one that the spec asks for, and a code that the CO reads as 'nothing is running' is sent only"
    " when nothing is running and nothing was done."
)
_WHY_I12: Final = "Reported, backend and file-system capacity agree after an expansion settles; they never shrink."

PENDING: Final = frozenset({"ABORTED", "UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED"})
"""Codes after which callers assume that work may still be running."""
_PASSING: Final = frozenset(
    {"EAGAIN", "EINTR", "EIO", "ENOMEM", "EPIPE", "ENETDOWN", "ENETUNREACH", "ECONNABORTED", "ECONNRESET", "ETIMEDOUT",
     "ECONNREFUSED", "EHOSTUNREACH", "EBUSY", "ENODEV", "ENXIO", "ESTALE"}
)  # fmt: skip
# File systems that a node does not have to itself.
_SHARED: Final = frozenset({"nfs", "nfs4"})
# No file system takes more than a tenth of a device for itself.
_USABLE: Final = 0.9
_DAMAGED: Final = re.compile(r"the record of volume .* is damaged")
# Calls about an existing volume, for which NOT_FOUND says that it does not exist. NodeGetVolumeStats and
# NodeExpandVolume also say so of a path.
_ON_VOLUME: Final = frozenset(
    {"ControllerPublishVolume", "ControllerUnpublishVolume", "ControllerExpandVolume", "ControllerModifyVolume",
     "ControllerGetVolume", "ValidateVolumeCapabilities", "CreateSnapshot", "NodeStageVolume", "NodeUnstageVolume",
     "NodePublishVolume", "NodeUnpublishVolume"}
)  # fmt: skip


def i7(index: Index) -> Result:
    """Idempotence."""
    found = Findings("I7", _WHY_I7)
    same: dict[tuple[str, str], list[Call]] = defaultdict(list)
    for call in index.steps:
        if call.f in _TOLD and call.done is not None:
            same[call.f, json.dumps(call.request, sort_keys=True, default=str)].append(call)
    for calls in same.values():
        done = [call for call in calls if call.ok]
        for first, second in pairwise(done):
            if not _ended_between(index, first, second):
                found.looked_at += 1
                _compare(index, found, first, second)
        for refused in calls:
            if refused.code == "ALREADY_EXISTS" and not refused.injected and not index.disturbed(refused):
                _refused_repeat(index, found, done, refused)
    return found.result()


# Per method: the member of the answer that must be the same, and of it the fields.
_TOLD: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "CreateVolume": ("volume", ("volume_id", "capacity_bytes", "volume_context")),
    "CreateSnapshot": ("snapshot", ("snapshot_id", "source_volume_id", "size_bytes", "creation_time")),
    "ControllerPublishVolume": ("", ("publish_context",)),
    "ControllerExpandVolume": ("", ("node_expansion_required",)),
    "NodeStageVolume": ("", ()),
    "NodePublishVolume": ("", ()),
}


def _ended_between(index: Index, first: Call, second: Call) -> bool:
    """Whether what the first call made may have been taken away before the second one ended."""
    subjects = index.derived(Subjects)
    volume = subjects.volume(first)
    if subjects.deleted_between(volume, first.begin, max(first.end, second.end)):
        return True
    if first.f == "CreateSnapshot":
        gone = [each for each in index.steps if each.f == "DeleteSnapshot"]
    elif first.f == "ControllerExpandVolume":
        gone = subjects.any_node("NodeExpandVolume", volume)  # then the node has done its part
    elif first.f in OPPOSITES:
        gone = subjects.undoes(first.f, volume, subjects.node(first))
    else:
        return False
    return _any_between(gone, first, second)


def _any_between(calls: Iterable[Call], first: Call, second: Call) -> bool:
    """Whether one of the calls may have had its effect between the beginning of the first and the end of both."""
    end = max(first.end, second.end)
    return any(each.effect != "no" and each.begin < end and each.settled > first.begin for each in calls)


def _compare(index: Index, found: Findings, first: Call, second: Call) -> None:
    member, fields = _TOLD[first.f]
    one: Mapping[str, Any] = first.response.get(member, {}) if member else first.response
    other: Mapping[str, Any] = second.response.get(member, {}) if member else second.response
    for name in fields:
        if one.get(name) == other.get(name):
            continue
        if name == "capacity_bytes" and _expanded_between(index, first, second):
            continue
        found.add(
            f"The same {first.f} was answered twice with OK and with different {name}: {one.get(name)!r}"
            f" ({told(index, first)}) and {other.get(name)!r} ({told(index, second)}).",
            (*first.events, *second.events), second.end_s,
        )  # fmt: skip


def _expanded_between(index: Index, first: Call, second: Call) -> bool:
    subjects = index.derived(Subjects)
    return _any_between(subjects.calls("ControllerExpandVolume", subjects.volume(first)), first, second)


def _refused_repeat(index: Index, found: Findings, done: Iterable[Call], refused: Call) -> None:
    before = [call for call in done if call.end < refused.begin and not _ended_between(index, call, refused)]
    if refused.f == "CreateVolume":  # what has grown meanwhile may be more than it asks for
        before = [call for call in before if not _expanded_between(index, call, refused)]
    if before:
        found.looked_at += 1
        found.add(
            f"The same {refused.f} that had succeeded ({told(index, before[-1])}) was refused when it was repeated:"
            f" {told(index, refused)}: {refused.response.get('message', '')}",
            (*before[-1].events, *refused.events), refused.end_s,
        )  # fmt: skip


def i8(index: Index) -> Result:
    """Code truth."""
    found = Findings("I8", _WHY_I8)
    left = _left_by(index)
    for call in index.steps:
        if call.done is None or call.ok or call.injected:
            continue
        found.looked_at += 1
        if call.code not in PENDING and not (call.code == "RESOURCE_EXHAUSTED" and "Snapshot" in call.f):
            _done_though_final(index, found, call, left)
        if call.code in {"INTERNAL", "UNKNOWN"}:
            _internal(index, found, call)
        elif not index.disturbed(call):
            _wrong_for_state(index, found, call)
    for call in index.answers if index.steps is not index.answers else ():
        message = str(call.response.get("message", ""))
        if "defect in the driver" in message:
            found.looked_at += 1
            found.add(f"{told(index, call)}: an error that nobody expected: {message}", call.events, call.end_s)
        elif _DAMAGED.match(message) and not any(event.f.startswith("file.") for event in index.faults):
            found.looked_at += 1
            found.add(f"{told(index, call)}: nobody had damaged it: {message}", call.events, call.end_s)
    return found.result()


def _left_by(index: Index) -> dict[str, list[tuple[str, int, int, float]]]:
    """By call: the volumes, snapshots and mounts that it made, each with the events that made and ended it."""
    left: dict[str, list[tuple[str, int, int, float]]] = defaultdict(list)
    subjects = index.derived(Subjects)
    for each in index.derived(objects_of):
        rpc = index.rpc_of(each.event) if each.kind in {"dataset", "snapshot"} else None
        if rpc is None or rpc.f not in {"CreateVolume", "CreateSnapshot"}:
            continue
        name = str(rpc.request.get("name", ""))
        known = (name, subjects.volume(rpc)) if rpc.f == "CreateVolume" else (name, subjects.snapshot(rpc))
        # What is made on the way, such as the dataset that all are below, is nobody's volume.
        if each.id.rpartition("/")[2] in known or each.id.rpartition("@")[2] in known:
            left[rpc.id].append((each.name, each.begin, each.end, each.event.at_s))
    for mount in index.derived(mounts_of).all:
        rpc = index.rpc_of(mount.event)
        wanted = {"NodeStageVolume": "staging_target_path", "NodePublishVolume": "target_path"}
        if rpc is not None and mount.path == rpc.request.get(wanted.get(rpc.f, ""), ""):
            left[rpc.id].append((f"the mount at {mount.path}", mount.begin, mount.end, mount.event.at_s))
    return left


def _done_though_final(
    index: Index, found: Findings, call: Call, left: Mapping[str, list[tuple[str, int, int, float]]]
) -> None:
    if call.kind != "rpc":
        return
    for name, begin, end, at_s in left.get(call.id, ()):
        if end > call.end:
            found.add(
                f"{told(index, call)}: the CO takes this code for 'nothing was done', and {name}, made by this call at"
                f" {at(at_s)}, was there: {call.response.get('message', '')}",
                (call.begin, begin, *call.events), call.end_s,
            )  # fmt: skip


def _internal(index: Index, found: Findings, call: Call) -> None:
    message = str(call.response.get("message", ""))
    if "defect in the driver" in message or call.code == "UNKNOWN":
        found.add(f"{told(index, call)}: an error that nobody expected: {message}", call.events, call.end_s)
        return
    for event in index.faults:
        if call.begin < event.seq < call.end and index.rpc_of(event) is call:
            action = str(value_of(event).get("action", ""))
            if not action.startswith("error(") or action[6:].rstrip(")").partition(",")[0] in _PASSING:
                found.add(
                    f"{told(index, call)}: the CO takes INTERNAL for 'do not repeat', and the cause would have passed:"
                    f" {action} at {event.f}: {message}",
                    (event.seq, *call.events), call.end_s,
                )  # fmt: skip
                return


def _wrong_for_state(index: Index, found: Findings, call: Call) -> None:
    """NOT_FOUND for what exists, ALREADY_EXISTS for what does not."""
    subjects = index.derived(Subjects)
    volume = subjects.volume(call)
    if call.code == "NOT_FOUND" and call.f in _ON_VOLUME:
        create = subjects.existed(volume, call.begin, call.end)
        if create is None or (call.f == "ControllerPublishVolume" and not _node_known(index, subjects.node(call))):
            return
        found.add(
            f"{told(index, call)}: the volume existed since {told(index, create)}:"
            f" {call.response.get('message', '')}",
            (*create.events, *call.events), call.end_s,
        )  # fmt: skip
    elif call.code == "ALREADY_EXISTS" and call.f == "CreateVolume" and index.whole:
        others = [each for each in subjects.calls("CreateVolume", volume) if each is not call]
        foreign = any(event.f == "foreign" for event in index.world)
        deletes = subjects.calls("DeleteVolume", volume)
        if not foreign and surely_undone(others, deletes, call.begin, call.end):
            found.add(
                f"{told(index, call)}: no volume of this name existed: {call.response.get('message', '')}",
                call.events, call.end_s,
            )  # fmt: skip


def _node_known(index: Index, node: str) -> bool:
    return any(each.f == "ControllerPublishVolume" and each.ok and each.request.get("node_id") == node
               for each in index.steps)  # fmt: skip


def i12(index: Index) -> Result:
    """Size truth."""
    found = Findings("I12", _WHY_I12)
    subjects = index.derived(Subjects)
    told_sizes: dict[str, list[tuple[int, Call, str]]] = defaultdict(list)
    for call in index.answers:
        if not call.ok:
            continue
        for volume, size_bytes, what in _sizes(subjects, call):
            told_sizes[volume].append((size_bytes, call, what))
        _asked(index, found, call)
    for volume, sizes in told_sizes.items():
        _never_less(index, found, volume, sizes)
        if index.whole and not subjects.calls("ControllerExpandVolume", volume):
            _never_more(index, found, volume, sizes)
        _seen_at_once(index, found, volume, sizes)
    return found.result()


def _sizes(subjects: Subjects, call: Call) -> Iterable[tuple[str, int, str]]:
    """The capacities of volumes that an answer tells."""
    response = call.response
    match call.f:
        case "CreateVolume" | "ControllerGetVolume":
            told_volume = response.get("volume") or {}
            yield subjects.volume(call), int(told_volume.get("capacity_bytes", 0)), "capacity"
        case "ControllerExpandVolume":
            yield subjects.volume(call), int(response.get("capacity_bytes", 0)), "capacity"
        case "ListVolumes":
            for entry in response.get("entries", ()):
                each = entry.get("volume") or {}
                yield str(each.get("volume_id", "")), int(each.get("capacity_bytes", 0)), "capacity"
        case "NodeGetVolumeStats":
            for usage in response.get("usage", ()):
                if usage.get("unit") == "BYTES":
                    yield subjects.volume(call), int(usage.get("total", 0)), "total of its file system"


def _asked(index: Index, found: Findings, call: Call) -> None:
    """An expansion, or a creation, that succeeded has given what was asked for."""
    if call.f not in {"ControllerExpandVolume", "CreateVolume"}:
        return
    asked = call.request.get("capacity_range") or {}
    answer = call.response if call.f == "ControllerExpandVolume" else call.response.get("volume") or {}
    got = int(answer.get("capacity_bytes", 0))
    required, limit = int(asked.get("required_bytes", 0)), int(asked.get("limit_bytes", 0))
    if not got:
        return  # the spec lets a plugin not tell
    found.looked_at += 1
    # A repeat may tell of what another call has grown meanwhile, so only too little is always wrong.
    if got < required:
        found.add(
            f"{told(index, call)}: {required} bytes were required, and it was answered with {got}.",
            call.events, call.end_s,
        )  # fmt: skip
    elif limit and got > limit and not index.derived(Subjects).calls("ControllerExpandVolume", index.derived(
        Subjects).volume(call)):  # fmt: skip
        found.add(
            f"{told(index, call)}: at most {limit} bytes were allowed, and it was answered with {got}.",
            call.events, call.end_s,
        )  # fmt: skip


def _never_more(index: Index, found: Findings, volume: str, sizes: list[tuple[int, Call, str]]) -> None:
    """Of a volume that nobody expands."""
    subjects = index.derived(Subjects)
    created = [(size, call) for size, call, _ in sizes if size and call.f == "CreateVolume"]
    for size_bytes, call, what in sizes:
        for known, create in created:
            if (
                what == "capacity"
                and known < size_bytes
                and create.end < call.begin
                and subjects.existed(volume, create.end + 1, call.end) is not None
            ):
                found.add(
                    f"Volume {volume} has grown, and nobody expanded it: capacity {known} bytes by"
                    f" {told(index, create)}, and then {size_bytes} bytes by {told(index, call)}.",
                    (*create.events, *call.events), call.end_s,
                )  # fmt: skip
                break


def _seen_at_once(index: Index, found: Findings, volume: str, sizes: list[tuple[int, Call, str]]) -> None:
    """Where nothing was left to be done by a node, each node sees what the volume has grown to."""
    grown = [(size_bytes, call) for size_bytes, call, _ in sizes
             if call.f == "ControllerExpandVolume" and not call.response.get("node_expansion_required")]  # fmt: skip
    for size_bytes, call, what in sizes:
        if call.f != "NodeGetVolumeStats":
            continue
        for capacity, expand in grown:
            existed = index.derived(Subjects).existed(volume, expand.begin, call.end)
            if size_bytes < capacity * _USABLE and expand.end < call.begin and existed is not None:
                found.add(
                    f"{told(index, expand)}: it said {capacity} bytes, and that no node has to do more, and then the"
                    f" {what} was {size_bytes} bytes by {told(index, call)}.",
                    (*expand.events, *call.events), call.end_s,
                )  # fmt: skip
                break


def _never_less(index: Index, found: Findings, volume: str, sizes: list[tuple[int, Call, str]]) -> None:
    subjects = index.derived(Subjects)
    largest: dict[str, dict[str, tuple[int, Call]]] = defaultdict(dict)
    for size_bytes, call, what in sorted(sizes, key=lambda each: each[1].end):
        if not size_bytes:
            continue
        found.looked_at += 1
        where = _where(call)
        known = max(
            (each for place, each in largest[what].items() if place == where or _sees(index, volume, call, each[1])),
            key=lambda each: each[0], default=(0, call),
        )  # fmt: skip
        if known[0] > size_bytes and known[1].end < call.begin:
            since = known[1].end + 1 if known[1].f == "CreateVolume" else known[1].begin
            # A list may show what is half made, and gone again when that fails.
            if subjects.existed(volume, since, call.end) is not None:
                found.add(
                    f"Volume {volume} has shrunk: {what} {known[0]} bytes by {told(index, known[1])}, and then"
                    f" {size_bytes} bytes by {told(index, call)}.",
                    (*known[1].events, *call.events), call.end_s,
                )  # fmt: skip
        elif size_bytes > largest[what].get(where, (0, call))[0]:
            largest[what][where] = (size_bytes, call)


def _where(call: Call) -> str:
    """From where a size was seen; "" for what the controller tells."""
    return str(call.request.get("staging_target_path") or call.request.get("volume_path") or "")


def _sees(index: Index, volume: str, call: Call, before: Call) -> bool:
    """Whether who tells a size must know of one that another node had told before.

    A node sees what a device had grown to when it last looked: so if it is no device, or was really staged since.
    """
    mounts = index.derived(mounts_of).all
    if any(each.volume == volume and value_of(each.event).get("fs_type") in _SHARED for each in mounts):
        return True
    where = _where(call)
    staged = [each for each in index.steps if each.f == "NodeStageVolume" and each.ok and _where(each) == where
              and before.end < each.begin and each.end < call.begin]  # fmt: skip
    done = index.derived(done_for)
    return any(event.f in {"login", "mount"} for each in staged for event in done.get(each.id, ()))
