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
    changes: dict[str, Any] = {}
    for each in fields(wanted):
        value = getattr(wanted, each.name)
        if each.name in (*_OWN, *_STATUS.get(type(wanted), ())) or value == getattr(known, each.name):
            continue
        if each.name not in _MUTABLE.get(type(wanted), (each.name,)):
            raise ApiError(f"{wanted.ref}: {each.name} is {getattr(known, each.name)!r} and may not become {value!r}")
        changes[each.name] = value
    if isinstance(known, PersistentVolumeClaim) and changes.get("storage", known.storage) < known.capacity:
        raise ApiError(f"{wanted.ref}: storage {changes['storage']} is less than the {known.capacity} bytes it has")
    return api.patch(known, **changes)
