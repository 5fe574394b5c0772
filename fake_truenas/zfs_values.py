"""Properties as the API of 26.0 shows them: `{raw, value, source}`. Pure.

`raw` is ZFS's own text, `value` the same with its type (sizes, counts and times are integers), `source` `{type, value}`
of where it was set, or null where sources were not asked for.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from fake_truenas.store import Row

Value = dict[str, Any]

ENCRYPTION: Final[Mapping[str, tuple[str, Any]]] = {
    "encryption": ("off", "off"),
    "encryptionroot": ("", None),
    "keyformat": ("none", "none"),
    "keylocation": ("none", "none"),
    "keystatus": ("-", None),
}
"""What a dataset or snapshot that is not encrypted has."""

_SNAPSHOT: Final[Mapping[str, Callable[[Row], tuple[str, Any]]]] = {
    "type": lambda _: ("snapshot", "snapshot"),
    "creation": lambda row: number(row["created_at"]),
    "used": lambda row: number(row["uniq"]),
    "referenced": lambda row: number(row["referenced"]),
    "logicalreferenced": lambda row: number(row["referenced"]),
    "written": lambda row: number(row["written"]),
    "createtxg": lambda row: number(row["createtxg"]),
    "guid": lambda row: number(int(row["guid"])),
    "objsetid": lambda row: number(row["pk"]),
    "compressratio": lambda _: ("1.00", "1.00"),
    "refcompressratio": lambda _: ("1.00", "1.00"),
    "volsize": lambda row: number(row["volsize"]),
    "encryption": lambda _: ENCRYPTION["encryption"],
    "keystatus": lambda _: ENCRYPTION["keystatus"],
}


def number(amount: int) -> tuple[str, int]:
    """ZFS's text and the value of a size, count or time."""
    return str(amount), amount


def value_object(pair: tuple[str, Any], *, sources: bool, kind: str = "NONE", where: str | None = None) -> Value:
    """A property object from its text and value."""
    return {"raw": pair[0], "value": pair[1], "source": {"type": kind, "value": where} if sources else None}


def snapshot_values(row: Row, names: Iterable[str], *, sources: bool = False) -> dict[str, Value]:
    """The properties of a snapshot; names that a snapshot does not have are left out."""
    found = {}
    for name in dict.fromkeys(name.lower() for name in names):
        if name in _SNAPSHOT and (name != "volsize" or row["volsize"]):
            found[name] = value_object(_SNAPSHOT[name](row), sources=sources)
    return found
