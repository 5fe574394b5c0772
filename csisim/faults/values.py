"""Durations, sizes and rates as rules write them: `50ms`, `64KiB`, `1MiB/s`. Pure; what is printed reads back equal."""

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Literal

_TIME_UNITS: Final = {"us": Fraction(1, 10**6), "ms": Fraction(1, 1000), "s": Fraction(1), "m": Fraction(60),
                      "h": Fraction(3600)}  # fmt: skip
_SIZE_UNITS: Final = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_NUMBER: Final = r"[0-9]{1,12}(?:\.[0-9]{1,9})?"
_DURATION: Final = re.compile(rf"({_NUMBER})(us|ms|s|m|h)")
_SIZE: Final = re.compile(r"([0-9]{1,15})(B|KiB|MiB|GiB|TiB)?")
MAX_DURATION_S: Final = 10 * 365 * 86400.0


def parse_duration(text: str) -> float:
    """Seconds from `250us`, `50ms`, `2s`, `1.5m` or `1h`; a bare `0` is no time.

    Raises:
        ValueError: says what is allowed.
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        if text == "0":
            return 0.0
        raise ValueError(f"{text!r} is not a duration such as 250us, 50ms, 2s, 1.5m or 1h")
    seconds = float(Fraction(match[1]) * _TIME_UNITS[match[2]])
    if seconds > MAX_DURATION_S:
        raise ValueError(f"{text!r} is longer than ten years")
    return seconds


def print_duration(seconds: float) -> str:
    """The time in the biggest unit that it is a whole number of, from microseconds on."""
    exact = Fraction(repr(seconds))
    for unit, scale in reversed(_TIME_UNITS.items()):
        if exact >= scale and (exact / scale).denominator == 1:
            return f"{int(exact / scale)}{unit}"
    number = f"{seconds * 10**6:.9f}".rstrip("0").rstrip(".")
    return f"{number}us" if seconds else "0"


def parse_size(text: str) -> int:
    """Bytes from `4096`, `4096B`, `64KiB`, `1MiB` and so on.

    Raises:
        ValueError: says what is allowed.
    """
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a size such as 512B, 64KiB or 1MiB")
    return int(match[1]) * _SIZE_UNITS[match[2] or "B"]


def print_size(size_bytes: int) -> str:
    """The size in the biggest unit that divides it."""
    for unit, scale in reversed(_SIZE_UNITS.items()):
        if size_bytes and size_bytes % scale == 0:
            return f"{size_bytes // scale}{unit}"
    return "0B"


def parse_rate(text: str) -> int:
    """Bytes per second from `64KiB/s`.

    Raises:
        ValueError: says what is allowed.
    """
    size, slash, unit = text.partition("/")
    if not slash or unit != "s":
        raise ValueError(f"{text!r} is not a rate such as 64KiB/s")
    rate = parse_size(size)
    if rate == 0:
        raise ValueError("a rate of 0 lets nothing through: disconnect(blackhole) says that")
    return rate


@dataclass(frozen=True, slots=True)
class Delay:
    """How long something takes.

    Attributes:
        kind: fixed, uniform between two times, exponential with a mean, or per byte.
        low_s: the time, the shorter time, the mean, or the time of one byte.
        high_s: the longer time of a uniform one; else the same as `low_s`.
    """

    kind: Literal["fixed", "uniform", "exp", "per-byte"]
    low_s: float
    high_s: float

    def __str__(self) -> str:
        match self.kind:
            case "fixed":
                return print_duration(self.low_s)
            case "uniform":
                return f"{print_duration(self.low_s)}..{print_duration(self.high_s)}"
            case "exp":
                return f"exp:{print_duration(self.low_s)}"
            case _:
                return f"{print_duration(self.low_s)}/B"


def parse_delay(text: str) -> Delay:
    """`50ms`, `50ms..2s`, `exp:100ms` or `2us/B`.

    Raises:
        ValueError: says what is allowed.
    """
    if text.startswith("exp:"):
        mean_s = parse_duration(text.removeprefix("exp:"))
        return Delay("exp", mean_s, mean_s)
    low, dots, high = text.partition("..")
    if dots:
        low_s, high_s = parse_duration(low), parse_duration(high)
        if low_s > high_s:
            raise ValueError(f"{text!r}: the shorter time comes first")
        return Delay("uniform", low_s, high_s)
    if text.endswith("/B"):
        each_s = parse_duration(text.removesuffix("/B"))
        return Delay("per-byte", each_s, each_s)
    time_s = parse_duration(text)
    return Delay("fixed", time_s, time_s)
