"""I4, single writer; I5, lifecycle order; I6, mount truth: the way of a volume to its pods and back."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from csisim.check.findings import Findings, at, short, told
from csisim.check.index import Call, Index, value_of
from csisim.check.order import latest_undo, surely_done
from csisim.check.paths import look_at_paths
from csisim.check.subjects import SINGLE_NODE, Subjects, access_mode, is_block
from csisim.check.truth import Mount, Mounts, done_for, mounts_of
from csisim.check.verdicts import Result

_WHY_I4: Final = "A single-node volume is never writable from two nodes at one time."
_WHY_I5: Final = (
    "ControllerPublish, Stage, Publish, Unpublish, Unstage, ControllerUnpublish, Delete: a later step never succeeds"
    " over an undone earlier one."
)
_WHY_I6: Final = (
    "Publish or Stage OK means that the path is a mount of the right volume; Unpublish or Unstage OK means that it is"
    " not mounted, and after Unpublish that the path is gone."
)
# A step, and what must have been done before it on the same node.
_BEFORE: Final = {"NodeStageVolume": "ControllerPublishVolume", "NodePublishVolume": "NodeStageVolume"}
# A step back, and what must have been undone before it.
_FIRST_UNDO: Final = {"NodeUnstageVolume": "NodePublishVolume", "DeleteVolume": "ControllerPublishVolume"}


def i4(index: Index) -> Result:
    """Single writer."""
    found = Findings("I4", _WHY_I4)
    subjects = index.derived(Subjects)
    for volume in subjects.volumes:
        _two_grants(index, found, volume)
        _two_mounts(index, found, volume)
    return found.result()


def _two_grants(index: Index, found: Findings, volume: str) -> None:
    subjects = index.derived(Subjects)
    for publish in subjects.any_node("ControllerPublishVolume", volume):
        if not publish.ok or access_mode(publish) not in SINGLE_NODE:
            continue
        found.looked_at += 1
        node = subjects.node(publish)
        for other in subjects.nodes:
            if other == node:
                continue
            holder = subjects.done("ControllerPublishVolume", volume, other, publish.begin, publish.end)
            deleted = holder is not None and subjects.deleted_between(volume, holder.begin, publish.end)
            if holder is not None and not deleted:
                found.add(
                    f"Volume {volume} was published on {node} ({told(index, publish)}) as {access_mode(publish)} while"
                    f" it still was on {other} ({told(index, holder)}).",
                    (*holder.events, *publish.events), publish.end_s,
                )  # fmt: skip


def _two_mounts(index: Index, found: Findings, volume: str) -> None:
    """Writable mounts on two nodes, where each node had been told that the other one was done."""
    mounts = [each for each in index.derived(mounts_of).all if each.volume == volume and not each.readonly]
    nodes = list(dict.fromkeys(each.node for each in mounts))
    if not nodes:
        return
    found.looked_at += 1
    if len(nodes) < 2:
        return
    for number, second in enumerate(mounts):
        for first in mounts[:number]:
            if first.node == second.node or second.begin >= first.end:
                continue
            if _single(index, first) and _single(index, second) and not _left_behind(index, first, second.begin):
                found.add(
                    f"From {at(second.event.at_s)} on volume {volume} was mounted writable on {second.node} at"
                    f" {second.path} and still on {first.node} at {first.path}.",
                    (first.begin, second.begin), second.event.at_s,
                )  # fmt: skip
                return


def _single(index: Index, mount: Mount) -> bool:
    """Whether the node mounted the volume for a mode that allows one node only."""
    subjects = index.derived(Subjects)
    stages = subjects.calls("NodeStageVolume", mount.volume, mount.node)
    asked = [each for each in stages if each.begin < mount.begin]
    return bool(asked) and all(access_mode(each) in SINGLE_NODE for each in asked)


def _left_behind(index: Index, mount: Mount, before: int) -> bool:
    """Whether the CO took the volume from a node before that node was done with it: then it is the CO's doing."""
    subjects = index.derived(Subjects)
    for away in subjects.calls("ControllerUnpublishVolume", mount.volume, mount.node):
        if away.effect == "no" or away.begin >= before:
            continue
        unstaged = latest_undo(subjects.calls("NodeUnstageVolume", mount.volume, mount.node), away.begin)
        again = subjects.calls("NodeStageVolume", mount.volume, mount.node)
        done = unstaged is not None and not any(
            each.effect != "no" and each.settled > unstaged.begin and each.begin < away.end for each in again
        )
        if not done:
            return True
    return False


