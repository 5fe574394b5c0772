"""The refusals whose code must fit the state of a volume, for `csisim.check.volume_model`; pure."""

from collections.abc import Callable
from typing import Final

from csisim.check.volume_operations import Asked
from csisim.check.volume_state import State, has_snapshot, meant, not_shared


def _is_there(state: State, asked: Asked) -> str:
    return "it exists" if meant(state, asked) is not None else ""


def _no_source(_: State, asked: Asked) -> str:
    return "" if asked.source else "it was asked for without a source, so that nothing can be missing"


def _not_unknown(state: State, asked: Asked) -> str:
    return "" if asked.rivals else _is_there(state, asked)


def _still_published(state: State, asked: Asked) -> str:
    volume = meant(state, asked)
    there = volume is not None and any(node == asked.node for node, _, _ in volume.published)
    return f"it is published on {asked.node}" if there else ""


def _gone_is_fine(_state: State, _asked: Asked) -> str:
    return "a deletion of what is gone succeeds"


def _snapshot_is_there(state: State, asked: Asked) -> str:
    return "the snapshot exists" if has_snapshot(state, asked) else ""


def _no_conflict(state: State, asked: Asked) -> str:
    volume = state.volume
    if volume is None:
        return "it does not exist"
    same = (volume.parameters, volume.source, volume.how) == (asked.parameters, asked.source, asked.how)
    if same and asked.required_bytes <= volume.low_bytes and volume.high_bytes <= asked.limit_bytes:
        return "what exists is what was asked for"
    return ""


def _published_alike(state: State, asked: Asked) -> str:
    volume = meant(state, asked)
    for node, how, _ in volume.published if volume else ():
        if node == asked.node:
            return "it is published there in this way" if how == asked.how and not asked.vague else ""
    return f"it is not published on {asked.node}"


def _no_rival(_: State, asked: Asked) -> str:
    return "" if asked.rivals else "nobody asked for a snapshot of that name of another volume"


def _not_in_use(state: State, asked: Asked) -> str:
    volume = meant(state, asked)
    if volume is None:
        return "it does not exist, and a deletion of what is gone succeeds"
    return (
        "" if asked.rivals or volume.published or volume.snapshots else "it is neither published nor has it snapshots"
    )


def _can_be_published(state: State, asked: Asked) -> str:
    volume = meant(state, asked)
    if volume is None:
        return "it does not exist, so the answer must be NOT_FOUND"
    if any(node == asked.node for node, _, _ in volume.published):
        return f"it is published on {asked.node} already"
    return "" if not_shared(volume, asked) else "it is not published on another node that forbids this"


def _no_copies(state: State, asked: Asked) -> str:
    if not has_snapshot(state, asked):
        return "the snapshot does not exist, and a deletion of what is gone succeeds"
    return "" if asked.rivals else "nothing was ever made from the snapshot"


_Refusal = Callable[[State, Asked], str]
REFUSALS: Final[dict[tuple[str, str], _Refusal]] = {
    ("CreateVolume", "NOT_FOUND"): _no_source,
    ("CreateVolume", "ALREADY_EXISTS"): _no_conflict,
    ("DeleteVolume", "NOT_FOUND"): _gone_is_fine,
    ("DeleteVolume", "FAILED_PRECONDITION"): _not_in_use,
    ("ControllerPublishVolume", "NOT_FOUND"): _not_unknown,
    ("ControllerPublishVolume", "ALREADY_EXISTS"): _published_alike,
    ("ControllerPublishVolume", "FAILED_PRECONDITION"): _can_be_published,
    ("ControllerUnpublishVolume", "NOT_FOUND"): _still_published,
    ("ControllerExpandVolume", "NOT_FOUND"): _is_there,
    ("ControllerModifyVolume", "NOT_FOUND"): _is_there,
    ("ControllerGetVolume", "NOT_FOUND"): _is_there,
    ("ControllerGetVolumeHealth", "NOT_FOUND"): _is_there,
    ("ValidateVolumeCapabilities", "NOT_FOUND"): _is_there,
    ("CreateSnapshot", "NOT_FOUND"): _is_there,
    ("CreateSnapshot", "ALREADY_EXISTS"): _no_rival,
    ("DeleteSnapshot", "NOT_FOUND"): _gone_is_fine,
    ("DeleteSnapshot", "FAILED_PRECONDITION"): _no_copies,
    ("GetSnapshot", "NOT_FOUND"): _snapshot_is_there,
}
"""By call and code: why the refusal is impossible. What is not here depends on more than the volume."""
