"""What each call does to a volume, for `csisim.check.volume_model`; pure.

Each call has two functions: why its success is impossible in a state, "" where it is possible; and the state after it.
An answer of None is that of a pending call.
"""

from collections.abc import Callable
from typing import Final

from csisim.check.volume_operations import REBOOT, Answered, Asked
from csisim.check.volume_state import OnNode, State, Volume, has_snapshot, meant, not_shared

# --- CreateVolume, DeleteVolume, ControllerExpandVolume, reads ---


def _cannot_create(state: State, asked: Asked, answered: Answered | None) -> str:
    volume = state.volume
    size = answered.capacity_bytes if answered else 0
    if size and not asked.required_bytes <= size <= asked.limit_bytes:
        return f"{size} bytes were answered, asked for {asked.required_bytes} or more, up to the limit"
    if volume is None:
        return ""
    if answered is None:
        return "it exists already"
    if problem := _unlike(volume, asked, answered):
        return f"it exists with another {problem}, so the answer must be ALREADY_EXISTS"
    if size and not volume.low_bytes <= size <= volume.high_bytes:
        return f"it has {volume.low_bytes} bytes, not {size}"
    return ""


def _unlike(volume: Volume, asked: Asked, answered: Answered) -> str:
    """In what a repeated creation certainly differs. A parameter that is missing may have its default."""
    if volume.id and answered.id and volume.id != answered.id:
        return f"id, {volume.id}"
    if volume.source != asked.source:
        return "source"
    given = dict(asked.parameters)
    for key, value in volume.parameters:
        if given.get(key, value).casefold() != value.casefold():
            return f"parameter {key}"
    return ""


def _create(state: State, asked: Asked, answered: Answered | None) -> State:
    volume = state.volume
    size = answered.capacity_bytes if answered else 0
    if volume is None:
        low, high = (size, size) if size else (asked.required_bytes, asked.limit_bytes)
        made = Volume(answered.id if answered else "", low, high, asked.parameters, asked.source, asked.how,
                      answered is not None)  # fmt: skip
        return State(made, state.nodes)
    if answered is None:
        return state
    told = volume._replace(id=answered.id or volume.id, confirmed=True)
    return State(told._replace(low_bytes=size, high_bytes=size) if size else told, state.nodes)


def _cannot_delete(state: State, asked: Asked, _: Answered | None) -> str:
    volume = meant(state, asked)
    if volume is None:
        return ""
    if volume.published:
        return f"it is published on {volume.published[0][0]}"
    return f"it has the snapshot {volume.snapshots[0][0]}" if volume.snapshots else ""


def _delete(state: State, asked: Asked, _: Answered | None) -> State:
    return State(None, state.nodes) if meant(state, asked) else state


def _cannot_expand(state: State, asked: Asked, answered: Answered | None) -> str:
    volume = meant(state, asked)
    if volume is None:
        return "it does not exist"
    size = answered.capacity_bytes if answered else 0
    if not size:
        return ""
    if size < max(asked.required_bytes, volume.low_bytes) or size > asked.limit_bytes:
        return f"{size} bytes were answered; it has {volume.low_bytes}, and {asked.required_bytes} were asked for"
    if size > volume.high_bytes and volume.low_bytes >= asked.required_bytes:
        return f"it has {volume.high_bytes} bytes, enough already, not {size}"
    return ""


def _expand(state: State, asked: Asked, answered: Answered | None) -> State:
    volume = state.volume
    if volume is None:
        return state
    size = answered.capacity_bytes if answered else 0
    if size:
        return State(volume._replace(low_bytes=size, high_bytes=size), state.nodes)
    if volume.low_bytes >= asked.required_bytes:
        return state
    high = max(volume.high_bytes, asked.limit_bytes)
    return State(volume._replace(low_bytes=asked.required_bytes, high_bytes=high), state.nodes)


def _cannot_be_seen(state: State, asked: Asked, answered: Answered | None) -> str:
    volume = meant(state, asked)
    if volume is None:
        return "it does not exist"
    if answered is None:
        return ""
    size = answered.capacity_bytes
    if size and not volume.low_bytes <= size <= volume.high_bytes:
        return f"it has {volume.low_bytes} bytes, not {size}"
    nodes = tuple(node for node, _, _ in volume.published)
    if answered.nodes is not None and answered.nodes != nodes:
        return f"it is published on {', '.join(nodes) or 'no node'}"
    return ""


def _see(state: State, _: Asked, answered: Answered | None) -> State:
    volume = state.volume
    size = answered.capacity_bytes if answered else 0
    if volume is None or not size or volume.low_bytes == volume.high_bytes:
        return state
    return State(volume._replace(low_bytes=size, high_bytes=size), state.nodes)


# --- ControllerPublishVolume, ControllerUnpublishVolume ---


def _cannot_publish(state: State, asked: Asked, _: Answered | None) -> str:
    volume = meant(state, asked)
    if volume is None:
        return "it does not exist"
    for node, how, _shared in volume.published:
        if node == asked.node:
            return "" if how == asked.how else f"it is published on {node} in another way"
    return not_shared(volume, asked)


def _publish(state: State, asked: Asked, _: Answered | None) -> State:
    volume = state.volume
    if volume is None or any(node == asked.node for node, _, _ in volume.published):
        return state
    published = tuple(sorted([*volume.published, (asked.node, asked.how, asked.shared)]))
    return State(volume._replace(published=published), state.nodes)


