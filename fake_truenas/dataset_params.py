"""Parameters of pool.dataset.create and update, and the rules that need no stored state (TrueNAS API 25.10)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from fake_truenas.errors import Invalid, ValidationErrors
from fake_truenas.properties import BY_KEY, COMMENT_KEYS, RECORD_SIZES, VOLBLOCK_SIZES, setting_fields
from fake_truenas.schema import (
    ABSENT,
    AnyOf,
    Bool,
    Check,
    Enum,
    Field,
    Int,
    Json,
    List,
    Map,
    Obj,
    Problem,
    Str,
)
from fake_truenas.zfs import GIB

PROPERTY_KEY = Str(max_length=255, pattern=".*:.*")
DEFAULT_VOLBLOCKSIZE: Final = 16384


@dataclass(frozen=True, slots=True)
class Quota:
    """0 or null for none, else at least 1 GiB: what the middleware demands of quota and refquota."""

    def compile(self) -> Check:
        """Compile."""

        def check(value: Any, problems: list[Problem]) -> Any:
            if value is None:
                return 0
            if type(value) is not int:
                problems.append(("", "Input should be a valid integer"))
            elif value != 0 and value < GIB:
                problems.append(("", f"Input should be greater than or equal to {GIB}"))
            elif value >= 1 << 63:
                problems.append(("", f"Input should be less than or equal to {(1 << 63) - 1}"))
            return value

        return check

    def json_schema(self) -> dict[str, Any]:
        """Describe."""
        return {"anyOf": [{"type": "integer", "const": 0}, {"type": "integer", "minimum": GIB}, {"type": "null"}]}


_PERCENT = AnyOf(Int(0, 100), Enum("INHERIT"))
_COMMENT_TYPES = {"comments": Str(), "managedby": Str(min_length=1)}
_COMMENT_FIELDS = tuple(Field(key, _COMMENT_TYPES.get(key, _PERCENT), ABSENT) for key in COMMENT_KEYS)
_SIZE_FIELDS = (
    Field("quota", Quota(), ABSENT),
    Field("refquota", Quota(), ABSENT),
    Field("reservation", Int(0), ABSENT),
    Field("refreservation", Int(0), ABSENT),
)
_USER_PROPERTY = Obj(Field("key", PROPERTY_KEY), Field("value", Str()))
_USER_PROPERTY_UPDATE = Obj(Field("key", PROPERTY_KEY), Field("value", Str(), ABSENT), Field("remove", Bool(), ABSENT))
CREATE_ONLY = (
    "name", "type", "sparse", "volblocksize", "share_type", "casesensitivity", "encryption", "encryption_options",
    "inherit_encryption", "create_ancestors",
)  # fmt: skip

CREATE = Obj(
    Field("name", Str()),
    Field("type", Enum("FILESYSTEM", "VOLUME"), default="FILESYSTEM"),
    Field("volsize", Int(1), ABSENT),
    Field("volblocksize", Enum(*VOLBLOCK_SIZES), ABSENT),
    Field("sparse", Bool(), ABSENT),
    Field("force_size", Bool(), ABSENT),
    *_SIZE_FIELDS,
    *setting_fields(ABSENT),
    Field("share_type", Enum("GENERIC", "MULTIPROTOCOL", "NFS", "SMB", "APPS"), default="GENERIC"),
    *_COMMENT_FIELDS,
    Field("user_properties", List(_USER_PROPERTY), default=()),
    Field("encryption", Bool(), default=False),
    Field("encryption_options", Map(Json()), default={}),
    Field("inherit_encryption", Bool(), default=True),
    Field("create_ancestors", Bool(), default=False),
)
UPDATE = CREATE.patch(Field("user_properties_update", List(_USER_PROPERTY_UPDATE)), without=CREATE_ONLY)

_NOT_FOR_VOLUME = ("aclmode", "acltype", "atime", "casesensitivity", "quota", "refquota", "recordsize")
_NOT_FOR_FILESYSTEM = ("force_size", "sparse", "volsize", "volblocksize")

_FOR_SHARING = {"casesensitivity": "SENSITIVE", "atime": "OFF", "acltype": "NFSV4", "aclmode": "PASSTHROUGH"}
_SHARE_SETTINGS: Final[Mapping[str, Mapping[str, str]]] = {
    "SMB": {"casesensitivity": "INSENSITIVE", "acltype": "NFSV4", "aclmode": "RESTRICTED"},
    "APPS": _FOR_SHARING,
    "MULTIPROTOCOL": _FOR_SHARING,
    "NFS": _FOR_SHARING,
}
_LARGEST_SMALL_BLOCK = 1 << 20


class Problems:
    """Collects refused fields under one schema name, such as pool_dataset_create."""

    def __init__(self, schema: str) -> None:
        self._schema = schema
        self._items: list[Invalid] = []

    def add(self, field: str, text: str, errno: int = 22) -> None:
        """Refuse a field."""
        self._items.append(Invalid(f"{self._schema}.{field}", text, errno))

    def refused(self, field: str, text: str) -> ValidationErrors:
        """Refuse a field that the rest depends on; gives the error with everything refused so far."""
        self.add(field, text)
        return ValidationErrors(self._items)

    def check(self) -> None:
        """Raise ValidationErrors if anything was refused."""
        if self._items:
            raise ValidationErrors(self._items)


def with_share_type(data: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a create with what its share_type presets, which wins over what was given."""
    return {**data, **_SHARE_SETTINGS.get(data["share_type"], {})}


