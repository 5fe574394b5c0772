"""JSON with the middleware's extra forms, in both directions. Pure.

| Python | JSON |
|---|---|
| datetime | {"$date": milliseconds since the epoch} |
| date | {"$type": "date", "$value": "YYYY-MM-DD"} |
| time | {"$time": "HH:MM:SS"} |
| set | {"$set": [...]} |
| IPv4Interface, IPv6Interface | {"$ipv4_interface": "a.b.c.d/n"}, {"$ipv6_interface": "x::y/n"} |

Source: TrueNAS API 25.10, special values.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time
from ipaddress import IPv4Interface, IPv6Interface
from typing import Any

import orjson

MAX_DEPTH = 200
"""Deeper values are refused: they could be read, but not written again."""


def loads(text: str) -> Any:
    """Read JSON, its extra forms included.

    Raises:
        ValueError: not JSON, nested more than 200 deep, or a form with a value that does not fit it.
    """
    value = orjson.loads(text)
    if text.count("[") + text.count("{") > MAX_DEPTH:
        _check_depth(value)
    # A form's name can also be written with escapes.
    return decode(value) if '"$' in text or "\\u" in text else value


def dumps(value: Any) -> bytes:
    """Write JSON; the members of a set come in a settled order.

    Raises:
        TypeError: a value of another kind, or nested too deeply.
    """
    return orjson.dumps(value, default=encode, option=orjson.OPT_PASSTHROUGH_DATETIME)


def encode(value: Any) -> Any:
    """The JSON form of one of the kinds above."""
    match value:
        case datetime():
            return {"$date": int((value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp() * 1000)}
        case date():
            return {"$type": "date", "$value": value.isoformat()}
        case time():
            return {"$time": value.isoformat()}
        case set() | frozenset():
            return {"$set": sorted(value, key=lambda one: (type(one).__name__, str(one)))}
        case IPv4Interface():
            return {"$ipv4_interface": str(value)}
        case IPv6Interface():
            return {"$ipv6_interface": str(value)}
    raise TypeError(f"{type(value).__name__} has no JSON form")


def decode(value: Any) -> Any:
    """Put the objects in place of their forms, at any depth.

    Raises:
        ValueError: a form with a value that does not fit it.
    """
    if isinstance(value, list):
        return [decode(one) for one in value]
    if not isinstance(value, dict):
        return value
    decoded = {key: decode(one) for key, one in value.items()}
    if len(decoded) == 1:
        name, inner = next(iter(decoded.items()))
        read = _FORMS.get(name)
        return decoded if read is None else _read(name, read, inner)
    if len(decoded) == 2 and decoded.get("$type") == "date" and "$value" in decoded:
        return _read("$type date", date.fromisoformat, decoded["$value"])
    return decoded


def _read(name: str, read: Callable[[Any], Any], inner: Any) -> Any:
    try:
        return read(inner)
    except (TypeError, ValueError, OverflowError, OSError) as error:
        raise ValueError(f"{name}: {inner!r:.100}: {error}") from None


def _date(milliseconds: Any) -> datetime:
    if type(milliseconds) is not int:
        raise TypeError("milliseconds since the epoch are an integer")
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _set(members: Any) -> frozenset[Any]:
    if type(members) is not list:
        raise TypeError("the members of a set are a list")
    return frozenset(members)


def _interface(kind: type[IPv4Interface] | type[IPv6Interface]) -> Callable[[Any], Any]:
    def read(text: Any) -> Any:
        if type(text) is not str:
            raise TypeError("an address is a text")
        return kind(text)

    return read


_FORMS: Mapping[str, Callable[[Any], Any]] = {
    "$date": _date,
    "$time": time.fromisoformat,
    "$set": _set,
    "$ipv4_interface": _interface(IPv4Interface),
    "$ipv6_interface": _interface(IPv6Interface),
}


def _check_depth(value: Any) -> None:
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise ValueError(f"nested more than {MAX_DEPTH} deep")
        inner = [one.values() if isinstance(one, dict) else one for one in level if isinstance(one, (dict, list))]
        level = [one for members in inner for one in members]
