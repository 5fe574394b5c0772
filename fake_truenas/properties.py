"""The native properties of datasets: their types, defaults and wire objects. Pure.

A property object is `{parsed, rawvalue, value, source, source_info}` (TrueNAS API 25.10, pool.dataset.query).
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from fake_truenas.schema import AnyOf, Enum, Field, Int, Str, Type
from fake_truenas.zfs import human_size

Object = dict[str, Any]

ON_OFF = ("ON", "OFF")
COMPRESSIONS = (
    "ON", "OFF", "LZ4", "GZIP", "GZIP-1", "GZIP-9", "ZSTD", "ZSTD-FAST", "ZLE", "LZJB",
    *(f"ZSTD-{level}" for level in range(1, 20)),
    *(f"ZSTD-FAST-{level}" for level in (*range(1, 11), *range(20, 101, 10), 500, 1000)),
)  # fmt: skip
CHECKSUMS = ("ON", "OFF", "FLETCHER2", "FLETCHER4", "SHA256", "SHA512", "SKEIN", "EDONR", "BLAKE3")
ENCRYPTIONS = tuple(f"AES-{bits}-{mode}" for mode in ("CCM", "GCM") for bits in (128, 192, 256))
RECORD_SIZES = ("512", "512B", *(f"{1 << n}K" for n in range(10)), *(f"{1 << n}M" for n in range(5)))
VOLBLOCK_SIZES = ("512", "512B", *(f"{1 << n}K" for n in range(8)))


@dataclass(frozen=True, slots=True)
class Setting:
    """An inheritable native property.

    Attributes:
        zfs: ZFS's name.
        key: the name in TrueNAS entries and parameters.
        kind: how the wire object looks: "enum", "bool", "int", "size", or "switch": on, off or something else.
        default: raw value where nothing is set.
        choices: accepted values, in upper case; empty for numbers.
        listed: whether create and update list the choices as an enumeration; else they take any text.
        filesystem: whether file systems have it.
        volume: whether zvols have it.
        inherits: False for properties fixed at creation.
    """

    zfs: str
    key: str
    kind: str
    default: str
    choices: tuple[str, ...] = ()
    filesystem: bool = True
    volume: bool = True
    inherits: bool = True
    listed: bool = True

    def type(self) -> Type:
        """The parameter type of create and update."""
        if not self.listed:
            return Str()
        if self.choices:
            return Enum(*self.choices, "INHERIT")
        return AnyOf(Int(1, 3) if self.key == "copies" else Int(), Enum("INHERIT"))

    def accepts(self, raw: str) -> bool:
        """Whether a raw number is one that the property can have."""
        if self.choices:
            return int(raw) in {parse_size(choice) for choice in self.choices}
        return 1 <= int(raw) <= 3 if self.key == "copies" else int(raw) <= 1 << 24

    def to_raw(self, value: Any) -> str:
        """An accepted parameter value in ZFS's own form."""
        if self.kind == "size" and isinstance(value, str):
            return str(parse_size(value))
        return str(value).lower()


SETTINGS: Final = (
    Setting("dedup", "deduplication", "enum", "off", ("ON", "VERIFY", "OFF")),
    Setting("aclmode", "aclmode", "enum", "discard", ("PASSTHROUGH", "RESTRICTED", "DISCARD"), volume=False),
    Setting("acltype", "acltype", "enum", "off", ("OFF", "NFSV4", "POSIX"), volume=False),
    Setting("xattr", "xattr", "switch", "sa", ("ON", "SA"), volume=False),
    Setting("atime", "atime", "bool", "on", ON_OFF, volume=False),
    Setting(
        "casesensitivity", "casesensitivity", "enum", "sensitive", ("SENSITIVE", "INSENSITIVE"),
        volume=False, inherits=False,
    ),
    Setting(
        "checksum", "checksum", "switch", "on", CHECKSUMS,
    ),
    Setting("exec", "exec", "bool", "on", ON_OFF, volume=False),
    Setting("sync", "sync", "enum", "standard", ("STANDARD", "ALWAYS", "DISABLED")),
    Setting("compression", "compression", "enum", "on", COMPRESSIONS),
    Setting("copies", "copies", "int", "1"),
    Setting("snapdir", "snapdir", "enum", "hidden", ("DISABLED", "VISIBLE", "HIDDEN"), volume=False),
    Setting("readonly", "readonly", "bool", "off", ON_OFF),
    Setting("recordsize", "recordsize", "size", "131072", RECORD_SIZES, volume=False, listed=False),
    Setting("special_small_blocks", "special_small_block_size", "size", "0"),
    Setting("snapdev", "snapdev", "enum", "hidden", ("HIDDEN", "VISIBLE")),
)  # fmt: skip
BY_KEY: Final = {setting.key: setting for setting in SETTINGS}
BY_ZFS_NAME: Final = {setting.zfs: setting for setting in SETTINGS}

