"""Parameters of pool.dataset.create and update, and the rules that need no stored state (TrueNAS API 25.10)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from fake_truenas.errors import Invalid, ValidationErrors
from fake_truenas.properties import BY_KEY, COMMENT_KEYS, VOLBLOCK_SIZES, setting_fields
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
    Nullable,
    Obj,
    Problem,
    Str,
)
from fake_truenas.zfs import GIB

PROPERTY_KEY = Str(max_length=255, pattern=".:.")
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


_PERCENT = AnyOf(Int(0, 100), Enum("INHERIT"))
_COMMENT_FIELDS = tuple(
    Field(key, Str() if key in {"comments", "managedby"} else _PERCENT, ABSENT) for key in COMMENT_KEYS
)
_SIZE_FIELDS = (
    Field("quota", Quota(), ABSENT),
    Field("refquota", Quota(), ABSENT),
    Field("reservation", Nullable(Int(0)), ABSENT),
    Field("refreservation", Nullable(Int(0)), ABSENT),
)
_USER_PROPERTY = Obj(Field("key", PROPERTY_KEY), Field("value", Str()))
_USER_PROPERTY_UPDATE = Obj(
    Field("key", PROPERTY_KEY), Field("value", Str(), ABSENT), Field("remove", Bool(), default=False)
)
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
    Field("force_size", Bool(), default=False),
    *_SIZE_FIELDS,
    *setting_fields(ABSENT),
    Field("share_type", Enum("GENERIC", "MULTIPROTOCOL", "NFS", "SMB", "APPS"), ABSENT),
    *_COMMENT_FIELDS,
    Field("user_properties", List(_USER_PROPERTY), default=()),
    Field("encryption", Bool(), default=False),
    Field("encryption_options", Map(Json()), default={}),
    Field("inherit_encryption", Bool(), default=True),
    Field("create_ancestors", Bool(), default=False),
)
UPDATE = CREATE.patch(Field("user_properties_update", List(_USER_PROPERTY_UPDATE)), without=CREATE_ONLY)

_NOT_FOR_VOLUME = (
    "quota", "refquota", "share_type", *(key for key, setting in BY_KEY.items() if not setting.volume),
    "quota_warning", "quota_critical", "refquota_warning", "refquota_critical",
)  # fmt: skip
_NOT_FOR_FILESYSTEM = ("volsize", "volblocksize", "sparse")

_SHARE_SETTINGS: Final[Mapping[str, Mapping[str, str]]] = {
    "SMB": {"casesensitivity": "insensitive", "acltype": "nfsv4", "aclmode": "restricted"},
    "APPS": {"acltype": "nfsv4", "aclmode": "passthrough"},
    "MULTIPROTOCOL": {"casesensitivity": "sensitive", "acltype": "nfsv4", "aclmode": "passthrough"},
}


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


def check_type_fields(problems: Problems, data: Mapping[str, Any], *, is_volume: bool) -> None:
    """Refuse fields that belong to the other type."""
    for field in _NOT_FOR_VOLUME if is_volume else _NOT_FOR_FILESYSTEM:
        if field in data:
            problems.add(field, f"This field is not valid for {'VOLUME' if is_volume else 'FILESYSTEM'}")


def settings_of(data: Mapping[str, Any]) -> tuple[dict[str, str], list[str]]:
    """ZFS settings given in a create or update: raw values to set, and names to inherit from now on."""
    chosen: dict[str, str] = {}
    chosen.update(_SHARE_SETTINGS.get(data.get("share_type", ""), {}))
    inherited = []
    for key, setting in BY_KEY.items():
        if key not in data:
            continue
        if data[key] == "INHERIT":
            inherited.append(setting.zfs)
            chosen.pop(setting.zfs, None)
        else:
            chosen[setting.zfs] = setting.to_raw(data[key])
    return chosen, inherited


def user_properties_of(data: Mapping[str, Any]) -> dict[str, str | None]:
    """User properties given in a create or update, comments included; None removes one."""
    result: dict[str, str | None] = {}
    for key, zfs_key in COMMENT_KEYS.items():
        if key in data:
            result[zfs_key] = None if data[key] == "INHERIT" else str(data[key])
    for item in data.get("user_properties", ()):
        result[item["key"]] = item["value"]
    for item in data.get("user_properties_update", ()):
        result[item["key"]] = None if item["remove"] else item.get("value")
    return result
