"""What sharing.smb.* takes (TrueNAS API 25.10): the options of a share depend on its purpose."""

import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any, Final

from fake_truenas.checked import Checked
from fake_truenas.describe import json_schema
from fake_truenas.schema import AnyOf, Bool, Check, Enum, Field, Int, List, Nullable, Obj, Problem, Str

Object = dict[str, Any]

FORBIDDEN: Final = '%<>*?|/\\+=;:",[]'
RESERVED: Final = frozenset(("global", "printers", "homes", "admin$", "ipc$"))
LONGEST_NAME: Final = 80
_BLACKLIST = frozenset(
    (
        "state directory", "private directory", "lock directory", "lock dir", "config backend", "private dir",
        "log level", "cache directory", "clustering", "ctdb socket", "socket options", "include", "wide links",
        "insecure wide links",
    )
)  # fmt: skip
_MOST_QUOTA_BYTES = 109_951_162_777_600
_DAY_S = 86_400


def aux_problems(text: str) -> Iterator[str]:
    """What is wrong with lines of smb.conf."""
    for line in text.splitlines():
        if not line or line.startswith(("#", ";")):
            continue
        key, equals, _ = line.partition("=")
        if not equals:
            yield f'Auxiliary parameters must be in the format of "key = value": {line}'
        elif key.strip() in _BLACKLIST:
            yield f"{key} is a blacklisted auxiliary parameter. Changes to this parameter are not permitted."


def _name_problem(name: str) -> str | None:
    if not name:
        return "Share name must contain at least one character"
    if len(name) > LONGEST_NAME:
        return f"{name}: share name must not exceed {LONGEST_NAME} characters in length"
    if name.lower() in RESERVED:
        return f"{name}: share name is reserved."
    wrong = [letter for letter in FORBIDDEN if letter in name]
    if wrong:
        return f"{name}: share name contains the following invalid characters: {', '.join(wrong)}"
    if any(unicodedata.category(letter) == "Cc" for letter in name):
        return f"{name}: share name contains unicode control characters"
    return None


def _schema_problem(text: str) -> str | None:
    parts = text.split("/")
    if not text:
        return "Invalid path schema"
    if len(parts) > 2:
        return "Naming schema may not contain more than two components."
    for part in parts:
        if "%" in part and part.split("%")[1][:1] not in {"U", "u", "G", "D"}:
            return f"{part}: not a supported naming schema component"
    return None


def _remote_problem(paths: list[str]) -> str | None:
    for path in paths:
        if path.count("\\") != 1 or path.startswith("\\") or path.endswith("\\"):
            return f"{path}: DFS proxy must be of format SERVER\\SHARE"
    return None


_NONEMPTY = Str(min_length=1)
_SUFFIX = Nullable(Checked(Str(), _schema_problem))
_MANGLING = Field("aapl_name_mangling", Bool(), default=False)
_VUID = Field("vuid", Nullable(_NONEMPTY), default=None)
_TIMEMACHINE_QUOTA = Field("timemachine_quota", Int(0, _MOST_QUOTA_BYTES), default=0)

PURPOSES: Final[Mapping[str, Obj]] = {
    "DEFAULT_SHARE": Obj(_MANGLING),
    "LEGACY_SHARE": Obj(
        Field("recyclebin", Bool(), default=False),
        Field("path_suffix", _SUFFIX, default=None),
        Field("hostsallow", List(Str()), default=()),
        Field("hostsdeny", List(Str()), default=()),
        Field("guestok", Bool(), default=False),
        Field("streams", Bool(), default=True),
        Field("durablehandle", Bool(), default=True),
        Field("shadowcopy", Bool(), default=True),
        Field("fsrvp", Bool(), default=False),
        Field("home", Bool(), default=False),
        Field("acl", Bool(), default=True),
        Field("afp", Bool(), default=False),
        Field("timemachine", Bool(), default=False),
        _TIMEMACHINE_QUOTA,
        _MANGLING,
        _VUID,
        Field("auxsmbconf", Str(max_length=None), default=""),
    ),
    "TIMEMACHINE_SHARE": Obj(
        _TIMEMACHINE_QUOTA,
        Field("auto_snapshot", Bool(), default=False),
        Field("auto_dataset_creation", Bool(), default=False),
        Field("dataset_naming_schema", _SUFFIX, default=None),
        _VUID,
    ),
    "MULTIPROTOCOL_SHARE": Obj(_MANGLING),
    "TIME_LOCKED_SHARE": Obj(Field("grace_period", Int(60, 180 * _DAY_S), default=900), _MANGLING),
    "PRIVATE_DATASETS_SHARE": Obj(
        Field("dataset_naming_schema", _SUFFIX, default=None), Field("auto_quota", Int(0), default=0), _MANGLING
    ),
    "EXTERNAL_SHARE": Obj(Field("remote_path", Checked(List(_NONEMPTY), _remote_problem))),
    "VEEAM_REPOSITORY_SHARE": Obj(),
}
"""The options of each purpose."""