ROOT_SETTINGS: Final = {"compression": "lz4", "atime": "off", "aclmode": "discard", "acltype": "posix", "xattr": "sa"}
"""What TrueNAS sets on a new pool's root dataset."""

SIZE_COLUMNS: Final = ("quota", "refquota", "reservation", "refreservation")

COMMENT_KEYS: Final = {
    "comments": "org.freenas:description",
    "quota_warning": "org.freenas:quota_warning",
    "quota_critical": "org.freenas:quota_critical",
    "refquota_warning": "org.freenas:refquota_warning",
    "refquota_critical": "org.freenas:refquota_critical",
    "managedby": "org.truenas:managedby",
}
"""Members of an entry that ZFS stores as user properties."""
COMMENTS_BY_ZFS_NAME: Final = {zfs_key: key for key, zfs_key in COMMENT_KEYS.items()}


def setting_fields(default: Any) -> list[Field]:
    """The parameters of create that set inheritable properties."""
    return [Field(setting.key, setting.type(), default) for setting in SETTINGS if setting.key != "xattr"]


@lru_cache(maxsize=4096)
def size_object(size: int, source: str = "NONE") -> Object:
    """A size that is always present, such as used or volsize; shared, so not to be changed."""
    return {"parsed": size, "rawvalue": str(size), "value": human_size(size), "source": source, "source_info": None}


_NO_LIMIT: Final[Object] = {
    "parsed": None, "rawvalue": "0", "value": None, "source": "DEFAULT", "source_info": None,
}  # fmt: skip


def limit_object(size: int) -> Object:
    """A quota or reservation; 0 means none and shows as null."""
    return size_object(size, "LOCAL") if size else _NO_LIMIT


def text_object(value: str, source: str = "NONE", source_info: str | None = None) -> Object:
    """A property whose three forms are the same text: origin, user properties."""
    return {"parsed": value, "rawvalue": value, "value": value, "source": source, "source_info": source_info}


def date_object(epoch_s: float) -> Object:
    """A creation time."""
    return {
        "parsed": {"$date": int(epoch_s) * 1000},
        "rawvalue": str(int(epoch_s)),
        "value": _date_text(int(epoch_s)),
        "source": "NONE",
        "source_info": None,
    }


_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@lru_cache(maxsize=1024)
def _date_text(epoch_s: int) -> str:
    """A time as ZFS prints it, in UTC: "Tue Nov 14 22:13 2023", the hour padded with a space."""
    time = datetime.fromtimestamp(epoch_s, UTC)
    return f"{_DAYS[time.weekday()]} {_MONTHS[time.month - 1]} {time.day:02} {time.hour:2}:{time.minute:02} {time.year}"


def setting_object(setting: Setting, raw: str, source: str, source_info: str | None) -> Object:
    """The object of an inheritable property."""
    parsed, value = _FORMS[setting.kind](raw)
    return {"parsed": parsed, "rawvalue": raw, "value": value, "source": source, "source_info": source_info}


_FORMS: Final[dict[str, Callable[[str], tuple[Any, str]]]] = {
    "enum": lambda raw: (raw, raw.upper()),
    "bool": lambda raw: (raw == "on", raw.upper()),
    "switch": lambda raw: ({"on": True, "off": False}.get(raw), raw.upper()),
    "int": lambda raw: (int(raw), raw),
    "size": lambda raw: (int(raw), human_size(int(raw))),
}

DEFAULT_OBJECTS: Final = {
    setting.key: setting_object(setting, setting.default, "DEFAULT", None) for setting in SETTINGS
}
FIXED_OBJECTS: Final[dict[str, Object]] = {
    "compressratio": {"parsed": "1.00", "rawvalue": "1.00", "value": "1.00x", "source": "NONE", "source_info": None},
    "key_format": {"parsed": "none", "rawvalue": "none", "value": None, "source": "DEFAULT", "source_info": None},
    "encryption_algorithm": {
        "parsed": "off",
        "rawvalue": "off",
        "value": None,
        "source": "DEFAULT",
        "source_info": None,
    },
    "pbkdf2iters": {"parsed": "0", "rawvalue": "0", "value": "0", "source": "DEFAULT", "source_info": None},
}
"""Properties that never change here: nothing is compressed or encrypted."""


def parse_size(text: str) -> int:
    """Bytes of a ZFS size such as "16K", "512B" or "1073741824".

    Raises:
        ValueError: it is not a size.
    """
    body = text.strip().upper().removesuffix("B")
    shift = 0
    if body[-1:] in {"K", "M", "G", "T", "P", "E"}:
        shift = 10 * ("KMGTPE".index(body[-1]) + 1)
        body = body[:-1]
    if not body.isascii() or not body.isdigit() or len(body) > 20:
        raise ValueError(f"{text!r:.40} is not a size")
    return int(body) << shift
