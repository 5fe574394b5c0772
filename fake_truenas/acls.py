"""Access lists of directories: NFSv4 ones and POSIX ones, their trivial forms and their modes. Pure.

Entries are kept in the wire's full form: `{tag, id, type, perms, flags}` (NFS4) and `{tag, id, default, perms}`
(POSIX1E), with every permission and flag spelled out. Source: TrueNAS API 25.10, filesystem.getacl; OpenZFS, zfs_acl.c.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

Ace = dict[str, Any]

NFS4: Final = "NFS4"
POSIX1E: Final = "POSIX1E"
DISABLED: Final = "DISABLED"
ACL_TYPES: Final = {"nfsv4": NFS4, "posix": POSIX1E, "off": DISABLED}
"""By the raw value of the dataset's property acltype."""

UNDEFINED_ID: Final = -1

PERMS: Final = (
    "READ_DATA", "WRITE_DATA", "APPEND_DATA", "READ_NAMED_ATTRS", "WRITE_NAMED_ATTRS", "EXECUTE", "DELETE",
    "DELETE_CHILD", "READ_ATTRIBUTES", "WRITE_ATTRIBUTES", "READ_ACL", "WRITE_ACL", "WRITE_OWNER", "SYNCHRONIZE",
)  # fmt: skip
FLAGS: Final = ("FILE_INHERIT", "DIRECTORY_INHERIT", "NO_PROPAGATE_INHERIT", "INHERIT_ONLY", "INHERITED")
POSIX_PERMS: Final = ("READ", "WRITE", "EXECUTE")
NFS4_SPECIAL: Final = ("owner@", "group@", "everyone@")
POSIX_TAGS: Final = ("USER_OBJ", "USER", "GROUP_OBJ", "GROUP", "MASK", "OTHER")

_TRAVERSE = frozenset(("READ_NAMED_ATTRS", "READ_ATTRIBUTES", "EXECUTE", "SYNCHRONIZE"))
_READ = _TRAVERSE | {"READ_DATA", "READ_ACL"}
_FULL = frozenset(PERMS)
BASIC_PERMS: Final = {
    "FULL_CONTROL": _FULL, "MODIFY": _FULL - {"WRITE_ACL", "WRITE_OWNER"}, "READ": _READ, "TRAVERSE": _TRAVERSE,
}  # fmt: skip
BASIC_FLAGS: Final = {"INHERIT": frozenset(("FILE_INHERIT", "DIRECTORY_INHERIT")), "NOINHERIT": frozenset[str]()}

_EVERYBODY = frozenset(("READ_ACL", "READ_ATTRIBUTES", "READ_NAMED_ATTRS", "SYNCHRONIZE"))
_OWNER = _EVERYBODY | {"WRITE_ACL", "WRITE_OWNER", "WRITE_ATTRIBUTES", "WRITE_NAMED_ATTRS"}
_BITS = ((4, frozenset(("READ_DATA",))), (2, frozenset(("WRITE_DATA", "APPEND_DATA"))), (1, frozenset(("EXECUTE",))))
_MODE_PERMS = ((4, "READ_DATA"), (2, "WRITE_DATA"), (1, "EXECUTE"))
_POSIX_BITS = ((4, "READ"), (2, "WRITE"), (1, "EXECUTE"))


@dataclass(frozen=True, slots=True)
class Who:
    """An account: its user id, None for a group alone, and the groups that it is in."""

    uid: int | None
    gids: frozenset[int]


def full_nfs4(ace: Ace) -> Ace:
    """An accepted entry in full form: BASIC sets spelled out."""
    perms, flags = ace["perms"], ace["flags"]
    given = BASIC_PERMS[perms["BASIC"]] if "BASIC" in perms else {key for key in perms if perms[key]}
    marked = BASIC_FLAGS[flags["BASIC"]] if "BASIC" in flags else {key for key in flags if flags[key]}
    return _nfs4(ace["tag"], ace["type"], given, marked, ace["id"])


def _nfs4(tag: str, kind: str, perms: Any, flags: Any = frozenset(), who: int = UNDEFINED_ID) -> Ace:
    return {
        "tag": tag,
        "id": who,
        "type": kind,
        "perms": {name: name in perms for name in PERMS},
        "flags": {name: name in flags for name in FLAGS},
    }


