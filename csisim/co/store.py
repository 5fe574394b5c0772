"""Storing objects as users give them: admission of new ones, and which fields of stored ones may change."""

from dataclasses import fields
from typing import Any, Final

from csisim.co.api import Api, ApiError
from csisim.co.objects import (
    CSIDriver,
    CSINode,
    Node,
    Object,
    PersistentVolume,
    PersistentVolumeClaim,
    Pod,
    Secret,
    StatefulSet,
    StorageClass,
    VolumeAttachment,
    VolumeAttributesClass,
    VolumeSnapshot,
    VolumeSnapshotClass,
    VolumeSnapshotContent,
)
from csisim.co.volume_binder import create_claim
from csisim.co.workloads import create_pod

KINDS: Final[dict[str, type[Object]]] = {
    each.kind: each
    for each in (
        StorageClass, VolumeAttributesClass, Secret, PersistentVolumeClaim, PersistentVolume, CSIDriver,
        VolumeAttachment, Node, CSINode, Pod, StatefulSet, VolumeSnapshotClass, VolumeSnapshot, VolumeSnapshotContent,
    )
}  # fmt: skip

_MUTABLE: Final[dict[type[Object], tuple[str, ...]]] = {
    PersistentVolumeClaim: ("storage", "volume_attributes_class_name"),
    StatefulSet: ("replicas", "template"),
    Pod: (),
    VolumeSnapshot: (),
    StorageClass: ("allow_volume_expansion", "is_default"),
}
"""What of a kind may change; of kinds that are not named, everything."""
_STATUS: Final[dict[type[Object], tuple[str, ...]]] = {
    PersistentVolumeClaim: ("storage_class_name", "volume_name", "selected_node", "phase", "capacity", "node_resize",
                            "resize_error", "current_volume_attributes_class"),
    Pod: ("node_name", "phase", "running"),
    VolumeSnapshot: ("content_name", "ready_to_use", "restore_size", "error"),
}  # fmt: skip
_OWN: Final = tuple(each.name for each in fields(Object))


def apply_object(api: Api, wanted: Object) -> Object:
    """Create an object, or change the stored one of that name.

    Raises:
        ApiError: a field may not change; nothing was changed.
    """
    known = api.at(type(wanted), wanted.key)
    if known is None:
        if isinstance(wanted, PersistentVolumeClaim):
            return create_claim(api, wanted)
        return create_pod(api, wanted) if isinstance(wanted, Pod) else api.create(wanted)
    changes = _changes(known, wanted)
    if fixed := fixed_field(known, wanted):
        raise ApiError(f"{wanted.ref}: {fixed} is {getattr(known, fixed)!r} and may not become {changes[fixed]!r}")
    if isinstance(known, PersistentVolumeClaim):
        storage = changes.get("storage", known.storage)
        if storage < known.storage and storage < known.capacity:
            raise ApiError(f"{wanted.ref}: storage {storage} is less than the {known.capacity} bytes it has")
    return api.patch(known, **changes)


def fixed_field(known: Object, wanted: Object) -> str:
    """The first field that `wanted` has otherwise and that may not change; "" if there is none."""
    mutable = _MUTABLE.get(type(wanted))
    return next((name for name in _changes(known, wanted) if mutable is not None and name not in mutable), "")


def _changes(known: Object, wanted: Object) -> dict[str, Any]:
    """What `wanted` has otherwise; nothing of what the API and controllers see to."""
    own = (*_OWN, *_STATUS.get(type(wanted), ()))
    differing = (each.name for each in fields(wanted) if getattr(wanted, each.name) != getattr(known, each.name))
    return {name: getattr(wanted, name) for name in differing if name not in own or _is_renamed(name, known, wanted)}


def _is_renamed(name: str, known: Object, wanted: Object) -> bool:
    """For a claim that names no class admission chooses one; what it does name is not ours to change."""
    return name == "storage_class_name" and bool(getattr(known, name)) and bool(getattr(wanted, name))