def i5(index: Index) -> Result:
    """Lifecycle order."""
    found = Findings("I5", _WHY_I5)
    subjects = index.derived(Subjects)
    used = {call.f for call in index.steps}
    for step in index.steps:
        if not step.ok:
            continue
        volume, node = subjects.volume(step), subjects.node(step)
        before = _BEFORE.get(step.f)
        if before in used and node:
            found.looked_at += 1
            _undone_before(index, found, step, before or "")
        elif step.f == "ControllerPublishVolume" and subjects.calls("CreateVolume", volume):
            found.looked_at += 1
            _deleted_before(index, found, step)
        first = _FIRST_UNDO.get(step.f)
        if first in used:
            found.looked_at += 1
            for each in (node,) if node else subjects.nodes:
                _still_done(index, found, step, first or "", each)
    return found.result()


def _undone_before(index: Index, found: Findings, step: Call, before: str) -> None:
    subjects = index.derived(Subjects)
    volume, node = subjects.volume(step), subjects.node(step)
    # A repeat of what is done already changes nothing, and may be answered without a look at the step before.
    if subjects.done(step.f, volume, node, step.begin, step.end) is not None:
        return
    if not subjects.undone(before, volume, node, step.begin, step.end):
        return
    undo = latest_undo(subjects.undoes(before, volume, node), step.begin)
    since = undo.end if undo is not None else 0
    again = subjects.calls(before, volume, node)
    if any(since < each.end <= step.end and _left_half(index, each) for each in again):
        return
    why = f" since {told(index, undo)}" if undo is not None else "; nobody had ever done that"
    found.add(
        f"{told(index, step)}: it succeeded, although {before} was undone on {node}{why}.",
        (*(undo.events if undo else ()), *step.events), step.end_s,
    )  # fmt: skip


def _left_half(index: Index, call: Call) -> bool:
    """Whether a call was refused in the middle, and has left on the machine what it had done by then."""
    return not call.ok and any(event.f in {"login", "mount"} for event in index.derived(done_for).get(call.id, ()))


def _taken_off(index: Index, call: Call, before: int) -> bool:
    """Whether a call that was refused has unmounted its target all the same, and nothing is mounted there since."""
    path = str(call.request.get("target_path", ""))
    mine = index.derived(done_for).get(call.id, ())
    if call.ok or not any(event.f == "umount" and value_of(event).get("path") == path for event in mine):
        return False
    mounts = index.derived(mounts_of).at(index.derived(Subjects).node(call), path)
    return not any(each.begin < before < each.end for each in mounts)


def _deleted_before(index: Index, found: Findings, step: Call) -> None:
    subjects = index.derived(Subjects)
    volume = subjects.volume(step)
    creates, deletes = subjects.calls("CreateVolume", volume), subjects.calls("DeleteVolume", volume)
    gone = latest_undo(deletes, step.begin)
    if gone is None:
        return
    if not any(each.effect != "no" and each.begin < step.end and each.settled > gone.begin for each in creates):
        found.add(
            f"{told(index, step)}: it succeeded, although the volume was gone since {told(index, gone)}.",
            (*gone.events, *step.events), step.end_s,
        )  # fmt: skip


def _still_done(index: Index, found: Findings, step: Call, first: str, node: str) -> None:
    subjects = index.derived(Subjects)
    volume = subjects.volume(step)
    holder = _holder(index, first, volume, node, step)
    if holder is None or subjects.deleted_between(volume, holder.begin, step.begin - 1):
        return
    if step.f == "DeleteVolume" and not subjects.calls("CreateVolume", volume):
        return
    found.add(
        f"{told(index, step)}: it succeeded, although the volume was still in use on {node} since"
        f" {told(index, holder)}.",
        (*holder.events, *step.events), step.end_s,
    )  # fmt: skip


