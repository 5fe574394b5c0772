"""The numbers that are reported, from the numbers that were measured; pure."""

from collections.abc import Sequence
from dataclasses import dataclass


def quantile(values: Sequence[float], fraction: float) -> float:
    """The smallest value that at least this fraction of all values does not exceed (nearest rank).

    Raises:
        ValueError: no values, or a fraction outside 0 to 1.
    """
    if not values:
        raise ValueError("no values: nothing was measured")
    if not 0.0 <= fraction <= 1.0:
        raise ValueError(f"fraction {fraction} is not between 0 and 1")
    ordered = sorted(values)
    rank = -int(-fraction * len(ordered) // 1)  # rounded up
    return ordered[max(rank, 1) - 1]


def median(values: Sequence[float]) -> float:
    """The middle value, or the mean of the two in the middle."""
    if not values:
        raise ValueError("no values: nothing was measured")
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure taken once per round.

    Attributes:
        median: over the rounds; this is what is claimed.
        low, high: the smallest and largest round.
    """

    median: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    """Summarise the rounds."""
    return Spread(median(values), min(values), max(values))


def ratios(values: Sequence[float], bases: Sequence[float]) -> Spread:
    """Each round's value over the same round's base: what slows a whole round down cancels out.

    Raises:
        ValueError: the rounds do not pair up.
    """
    return spread([value / base for value, base in zip(values, bases, strict=True)])


def per_ten_thousand(first_bytes: int, last_bytes: int, first_volumes: int, last_volumes: int) -> float:
    """Growth in bytes per 10,000 volumes between two levels."""
    if last_volumes <= first_volumes:
        raise ValueError(f"{last_volumes} volumes are not more than {first_volumes}")
    return (last_bytes - first_bytes) * 10_000 / (last_volumes - first_volumes)
