"""What the shipped driver may cost: calls of the NAS and of the mount table per RPC, measured once and written down.

A bound holds for a call that no fault disturbed and that answered OK, however many volumes and snapshots there are.
Calls that only some states ask for are listed in `explained` and not counted, as is what simulated machines ask.

* new: it made the dataset; changed: it changed anything else; same: there was nothing left to do.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal

from csisim.check.index import Call

Case = Literal["new", "changed", "same"]

_EXPORT: Final = {"nfs": 0, "iscsi": 1, "nvmeof": 2}
"""Calls for the volume_context of any number of volumes of a protocol."""

_REACH: Final = {"nfs": 1, "iscsi": 3, "nvmeof": 2}
"""Calls to see whether nodes can reach any number of volumes of a protocol."""

# By protocol and kind of source: the dataset made, completed, and found as it should be.
_CREATE: Final[Mapping[tuple[str, str], tuple[int, int, int]]] = {
    ("nfs", ""): (2, 4, 3),
    ("nfs", "snapshot"): (5, 3, 2),
    ("nfs", "volume"): (6, 3, 2),
    ("iscsi", ""): (7, 11, 8),
    ("iscsi", "snapshot"): (10, 10, 7),
    ("iscsi", "volume"): (11, 10, 7),
    ("nvmeof", ""): (7, 11, 8),
    ("nvmeof", "snapshot"): (10, 10, 7),
    ("nvmeof", "volume"): (11, 10, 7),
}
_DELETE: Final = {"nfs": 2, "iscsi": 6, "nvmeof": 5}

# Changed, same; for each item more.
_OTHERS: Final[Mapping[str, tuple[int, int, int]]] = {
    "ControllerPublishVolume": (2, 1, 0),
    "ControllerUnpublishVolume": (2, 1, 0),
    "ControllerExpandVolume": (3, 1, 0),
    "ControllerModifyVolume": (2, 1, 0),
    "CreateSnapshot": (3, 1, 0),
    "DeleteSnapshot": (2, 1, 0),
    "GetSnapshot": (0, 1, 0),
    "GetCapacity": (0, 1, 0),
    "CreateVolumeGroupSnapshot": (11, 2, 2),
    "DeleteVolumeGroupSnapshot": (5, 2, 0),
    "GetVolumeGroupSnapshot": (0, 1, 0),
    "NodeStageVolume": (1, 1, 0),
    "NodeUnstageVolume": (0, 0, 0),
    "NodePublishVolume": (0, 0, 0),
    "NodeUnpublishVolume": (0, 0, 0),
    "NodeGetVolumeStats": (0, 0, 0),
    "NodeExpandVolume": (0, 0, 0),
    "NodeGetInfo": (0, 0, 0),
    "NodeGetCapabilities": (0, 0, 0),
    "ControllerGetCapabilities": (0, 0, 0),
    "GetPluginInfo": (0, 0, 0),
    "GetPluginCapabilities": (0, 0, 0),
}
MOUNTS: Final[Mapping[str, int]] = {
    "NodeStageVolume": 7,  # of an interrupted one, whose file system is to be grown
    "NodeUnstageVolume": 8,  # where at most one path is recorded at which a pod may have the volume; see PER_TARGET
    "NodePublishVolume": 7,  # where a record names another target, whose mount an interrupted call never made
    "NodeUnpublishVolume": 6,
    "NodeGetVolumeStats": 2,
    "NodeExpandVolume": 3,
}
"""Operations on paths and the mount table."""

PER_TARGET: Final = 3
"""And so many more for each further path that interrupted calls have left on record: two looks, one removal."""

SCANNING: Final = frozenset({"ListVolumes", "ListSnapshots", "ControllerListVolumeHealth", "CreateVolumeGroupSnapshot"})
"""RPCs that may look at more than what they are asked about, in pages."""

PAGE_ROWS: Final = 500
"""Rows of one page where the caller sets no limit."""


def bound(rpc: Call, case: Case, protocol: str) -> int | None:
    """How many counted calls of the NAS an RPC may make at most; None where nothing is written down.

    Args:
        rpc: as it was served.
        case: see the module.
        protocol: of its volume, "" where that is not known.
    """
    if rpc.f == "CreateVolume":
        bounds = _CREATE.get((protocol, source_of(rpc)))
        return None if bounds is None else bounds[("new", "changed", "same").index(case)]
    if rpc.f == "DeleteVolume":
        return 1 if case == "same" else _DELETE.get(protocol, max(_DELETE.values()))
    if rpc.f in _OTHERS:
        changed, same, per_item = _OTHERS[rpc.f]
        return same if case == "same" else changed + per_item * len(rpc.request.get("source_volume_ids", ()))
    reads = {
        "ControllerGetVolume": 1 + _EXPORT.get(protocol, max(_EXPORT.values())),
        "ValidateVolumeCapabilities": 1 + _EXPORT.get(protocol, max(_EXPORT.values())),
        "ControllerGetVolumeHealth": 2 + _REACH.get(protocol, max(_REACH.values())),
        "ListVolumes": 1 + sum(_EXPORT.values()),
        "ListSnapshots": 1,
    }
    return reads.get(rpc.f)


def source_of(rpc: Call) -> str:
    """What a CreateVolume starts from: snapshot, volume, or "" for nothing."""
    return next(iter(rpc.request.get("volume_content_source") or {}), "")


def explained(rpc: Call, asked: Call) -> int:
    """How many calls of an RPC this one accounts for, which not every state asks for: 0 for one that is counted."""
    params = asked.request.get("params") or []
    last: Any = params[-1] if params and isinstance(params[-1], dict) else {}
    if asked.f == "pool.dataset.create" and last.get("create_ancestors"):
        return 2  # with the create that was refused because the root dataset was missing
    found = {
        "CreateVolume": (asked.f == "pool.snapshot.delete" and last.get("defer"))
        or (asked.f == "pool.dataset.update" and "volsize" in last)
        or _asks_for_room(rpc, asked.f, params),
        "DeleteVolume": asked.f.startswith("pool.snapshot.") or asked.f == "pool.dataset.promote",
        "ControllerPublishVolume": asked.f == "pool.dataset.query" and last.get("count"),
        "CreateVolumeGroupSnapshot": asked.f == "pool.snapshot.delete" or _goes_on(params),
        "DeleteVolumeGroupSnapshot": asked.f == "pool.snapshot.delete",
        "GetCapacity": asked.f == "pool.query",
        "ListVolumes": _goes_on(params),
        "ListSnapshots": _goes_on(params),
    }
    return 1 if found.get(rpc.f) else 0


def _asks_for_room(rpc: Call, method: str, params: Any) -> bool:
    """Whether a query is about the room for a volume that has data, or stands where room has become short."""
    filters = params[0] if params and isinstance(params[0], list) else []
    if not method.endswith(".query") or len(filters) != 1 or len(filters[0]) != 3:
        return False
    field, op, value = filters[0]
    source = (rpc.request.get("volume_content_source") or {}).get("volume") or {}
    own = {(rpc.response.get("volume") or {}).get("volume_id"), source.get("volume_id")}
    if method == "pool.dataset.query":
        return (field, op) == ("id", "=") and str(value).rpartition("/")[2] not in own
    return bool(op == "in")


def _goes_on(params: Any) -> bool:
    """Whether a query asks for the rows after some key: one more page."""
    filters = params[0] if params and isinstance(params[0], list) else []
    return any(isinstance(each, list) and each[:2] == ["id", ">"] for each in filters)