def simplified(ace: Ace) -> Ace:
    """An NFSv4 entry with BASIC sets where its permissions or flags are one."""
    perms = frozenset(name for name, on in ace["perms"].items() if on)
    flags = frozenset(name for name, on in ace["flags"].items() if on)
    short = {**ace}
    short["perms"] = next(({"BASIC": name} for name, one in BASIC_PERMS.items() if one == perms), ace["perms"])
    short["flags"] = next(({"BASIC": name} for name, one in BASIC_FLAGS.items() if one == flags), ace["flags"])
    return short


def trivial(acl_type: str, mode: int) -> list[Ace]:
    """The entries that say the same as permission bits."""
    owner, group, other = mode >> 6 & 7, mode >> 3 & 7, mode & 7
    if acl_type == POSIX1E:
        pairs = (("USER_OBJ", owner), ("GROUP_OBJ", group), ("OTHER", other))
        return [_posix(tag, bits) for tag, bits in pairs]
    early = [
        _nfs4("owner@", "ALLOW", _spelled(owner & ~group & other)),
        _nfs4("owner@", "DENY", _spelled(~owner & (group | other))),
        _nfs4("group@", "DENY", _spelled(~group & other)),
    ]
    return [
        *(ace for ace in early if any(ace["perms"].values())),
        _nfs4("owner@", "ALLOW", _OWNER | _spelled(owner)),
        _nfs4("group@", "ALLOW", _EVERYBODY | _spelled(group)),
        _nfs4("everyone@", "ALLOW", _EVERYBODY | _spelled(other)),
    ]


def _spelled(bits: int) -> frozenset[str]:
    return frozenset().union(*(names for bit, names in _BITS if bits & bit))


def _posix(tag: str, bits: int, *, default: bool = False) -> Ace:
    perms = {name: bool(bits & bit) for bit, name in _POSIX_BITS}
    return {"tag": tag, "id": UNDEFINED_ID, "default": default, "perms": perms}


def mode_of(acl_type: str, acl: Sequence[Ace]) -> int:
    """The permission bits that the file system derives from an access list."""
    if acl_type == POSIX1E:
        bits = {
            ace["tag"]: sum(bit for bit, name in _POSIX_BITS if ace["perms"][name])
            for ace in acl
            if not ace["default"] and ace["tag"] not in {"USER", "GROUP"}
        }
        return bits["USER_OBJ"] << 6 | bits.get("MASK", bits["GROUP_OBJ"]) << 3 | bits["OTHER"]
    mode = 0
    for shift, tags in ((6, ("owner@", "everyone@")), (3, ("group@", "everyone@")), (0, ("everyone@",))):
        effective = [ace for ace in acl if ace["tag"] in tags and not ace["flags"]["INHERIT_ONLY"]]
        for bit, name in _MODE_PERMS:
            first = next((ace["type"] for ace in effective if ace["perms"][name]), "DENY")
            mode |= bit << shift if first == "ALLOW" else 0
    return mode


def canonical(acl: Sequence[Ace]) -> list[Ace]:
    """NFSv4 entries in the order of MS-DTYP: explicit before inherited, each with denials first."""
    return sorted(acl, key=lambda ace: (ace["flags"]["INHERITED"], ace["type"] != "DENY"))


def in_posix_order(acl: Sequence[Ace]) -> list[Ace]:
    """POSIX entries as getfacl lists them."""
    return sorted(acl, key=lambda ace: (ace["default"], POSIX_TAGS.index(ace["tag"]), ace["id"]))


def chmod(acl_type: str, acl: Sequence[Ace] | None, mode: int) -> list[Ace] | None:
    """What an access list becomes when the bits are set: the entries that they stand for are replaced."""
    if acl is None:
        return None
    if acl_type == POSIX1E:
        group = "MASK" if any(ace["tag"] == "MASK" and not ace["default"] for ace in acl) else "GROUP_OBJ"
        bits = {"USER_OBJ": mode >> 6 & 7, group: mode >> 3 & 7, "OTHER": mode & 7}
        return [
            _posix(ace["tag"], bits[ace["tag"]]) if not ace["default"] and ace["tag"] in bits else ace for ace in acl
        ]
    kept = [ace for ace in acl if ace["tag"] not in NFS4_SPECIAL or ace["flags"]["INHERIT_ONLY"]]
    return [*kept, *trivial(NFS4, mode)]


