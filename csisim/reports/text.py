"""Foreign text made harmless and short. Nothing is cut without saying how much."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

# Control characters would move a terminal's cursor or end an XML document, directional ones would reorder a line,
# and halves of surrogate pairs cannot be written as UTF-8.
_UNFIT = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]"
)
_SPACES = re.compile(r"\s+")
_LONG_ID = re.compile(r"(?<![0-9a-f])([0-9a-f]{8})(?:[0-9a-f]{24,}|(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?![0-9a-f])")
_DEEPEST = 8


def printable(text: object) -> str:
    """The text without what no document can carry; tabs and ends of lines stay."""
    return _UNFIT.sub("", str(text)).replace("\r", "")


def plain(text: object, limit: int = 400) -> str:
    """One line of at most `limit` characters and a note of what is missing."""
    given = str(text)
    line = _SPACES.sub(" ", _UNFIT.sub("", given[: 4 * limit])).strip()
    if len(given) <= 4 * limit and len(line) <= limit:
        return line
    return f"{line[:limit]}... ({len(given)} characters)"


def short_ids(text: str) -> str:
    """UUIDs and long hashes cut to their first eight digits, which tell those of one run apart."""
    return _LONG_ID.sub(r"\1..", text)


def lines(text: object, limit: int) -> list[str]:
    """At most `limit` lines, each of which `plain` has seen but for the spaces before it, and a note of the rest."""
    given = printable(text).rstrip().split("\n")
    kept = [" " * min(len(line) - len(line.lstrip()), 40) + plain(line) for line in given[:limit]]
    return kept if len(given) <= limit else [*kept, f"... {len(given) - limit} more lines"]


def compact(value: Any, limit: int = 2_000) -> str:
    """JSON of at most about `limit` characters: long strings, long lists and deep nests are shortened, and say so."""
    shown = json.dumps(_shortened(value, limit, _DEEPEST), ensure_ascii=False, default=str, separators=(", ", ": "))
    return plain(shown, limit)


def seconds(at_s: object) -> str:
    """A time as a run shows it: `1.250 s`."""
    number = float(at_s) if isinstance(at_s, int | float) else 0.0
    return f"{number:,.3f} s"


def duration(length_s: float) -> str:
    """A length of time with the digits that matter."""
    if length_s < 0.9995:  # what is more rounds up to a second
        return f"{length_s * 1000:.3g} ms" if length_s else "0 s"
    if length_s < 120:
        return f"{length_s:.3g} s"
    return f"{length_s / 60:.3g} min" if length_s < 7_200 else f"{length_s / 3600:.3g} h"


def counted(count: int, noun: str) -> str:
    """`1 call`, `2 calls`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _shortened(value: Any, limit: int, depth: int) -> Any:
    if isinstance(value, str):
        return plain(value, max(40, limit // 2)) if len(value) > limit // 2 else _UNFIT.sub("", value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if depth == 0:
        return "..."
    some = max(4, limit // 20)
    if isinstance(value, Mapping):
        kept = {plain(key, 80): _shortened(value[key], limit, depth - 1) for key in list(value)[:some]}
        return kept if len(value) <= some else {**kept, "...": f"{len(value) - some} more"}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        shown = [_shortened(each, limit, depth - 1) for each in value[:some]]
        return shown if len(value) <= some else [*shown, f"... {len(value) - some} more"]
    return plain(repr(value) if isinstance(value, bytes | bytearray) else value, max(40, limit // 2))
