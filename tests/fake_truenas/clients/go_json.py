"""Decoding as `encoding/json` of Go does it, for the structs of clients that are written in Go.

A shape is `int`, `str`, `bool`, `ANY`, a list with one shape, a dict of field names, `Pointer(shape)` or `Map(shape)`. What
is absent or null stays the zero value; a wrong type is an error, and a client then fails although the call succeeded.
"""

from dataclasses import dataclass
from typing import Any

ANY = object()
"""interface{}: takes anything."""


@dataclass(frozen=True, slots=True)
class Pointer:
    """*T: nil if absent or null."""

    shape: Any


@dataclass(frozen=True, slots=True)
class Map:
    """map[string]T."""

    shape: Any


class DecodeError(Exception):
    """The reply does not fit the client's struct."""


def decode(value: Any, shape: Any, at: str = "result") -> Any:
    """Decode one JSON value into a shape.

    Raises:
        DecodeError: as `json.Unmarshal` would refuse it; the text names the place.
    """
    if shape is ANY or value is None:
        return value if shape is ANY else zero(shape)
    if isinstance(shape, Pointer):
        return decode(value, shape.shape, at)
    if isinstance(shape, type):
        return _scalar(value, shape, at)
    if isinstance(shape, list):
        _want(isinstance(value, list), value, "a list", at)
        return [decode(item, shape[0], f"{at}[{index}]") for index, item in enumerate(value)]
    _want(isinstance(value, dict), value, "an object", at)
    if isinstance(shape, Map):
        return {key: decode(item, shape.shape, f"{at}.{key}") for key, item in value.items()}
    return {key: decode(value.get(key), field, f"{at}.{key}") for key, field in shape.items()}


def zero(shape: Any) -> Any:
    """The zero value of a shape."""
    if shape is ANY or isinstance(shape, Pointer):
        return None
    if isinstance(shape, type):
        return shape()
    if isinstance(shape, list):
        return []
    return {} if isinstance(shape, Map) else {key: zero(field) for key, field in shape.items()}


def _scalar(value: Any, shape: type, at: str) -> Any:
    if shape is int:
        fits = isinstance(value, int) and not isinstance(value, bool) and -(1 << 63) <= value < 1 << 63
        _want(fits, value, "an int64", at)
    else:
        _want(isinstance(value, shape), value, f"a {shape.__name__}", at)
    return value


def _want(fits: bool, value: Any, what: str, at: str) -> None:
    if not fits:
        raise DecodeError(f"{at}: {value!r} is not {what}")
