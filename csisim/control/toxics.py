"""Toxics, as Toxiproxy 2.x knows them, and the link rule that each of them is. Pure.

| toxic | attributes | rule |
|---|---|---|
| latency | latency, jitter (ms) | delay |
| bandwidth | rate (KB/s) | throttle; 0 lets nothing through |
| slow_close | delay (ms) | delay, at the end of the stream |
| timeout | timeout (ms) | disconnect(fin) after it, or nothing gets through for ever |
| reset_peer | timeout (ms) | disconnect(rst) after it |
| slicer | average_size, size_variation (bytes), delay (us) | slice, in pieces of the average size |
| limit_data | bytes | limit |

Its source: https://github.com/Shopify/toxiproxy, toxics/ and toxic_collection.go.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from csisim.faults.grammar import parse_rule
from csisim.faults.model import Rule
from csisim.faults.values import print_duration

PREFIX: Final = "toxic:"
STREAMS: Final = {"upstream": "up", "downstream": "down"}
_MOST: Final = 10**9
_MS, _US = 1e-3, 1e-6

Attributes = dict[str, int]


class ToxicError(ValueError):
    """A toxic that is none; the text is what a Toxiproxy would say."""


@dataclass(frozen=True, slots=True)
class Toxic:
    """One toxic.

    Attributes:
        name: unique among all toxics of the proxy.
        type: one of TYPES.
        stream: upstream (driver to NAS) or downstream.
        toxicity: probability, from 0 to 1; drawn for each piece of data that passes.
        attributes: of its type, all of them.
    """

    name: str
    type: str
    stream: str
    toxicity: float
    attributes: Attributes

    def rule(self) -> Rule:
        """The rule that does it."""
        family = "fin" if self.type == "slow_close" else "link"
        percent = "" if self.toxicity == 1 else f"{f'{self.toxicity * 100:.6f}'.rstrip('0').rstrip('.')}%"
        action = TYPES[self.type].action(self.attributes)
        return parse_rule(f"{family}.{STREAMS[self.stream]}: {percent}{action}", name=f"{PREFIX}{self.name}")

    def to_json(self) -> dict[str, Any]:
        """As Toxiproxy shows it."""
        return {"attributes": dict(self.attributes), "name": self.name, "type": self.type, "stream": self.stream,
                "toxicity": self.toxicity}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Type:
    """A type of toxic: its attributes, and the action of its rule."""

    attributes: tuple[str, ...]
    action: Callable[[Attributes], str]


def _latency(given: Attributes) -> str:
    low, high = max(0, given["latency"] - given["jitter"]), given["latency"] + given["jitter"]
    if low == high:
        return f"delay({_time(low, _MS)})"
    return f"delay({_time(low, _MS)}..{_time(high, _MS)})"


def _bandwidth(given: Attributes) -> str:
    return f"throttle({given['rate'] * 1000}B/s)" if given["rate"] else "disconnect(half)"


def _timeout(given: Attributes) -> str:
    return f"disconnect(fin, {_time(given['timeout'], _MS)})" if given["timeout"] else "disconnect(half)"


def _reset_peer(given: Attributes) -> str:
    return f"disconnect(rst, {_time(given['timeout'], _MS)})" if given["timeout"] else "disconnect(rst)"


def _slicer(given: Attributes) -> str:
    pause = f", {_time(given['delay'], _US)}" if given["delay"] else ""
    return f"slice({max(1, given['average_size'])}B{pause})"


def _time(count: int, unit_s: float) -> str:
    return print_duration(round(count * unit_s, 6))


TYPES: Final[Mapping[str, Type]] = {
    "latency": Type(("latency", "jitter"), _latency),
    "bandwidth": Type(("rate",), _bandwidth),
    "slow_close": Type(("delay",), lambda given: f"delay({_time(given['delay'], _MS)})"),
    "timeout": Type(("timeout",), _timeout),
    "reset_peer": Type(("timeout",), _reset_peer),
    "slicer": Type(("average_size", "size_variation", "delay"), _slicer),
    "limit_data": Type(("bytes",), lambda given: f"limit({given['bytes']}B)"),
}


def read_toxic(given: Mapping[str, Any], old: Toxic | None = None) -> Toxic:
    """A toxic from a request; an update may leave out what stays, and cannot change name, type or stream.

    Raises:
        ToxicError: says what is wrong.
    """
    if old is None:
        type_, stream = given.get("type", ""), given.get("stream") or "downstream"
        if not isinstance(stream, str) or stream not in STREAMS:
            raise ToxicError("stream was invalid, can be either upstream or downstream")
        if not isinstance(type_, str) or type_ not in TYPES:
            raise ToxicError(f"invalid toxic type: there are {', '.join(TYPES)}")
        name = given.get("name") or f"{type_}_{stream}"
        old = Toxic(_name(name), type_, stream, 1.0, dict.fromkeys(TYPES[type_].attributes, 0))
    toxicity = given.get("toxicity", old.toxicity)
    if not isinstance(toxicity, int | float) or not 0 <= toxicity <= 1:
        raise ToxicError(f"bad request body: toxicity {toxicity!r:.40} is not a number from 0 to 1")
    attributes = given.get("attributes") or {}
    if not isinstance(attributes, Mapping):
        raise ToxicError("bad request body: attributes is not an object")
    known = {key: _count(key, value) for key, value in attributes.items() if key in old.attributes}
    return Toxic(old.name, old.type, old.stream, float(toxicity), old.attributes | known)


def _name(name: Any) -> str:
    if not isinstance(name, str) or len(name) > 80 or not name.isprintable() or "/" in name:
        raise ToxicError("bad request body: a name has at most 80 printable characters without '/'")
    return name


def _count(key: str, value: Any) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MOST:
        raise ToxicError(f"bad request body: {key[:40]} {value!r:.40} is not a number from 0 to {_MOST}")
    return value
