"""SMB shares as releases before 25.10 have them: every option is a member of the share itself. Pure."""

import unicodedata
from collections.abc import Iterator
from typing import Any, Final

from fake_truenas.schema import Bool, Enum, Field, Int, List, Nullable, Obj, Str
from fake_truenas.smb_params import AUDIT, FORBIDDEN, LONGEST_NAME, RESERVED

Object = dict[str, Any]

_PLAIN: Final = {"acl": True, "streams": True, "durablehandle": True, "shadowcopy": True}
_OFF: Final = ("home", "ro", "timemachine", "recyclebin", "abe", "aapl_name_mangling", "fsrvp")
PRESETS: Final[dict[str, Object]] = {
    "NO_PRESET": {},
    "DEFAULT_SHARE": {
        "path_suffix": "", "browsable": True, "hostsallow": [], "hostsdeny": [], "auxsmbconf": "",
        **dict.fromkeys(_OFF, False), **_PLAIN,
    },
    "ENHANCED_TIMEMACHINE": {
        "path_suffix": "%U", "timemachine": True, "auxsmbconf": "zfs_core:zfs_auto_create=true",
    },
    "MULTI_PROTOCOL_NFS": {"acl": True, "streams": True, "durablehandle": False},
    "PRIVATE_DATASETS": {"path_suffix": "%U", "auxsmbconf": "zfs_core:zfs_auto_create=true"},
    "WORM_DROPBOX": {"path_suffix": "", "auxsmbconf": "worm:grace_period = 300\nvfs objects = zfs_fsrvp worm"},
}  # fmt: skip
"""What each purpose sets, whatever the call says."""

_MODERN = {
    "DEFAULT_SHARE": "DEFAULT_SHARE",
    "MULTI_PROTOCOL_NFS": "MULTIPROTOCOL_SHARE",
}
"""Purposes that have a counterpart without options of their own; the others become LEGACY_SHARE."""
_OPTIONS: Final = (
    "recyclebin", "hostsallow", "hostsdeny", "guestok", "streams", "durablehandle", "shadowcopy", "fsrvp", "home",
    "acl", "afp", "timemachine", "timemachine_quota", "aapl_name_mangling", "auxsmbconf",
)  # fmt: skip

FLAT_SHARE: Final = Obj(
    Field("purpose", Enum(*PRESETS), default="DEFAULT_SHARE"),
    Field("path", Str(min_length=1)),
    Field("path_suffix", Str(), default=""),
    Field("home", Bool(), default=False),
    Field("name", Str(max_length=LONGEST_NAME)),
    Field("comment", Str(), default=""),
    Field("ro", Bool(), default=False),
    Field("browsable", Bool(), default=True),
    Field("timemachine", Bool(), default=False),
    Field("timemachine_quota", Int(0), default=0),
    Field("recyclebin", Bool(), default=False),
    Field("guestok", Bool(), default=False),
    Field("abe", Bool(), default=False),
    Field("hostsallow", List(Str()), default=()),
    Field("hostsdeny", List(Str()), default=()),
    Field("aapl_name_mangling", Bool(), default=False),
    Field("acl", Bool(), default=True),
    Field("durablehandle", Bool(), default=True),
    Field("shadowcopy", Bool(), default=True),
    Field("streams", Bool(), default=True),
    Field("fsrvp", Bool(), default=False),
    Field("auxsmbconf", Str(max_length=None), default=""),
    Field("enabled", Bool(), default=True),
    Field("afp", Bool(), default=False),
    Field("audit", AUDIT, default={}),
    Field("vuid", Nullable(Str()), default=None),
)


def name_problems(name: str) -> Iterator[str]:
    """Why a share cannot have the name."""
    if name.lower() in RESERVED:
        yield f"{name} is a reserved section name, please select another one"
    if not name:
        yield "Share name cannot be an empty string."
    found = [letter for letter in FORBIDDEN if letter in name]
    if found:
        yield f"Share name contains the following invalid characters: {', '.join(found)}"
    if any(unicodedata.category(letter) == "Cc" for letter in name):
        yield "Share name contains unicode control characters."


def is_flat(doc: Object) -> bool:
    """Whether a stored share is one that an earlier release has made."""
    return "ro" in doc


def modern(doc: Object) -> Object:
    """A share of an earlier release as 25.10 shows it after the update."""
    purpose = _MODERN.get(doc["purpose"], "LEGACY_SHARE")
    options = {"aapl_name_mangling": doc["aapl_name_mangling"]}
    if purpose == "LEGACY_SHARE":
        suffix, vuid = doc["path_suffix"] or None, doc["vuid"] or None
        options = {**{name: doc[name] for name in _OPTIONS}, "path_suffix": suffix, "vuid": vuid}
    kept = ("path", "name", "name_key", "enabled", "comment", "browsable", "audit")
    return {
        **{name: doc[name] for name in ("id", *kept) if name in doc},
        "purpose": purpose,
        "readonly": doc["ro"],
        "access_based_share_enumeration": doc["abe"],
        "options": options,
    }
