"""Delta debugging (Zeller and Hildebrandt, 2002): from a list that shows something to one of which nothing can go."""

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def ddmin(items: Sequence[T], shows: Callable[[Sequence[T]], bool]) -> list[T]:
    """A part of the list that still shows it, from which no single item can be left out; order is kept.

    Nothing at all, and then halves, are tried first, so that a few needed ones among n cost about log n questions each.

    Args:
        items: show it together.
        shows: whether some of them do; is not asked about all of them.
    """
    left = list(items)
    if not left or shows([]):
        return []
    parts = 2
    while len(left) > 1:
        size = -(-len(left) // parts)
        pieces = [left[at : at + size] for at in range(0, len(left), size)]
        if (smaller := _smaller(pieces, shows)) is not None:
            kept_one = len(pieces) > 2 and smaller in pieces
            parts = 2 if kept_one or len(pieces) == 2 else max(len(pieces) - 1, 2)
            left = smaller
        elif size == 1:
            break
        else:
            parts = min(2 * parts, len(left))
    return left


def _smaller(pieces: list[list[T]], shows: Callable[[Sequence[T]], bool]) -> list[T] | None:
    """One piece that shows it alone, or what is left without one of them."""
    if len(pieces) <= 4:  # among many, one alone is hardly enough
        for piece in pieces:
            if shows(piece):
                return piece
    if len(pieces) > 2:
        for number in range(len(pieces)):
            rest = [item for other, piece in enumerate(pieces) if other != number for item in piece]
            if shows(rest):
                return rest
    return None