def _holder(index: Index, first: str, volume: str, node: str, step: Call) -> Call | None:
    """The call by which a step is surely done still; of publications at several targets each counts."""
    subjects = index.derived(Subjects)
    does, undoes = subjects.calls(first, volume, node), subjects.undoes(first, volume, node)
    for target in dict.fromkeys(str(each.request.get("target_path", "")) for each in does):
        here = [each for each in does if str(each.request.get("target_path", "")) == target]
        away = [each for each in undoes if str(each.request.get("target_path", target)) == target]
        found = surely_done(here, away, step.begin, step.end)
        refused = [each for each in away if each.end < step.begin]
        if found is not None and not any(
            found.begin < each.end and _taken_off(index, each, step.begin) for each in refused
        ):
            return found
    return None


def i6(index: Index) -> Result:
    """Mount truth."""
    found = Findings("I6", _WHY_I6)
    look_at_paths(index, found)
    mounts = index.derived(mounts_of)
    if not mounts.seen:
        return found.result()
    subjects = index.derived(Subjects)
    about: dict[tuple[str, str], list[Call]] = defaultdict(list)
    steps = [step for step in index.steps if step.f in _PATHS]
    for step in steps:
        for what in _touches(step):
            about[subjects.node(step), what].append(step)
    for step in steps:
        node, path = subjects.node(step), str(step.request.get(_PATHS[step.f], ""))
        others = [each for what in _touches(step) for each in about[node, what]]
        if step.ok and path and not _contested(index, step, others):
            found.looked_at += 1
            _judge_path(index, found, mounts, step, node, path)
    return found.result()


def _touches(step: Call) -> list[str]:
    """The volume and the paths of a step; steps with one in common may change what the other one sees."""
    names = ("volume_id", "staging_target_path", "target_path")
    return [f"{name} {step.request[name]}" for name in names if name in step.request]


_PATHS: Final = {
    "NodeStageVolume": "staging_target_path",
    "NodePublishVolume": "target_path",
    "NodeUnpublishVolume": "target_path",
    "NodeUnstageVolume": "staging_target_path",
}


# What a mount table has for the bind of a directory below which nothing is mounted.
_OWN_DISK: Final = "none"


def _contested(index: Index, step: Call, others: Iterable[Call]) -> bool:
    """Whether anything else was under way that changed the machine, and so may have changed the path since."""
    if index.interrupted(step.begin, step.end, "driver", "node", "reboot"):
        return True
    changed = index.derived(done_for)  # others were refused, or found it done
    return any(other is not step and other.id in changed and step.overlaps(other) for other in others)


def _judge_path(index: Index, found: Findings, mounts: Mounts, step: Call, node: str, path: str) -> None:
    volume = index.derived(Subjects).volume(step)
    top = mounts.top(node, path, step.end)
    if step.f in {"NodeStageVolume", "NodePublishVolume"}:
        if is_block(step) and step.f == "NodeStageVolume":
            return
        if top is None:
            found.add(
                f"{told(index, step)}: it succeeded, and nothing was mounted at {path} on {node}.",
                step.events, step.end_s,
            )  # fmt: skip
        elif top.volume and top.volume != volume:
            found.add(
                f"{told(index, step)}: it succeeded, and {path} on {node} showed volume {top.volume}"
                f" ({short(top.source)}).",
                (top.begin, *step.events), step.end_s,
            )  # fmt: skip
        elif value_of(top.event).get("fs_type") == _OWN_DISK:
            found.add(
                f"{told(index, step)}: it succeeded, and {path} on {node} showed {short(top.source)}, a directory of"
                " the node's own disk.",
                (top.begin, *step.events), step.end_s,
            )  # fmt: skip
        return
    if top is not None and top.volume in ("", volume):
        found.add(
            f"{told(index, step)}: it succeeded, and {short(top.source)} was still mounted at {path} on {node}.",
            (top.begin, *step.events), step.end_s,
        )  # fmt: skip
    elif top is None and step.f == "NodeUnpublishVolume" and _stayed(mounts, node, path, step):
        found.add(f"{told(index, step)}: it succeeded, and {path} was still there on {node}.", step.events, step.end_s)


def _stayed(mounts: Mounts, node: str, path: str, step: Call) -> bool:
    """Whether a path at which something was mounted by this driver's life was never removed since."""
    ours = [each for each in mounts.at(node, path) if each.begin < step.end]
    if not ours or ours[-1].gone is None or ours[-1].gone.f == "reboot":
        return False
    last = ours[-1].gone.seq
    # What was unmounted in this call must be removed in it; earlier leftovers may be gone by other hands.
    return last > step.begin and not any(last < number < step.end for number in mounts.removed.get((node, path), ()))