def inherited(acl_type: str, acl: Sequence[Ace] | None, *, by_file: bool = False) -> list[Ace] | None:
    """What a new directory, or file, gets from the list of the directory that it is made in; None if nothing."""
    if not acl:
        return None
    if acl_type == POSIX1E:
        defaults = [ace for ace in acl if ace["default"]]
        return [*({**ace, "default": False} for ace in defaults), *([] if by_file else defaults)] or None
    if by_file:
        flags = {name: name == "INHERITED" for name in FLAGS}
        return [{**ace, "flags": flags} for ace in acl if ace["flags"]["FILE_INHERIT"]] or None
    return [_passed_on(ace) for ace in acl if _reaches_directories(ace["flags"])] or None


def _reaches_directories(flags: dict[str, bool]) -> bool:
    return flags["DIRECTORY_INHERIT"] or (flags["FILE_INHERIT"] and not flags["NO_PROPAGATE_INHERIT"])


def _passed_on(ace: Ace) -> Ace:
    flags = {**ace["flags"], "INHERITED": True, "INHERIT_ONLY": not ace["flags"]["DIRECTORY_INHERIT"]}
    if flags["NO_PROPAGATE_INHERIT"]:
        flags |= dict.fromkeys(("FILE_INHERIT", "DIRECTORY_INHERIT", "NO_PROPAGATE_INHERIT"), False)
    return {**ace, "flags": flags}


def may_traverse(acl_type: str, acl: Sequence[Ace] | None, mode: int, owners: tuple[int, int], who: Who) -> bool:
    """Whether an account may pass through a directory: by its list, or its bits where there is none."""
    if who.uid == 0:
        return True
    is_owner, in_group = who.uid == owners[0], owners[1] in who.gids
    if acl is None:
        return bool((mode >> 6 if is_owner else mode >> 3 if in_group else mode) & 1)
    if acl_type == NFS4:
        matching = [ace for ace in acl if not ace["flags"]["INHERIT_ONLY"] and _concerns(ace, is_owner, in_group, who)]
        return next((ace["type"] for ace in matching if ace["perms"]["EXECUTE"]), "DENY") == "ALLOW"
    entries = [ace for ace in acl if not ace["default"]]
    mask = all(ace["perms"]["EXECUTE"] for ace in entries if ace["tag"] == "MASK")
    if is_owner:
        return any(ace["perms"]["EXECUTE"] for ace in entries if ace["tag"] == "USER_OBJ")
    for tags in (("USER",), ("GROUP_OBJ", "GROUP")):
        found = [ace for ace in entries if ace["tag"] in tags and _concerns(ace, is_owner, in_group, who)]
        if found:
            return mask and any(ace["perms"]["EXECUTE"] for ace in found)
    return any(ace["perms"]["EXECUTE"] for ace in entries if ace["tag"] == "OTHER")


def _concerns(ace: Ace, is_owner: bool, in_group: bool, who: Who) -> bool:
    match ace["tag"]:
        case "owner@":
            return is_owner
        case "group@" | "GROUP_OBJ":
            return in_group
        case "everyone@":
            return True
        case "USER":
            return bool(ace["id"] == who.uid)
    return ace["tag"] == "GROUP" and ace["id"] in who.gids


def posix_problems(acl: Sequence[Ace], *, recursive: bool) -> list[tuple[str, str]]:
    """(attribute below the list, text) for what a POSIX list lacks or has twice."""
    problems: list[tuple[str, str]] = []
    seen: list[tuple[bool, str]] = []
    for index, ace in enumerate(acl):
        key = (ace["default"], ace["tag"])
        if key in seen and ace["tag"] not in {"USER", "GROUP"}:
            kind = "default" if ace["default"] else ""
            problems.append((f".{index}", f"More than one {kind} {ace['tag']} entry is not permitted"))
        seen.append(key)
    for default, word, noun in ((False, "Named", "mask"), (True, "Named default", "default mask")):
        named = (default, "USER") in seen or (default, "GROUP") in seen
        if named and (default, "MASK") not in seen:
            text = f"{word} (user or group) POSIX ACL entries require a {noun} entry to be present in the ACL."
            problems.append(("", text))
    has_default = any(ace["default"] for ace in acl)
    if recursive and not has_default:
        problems.append(("", "Default ACL entries are required in order to apply ACL recursively."))
    for tag in ("USER_OBJ", "GROUP_OBJ", "OTHER"):
        if (False, tag) not in seen:
            problems.append(("", f"Presence of [{tag}] entry is required."))
        if has_default and (True, tag) not in seen:
            problems.append(("", f"Presence of default [{tag}] entry is required."))
    return problems
