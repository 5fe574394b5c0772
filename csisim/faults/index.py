"""The rules of one site, found by how their patterns begin or end: a thousand for other volumes cost little. Pure."""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from csisim.faults.matching import RuleState

if TYPE_CHECKING:
    from csisim.faults.plane import Passing

_WILD: Final = re.compile(r"[*?]")

Places = dict[str, list[int]]
"""Places of rules in their order, by the fixed beginning or end of a pattern."""


class RuleIndex:
    """Rules in the order in which they are asked.

    Attributes:
        rules: all of them.
    """

    def __init__(self, rules: Iterable[RuleState]) -> None:
        self.rules = tuple(rules)
        self._anywhere: list[int] = []
        self._heads: dict[tuple[str, int], Places] = {}
        self._tails: dict[tuple[str, int], Places] = {}
        for place, state in enumerate(self.rules):
            self._put(place, state)

    def select(self, passing: "Passing") -> list[RuleState]:
        """Those whose patterns fit, in order."""
        places = list(self._anywhere)
        for (key, length), by_head in self._heads.items():
            places += by_head.get(getattr(passing, key)[:length], ())
        for (key, length), by_tail in self._tails.items():
            places += by_tail.get(getattr(passing, key)[-length:], ())
        places.sort()
        return [state for state in map(self.rules.__getitem__, places) if state.selects(passing)]

    def _put(self, place: int, state: RuleState) -> None:
        """Below the longest text that a passing must have at one end; below nothing if there is none."""
        ends = []
        for key, pattern in state.rule.match.patterns:
            parts = _WILD.split(pattern)
            ends += [(len(parts[0]), key, parts[0], self._heads), (len(parts[-1]), key, parts[-1], self._tails)]
        length, key, text, table = max(ends, key=lambda end: end[0], default=(0, "", "", self._heads))
        if not length:
            self._anywhere.append(place)
        else:
            table.setdefault((key, length), {}).setdefault(text, []).append(place)