AUDIT: Final = Obj(
    Field("enable", Bool(), default=False),
    Field("watch_list", List(_NONEMPTY), default=()),
    Field("ignore_list", List(_NONEMPTY), default=()),
)


class _OptionsObject:
    """An object of any members; which are allowed depends on the purpose beside it."""

    def compile(self) -> Check:
        """Compile."""

        def check(value: Any, problems: list[Problem]) -> Any:
            if value is not None and type(value) is not dict:
                problems.append(("", "Input should be a valid dictionary"))
            return value

        return check

    def json_schema(self) -> dict[str, Any]:
        """Describe."""
        return json_schema(Nullable(AnyOf(*PURPOSES.values())))


_MEMBERS = Obj(
    Field("purpose", Enum(*PURPOSES), default="DEFAULT_SHARE"),
    Field("name", Checked(Str(), _name_problem)),
    Field("path", _NONEMPTY),
    Field("enabled", Bool(), default=True),
    Field("comment", Str(), default=""),
    Field("readonly", Bool(), default=False),
    Field("browsable", Bool(), default=True),
    Field("access_based_share_enumeration", Bool(), default=False),
    Field("audit", AUDIT, default={}),
    Field("options", _OptionsObject(), default=None),
)


class _Share(Obj):
    """The members of a share, with the options that its purpose has."""

    __slots__ = ()

    def compile(self) -> Check:
        """Compile."""
        members = super().compile()
        by_purpose = {purpose: options.compile() for purpose, options in PURPOSES.items()}

        def check(value: Any, problems: list[Problem]) -> Any:
            if type(value) is dict and "options" in value and "purpose" not in value:
                problems.append(("", "Value error, You must set `purpose` if you set `options`."))
                return value
            before = len(problems)
            result = members(value, problems)
            if len(problems) != before or "purpose" not in result:
                return result
            purpose = result["purpose"]
            given = result.get("options")
            if given is None and purpose == "EXTERNAL_SHARE":
                problems.append(("", "Value error, External shares require explicit options configuration"))
                return result
            found: list[Problem] = []
            result["options"] = by_purpose[purpose](given or {}, found)
            problems.extend((f"options.{purpose}.{path}", text) for path, text in found)
            return result

        return check


SHARE: Final = _Share(*_MEMBERS.fields)
SHARE_UPDATE: Final = _Share(*_MEMBERS.fields, partial=True)


def _ace_problem(ace: Object) -> str | None:
    if ace["ae_who_sid"] is None and ace["ae_who_id"] is None and ace["ae_who_str"] is None:
        return (
            "You must set one of the following fields to identify the user or group that this ACL entry applies to:"
            ' "ae_who_sid", "ae_who_str", or "ae_who_id"'
        )
    return None


_WHO_ID = Obj(Field("id_type", Enum("USER", "GROUP")), Field("id", Int(0, (1 << 31) - 1)))
_ACE = Obj(
    Field("ae_perm", Enum("FULL", "CHANGE", "READ")),
    Field("ae_type", Enum("ALLOWED", "DENIED")),
    Field("ae_who_sid", Nullable(Str(pattern=r"^S-1-[0-9]+(-[0-9]+)*\Z")), default=None),
    Field("ae_who_id", Nullable(_WHO_ID), default=None),
    Field("ae_who_str", Nullable(_NONEMPTY), default=None),
)
_EVERYONE = {"ae_who_sid": "S-1-1-0", "ae_who_id": None, "ae_who_str": None, "ae_perm": "FULL", "ae_type": "ALLOWED"}

PRECHECK: Final = Obj(Field("name", Nullable(Checked(Str(), _name_problem)), default=None))
SHARE_NAME: Final = Obj(Field("share_name", _NONEMPTY))
ACL: Final = Obj(
    Field("share_name", _NONEMPTY), Field("share_acl", List(Checked(_ACE, _ace_problem)), default=(_EVERYONE,))
)