def check_type_fields(problems: Problems, data: Mapping[str, Any], *, is_volume: bool) -> None:
    """Refuse fields that belong to the other type, and values that no list of choices shows."""
    for field in _NOT_FOR_VOLUME if is_volume else _NOT_FOR_FILESYSTEM:
        if field in data:
            problems.add(field, f"This field is not valid for {'VOLUME' if is_volume else 'FILESYSTEM'}")
    if is_volume:
        return
    small = data.get("special_small_block_size", 0)
    if small not in {"INHERIT", 0} and not (512 <= small <= _LARGEST_SMALL_BLOCK and small & (small - 1) == 0):
        problems.add("special_small_block_size", "This field must be zero or a power of 2 from 512B to 1M")
    record_size = data.get("recordsize", "INHERIT")
    if record_size != "INHERIT" and record_size not in RECORD_SIZES:
        problems.add("recordsize", f"{record_size!r} is an invalid recordsize.")


def check_acl_settings(problems: Problems, acltype: str, aclmode: str) -> None:
    """Refuse an aclmode that does not go with the acltype; both in ZFS's form, as they will be in force."""
    if acltype in {"posix", "off"} and aclmode != "discard":
        problems.add("aclmode", "Must be set to DISCARD when acltype is POSIX or OFF")
    elif acltype == "nfsv4" and aclmode == "discard":
        problems.add("aclmode", "DISCARD aclmode may not be set for NFSv4 acl type")


def settings_of(data: Mapping[str, Any]) -> tuple[dict[str, str], list[str]]:
    """ZFS settings given in a create or update: raw values to set, and names to inherit from now on."""
    chosen: dict[str, str] = {}
    inherited = []
    for key, setting in BY_KEY.items():
        if key not in data:
            continue
        if data[key] == "INHERIT":
            inherited.append(setting.zfs)
        else:
            chosen[setting.zfs] = setting.to_raw(data[key])
    return chosen, inherited


def follow_acltype(chosen: dict[str, str], inherited: list[str]) -> None:
    """On an update the aclmode follows an acltype that has no use for another one."""
    if chosen.get("acltype") in {"posix", "off"}:
        chosen["aclmode"] = "discard"
    elif "acltype" in inherited:
        chosen.pop("aclmode", None)
        inherited.append("aclmode")


def comments_of(data: Mapping[str, Any], *, creating: bool) -> dict[str, str | None]:
    """Comments, limits for warnings and the like, as the user properties that ZFS keeps them in; None inherits one.

    An update takes the word INHERIT as a comment's text, as the real one does.
    """
    return {
        zfs_key: None if data[key] == "INHERIT" and (creating or key != "comments") else str(data[key])
        for key, zfs_key in COMMENT_KEYS.items()
        if key in data
    }


def user_properties_of(data: Mapping[str, Any], *, creating: bool) -> dict[str, str | None]:
    """User properties given in a create or update, comments included; None removes one."""
    result = comments_of(data, creating=creating)
    for item in data.get("user_properties", ()):
        result[item["key"]] = item["value"]
    for item in data.get("user_properties_update", ()):
        if "value" in item:
            result[item["key"]] = item["value"]
        elif item.get("remove"):
            result[item["key"]] = None
    return result