def _unpublish(state: State, asked: Asked, _: Answered | None) -> State:
    volume = meant(state, asked)
    if volume is None or not volume.published:
        return state
    kept = tuple(each for each in volume.published if asked.node not in ("", each[0]))
    return state if kept == volume.published else State(volume._replace(published=kept), state.nodes)


# --- snapshots ---


def _cannot_cut(state: State, asked: Asked, answered: Answered | None) -> str:
    volume = meant(state, asked)
    if volume is None:
        return "the source volume does not exist"
    told = asked.snapshot_id or (answered.id if answered else "")
    for name, snapshot_id in volume.snapshots:
        if name == asked.snapshot and snapshot_id and told and snapshot_id != told:
            return f"the snapshot exists with the id {snapshot_id}"
    return ""


def _cut(state: State, asked: Asked, answered: Answered | None) -> State:
    volume = state.volume
    if volume is None:
        return state
    told = asked.snapshot_id or (answered.id if answered else "")
    known = dict(volume.snapshots)
    known[asked.snapshot] = told or known.get(asked.snapshot, "")
    return State(volume._replace(snapshots=tuple(sorted(known.items()))), state.nodes)


def _destroy(state: State, asked: Asked, _: Answered | None) -> State:
    volume = state.volume
    if volume is None or not has_snapshot(state, asked):
        return state
    kept = tuple(each for each in volume.snapshots if each[0] != asked.snapshot)
    return State(volume._replace(snapshots=kept), state.nodes)


def _cannot_see_snapshot(state: State, asked: Asked, _: Answered | None) -> str:
    return "" if has_snapshot(state, asked) else "the snapshot does not exist"


# --- nodes ---


def _cannot_stage(state: State, asked: Asked, _: Answered | None) -> str:
    volume = meant(state, asked)
    # What is staged stays so when the NAS cannot be asked.
    if state.on(asked.node).staging == asked.path:
        return ""
    if volume is None:
        return "it does not exist"
    published = asked.rivals or any(node == asked.node for node, _, _ in volume.published)
    return "" if published else f"it is not published on {asked.node}"


def _stage(state: State, asked: Asked, _: Answered | None) -> State:
    return state.with_node(state.on(asked.node)._replace(staging=asked.path))


def _cannot_unstage(state: State, asked: Asked, _: Answered | None) -> str:
    found = state.on(asked.node)
    if found.staging == asked.path and found.targets:
        return f"it is published on {asked.node} at {found.targets[0][0]}"
    return ""


def _unstage(state: State, asked: Asked, _: Answered | None) -> State:
    found = state.on(asked.node)
    return state.with_node(found._replace(staging="")) if found.staging == asked.path else state


def _cannot_bind(state: State, asked: Asked, _: Answered | None) -> str:
    found = state.on(asked.node)
    if found.staging != asked.staging:
        return f"it is not staged on {asked.node} at {asked.staging}"
    how = dict(found.targets).get(asked.path, asked.how)
    return "" if how == asked.how else f"it is published at {asked.path} in another way"


def _bind(state: State, asked: Asked, _: Answered | None) -> State:
    found = state.on(asked.node)
    targets = dict(found.targets) | {asked.path: asked.how}
    return state.with_node(found._replace(targets=tuple(sorted(targets.items()))))


def _unbind(state: State, asked: Asked, _: Answered | None) -> State:
    found = state.on(asked.node)
    return state.with_node(found._replace(targets=tuple(each for each in found.targets if each[0] != asked.path)))


def _cannot_find(state: State, asked: Asked, _: Answered | None) -> str:
    found = state.on(asked.node)
    if asked.path == found.staging or asked.path in dict(found.targets):
        return ""
    return f"it is not on {asked.node} at {asked.path}"


def _reboot(state: State, asked: Asked, _: Answered | None) -> State:
    return state.with_node(OnNode(asked.node, ""))


def _fits(_state: State, _asked: Asked, _answered: Answered | None) -> str:
    return ""


def _same(state: State, _asked: Asked, _answered: Answered | None) -> State:
    return state


_Objection = Callable[[State, Asked, Answered | None], str]
_Effect = Callable[[State, Asked, Answered | None], State]
RULES: Final[dict[str, tuple[_Objection, _Effect]]] = {
    "CreateVolume": (_cannot_create, _create),
    "DeleteVolume": (_cannot_delete, _delete),
    "ControllerPublishVolume": (_cannot_publish, _publish),
    "ControllerUnpublishVolume": (_fits, _unpublish),
    "ControllerExpandVolume": (_cannot_expand, _expand),
    "ControllerModifyVolume": (_cannot_be_seen, _same),
    "ControllerGetVolume": (_cannot_be_seen, _see),
    "ControllerGetVolumeHealth": (_cannot_be_seen, _same),
    "ValidateVolumeCapabilities": (_cannot_be_seen, _same),
    "CreateSnapshot": (_cannot_cut, _cut),
    "CreateVolumeGroupSnapshot": (_cannot_cut, _cut),
    "DeleteSnapshot": (_fits, _destroy),
    "DeleteVolumeGroupSnapshot": (_fits, _destroy),
    "GetSnapshot": (_cannot_see_snapshot, _same),
    "NodeStageVolume": (_cannot_stage, _stage),
    "NodeUnstageVolume": (_cannot_unstage, _unstage),
    "NodePublishVolume": (_cannot_bind, _bind),
    "NodeUnpublishVolume": (_fits, _unbind),
    "NodeGetVolumeStats": (_cannot_find, _same),
    "NodeExpandVolume": (_cannot_find, _same),
    REBOOT: (_fits, _reboot),
}
