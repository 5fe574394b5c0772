"""What filesystem.setacl, setperm and chown take (TrueNAS API 25.10)."""

from typing import Any, Final

from fake_truenas import acls
from fake_truenas.checked import UNIX_MODE, Checked
from fake_truenas.schema import AnyOf, Bool, Enum, Field, Int, List, Nullable, Obj, Str

ACL_FLAGS: Final = ("autoinherit", "protected", "defaulted")

_PATH = Str(min_length=1)
_ID = Nullable(Int(acls.UNDEFINED_ID, (1 << 31) - 1))


def _ace_problem(ace: acls.Ace) -> str | None:
    named = ace["id"] not in {None, acls.UNDEFINED_ID}
    if ace["tag"] in {"USER", "GROUP"}:
        return None if named or ace["who"] else 'Numeric ID "id" or account name "who" must be specified'
    special = acls.NFS4_SPECIAL if "type" in ace else ("USER_OBJ", "GROUP_OBJ", "OTHER", "MASK")
    if not named:
        return None
    return f"{ace['id']}: id may not be specified for the following ACL entry tags: {', '.join(special)}"


def _flags_problem(flags: dict[str, bool]) -> str | None:
    if flags["INHERIT_ONLY"] and not (flags["FILE_INHERIT"] or flags["DIRECTORY_INHERIT"]):
        return (
            "At least one of FILE_INHERIT or DIRECTORY_INHERIT must be set if INHERIT_ONLY is present in the ACE flags"
        )
    return None


def _switches(names: tuple[str, ...]) -> Obj:
    return Obj(*(Field(name, Bool(), default=False) for name in names))


_WHO = (Field("id", _ID, default=None), Field("who", Nullable(Str(min_length=1)), default=None))
_NFS4_ACE = Obj(
    Field("tag", Enum(*acls.NFS4_SPECIAL, "USER", "GROUP")),
    Field("type", Enum("ALLOW", "DENY")),
    Field("perms", AnyOf(Obj(Field("BASIC", Enum(*acls.BASIC_PERMS))), _switches(acls.PERMS))),
    Field("flags", AnyOf(Obj(Field("BASIC", Enum(*acls.BASIC_FLAGS))), Checked(_switches(acls.FLAGS), _flags_problem))),
    *_WHO,
)
_POSIX_ACE = Obj(
    Field("tag", Enum(*acls.POSIX_TAGS)),
    Field("perms", Obj(*(Field(name, Bool()) for name in acls.POSIX_PERMS))),
    Field("default", Bool()),
    *_WHO,
)
_RECURSION = (Field("recursive", Bool(), default=False), Field("traverse", Bool(), default=False))


def _setacl_problem(data: dict[str, Any]) -> str | None:
    if data["dacl"] and data["options"]["stripacl"]:
        return "Simultaneosuly setting and removing ACL from path is not supported"
    return None


SETACL: Final = Checked(
    Obj(
        Field("path", _PATH),
        Field("dacl", AnyOf(List(Checked(_POSIX_ACE, _ace_problem)), List(Checked(_NFS4_ACE, _ace_problem)))),
        Field(
            "options",
            Obj(
                Field("stripacl", Bool(), default=False),
                *_RECURSION,
                Field("canonicalize", Bool(), default=True),
                Field("validate_effective_acl", Bool(), default=True),
            ),
            default={},
        ),
        Field("nfs41_flags", _switches(ACL_FLAGS), default={}),
        Field("uid", _ID, default=acls.UNDEFINED_ID),
        Field("user", Nullable(Str()), default=None),
        Field("gid", _ID, default=acls.UNDEFINED_ID),
        Field("group", Nullable(Str()), default=None),
        Field("acltype", Nullable(Enum(acls.NFS4, acls.POSIX1E)), default=None),
    ),
    _setacl_problem,
)
_OWNERS = (
    Field("path", _PATH),
    Field("uid", _ID, default=None),
    Field("user", Nullable(_PATH), default=None),
    Field("gid", _ID, default=None),
    Field("group", Nullable(_PATH), default=None),
)


def _chown_problem(data: dict[str, Any]) -> str | None:
    if all(data[key] in {None, acls.UNDEFINED_ID} for key in ("uid", "user", "gid", "group")):
        return "At least one of uid, gid, user, and group must be set in chown payload"
    return None


def _setperm_problem(data: dict[str, Any]) -> str | None:
    if data["mode"] is None and not data["options"]["stripacl"]:
        return "Payload must either explicitly specify permissions or contain the stripacl option."
    return None


CHOWN: Final = Checked(Obj(*_OWNERS, Field("options", Obj(*_RECURSION), default={})), _chown_problem)
SETPERM: Final = Checked(
    Obj(
        *_OWNERS,
        Field("mode", Nullable(UNIX_MODE), default=None),
        Field("options", Obj(Field("stripacl", Bool(), default=False), *_RECURSION), default={}),
    ),
    _setperm_problem,
)
