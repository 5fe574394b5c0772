"""What a run did other than first in, first out: all that is needed, beside its seed, to do it again."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

_LONGEST_STALL_S: Final = 3600.0


@dataclass(slots=True)
class Tape:
    """Sparse deviations from FIFO; what is not on it is as FIFO does it, and so is what comes after its end.

    Attributes:
        picks: by number of the contested pick, which of the candidates ran (0, the oldest, is never written down).
        stalls: by number of the task step, for how many virtual seconds it was kept from running.
    """

    picks: dict[int, int] = field(default_factory=dict)
    stalls: dict[int, float] = field(default_factory=dict)

    def __len__(self) -> int:
        """How many deviations there are."""
        return len(self.picks) + len(self.stalls)

    def dump(self) -> str:
        """One line of JSON."""
        return json.dumps(
            {"picks": sorted(self.picks.items()), "stalls": sorted(self.stalls.items())}, separators=(",", ":")
        )

    @classmethod
    def load(cls, text: str) -> Self:
        """Read back what `dump` wrote.

        Raises:
            ValueError: it is not such a line; says what is wrong.
        """
        try:
            found = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"a tape is one line of JSON: {error}") from error
        if not isinstance(found, Mapping) or found.keys() - {"picks", "stalls"}:
            raise ValueError(f"a tape is an object with picks and stalls, not {text[:80]!r}")
        picks = {_number(at): _number(pick) for at, pick in _pairs(found.get("picks", []))}
        stalls = {_number(at): _seconds(delay_s) for at, delay_s in _pairs(found.get("stalls", []))}
        return cls(picks, stalls)


def _pairs(found: Any) -> list[tuple[Any, Any]]:
    if not isinstance(found, list) or any(not isinstance(pair, list) or len(pair) != 2 for pair in found):
        raise ValueError(f"the deviations on a tape are pairs of a number and a choice, not {str(found)[:80]}")
    return [(at, choice) for at, choice in found]


def _number(found: Any) -> int:
    if type(found) is not int or found < 0:
        raise ValueError(f"a tape counts from 0 in whole numbers, not {found!r}")
    return found


def _seconds(found: Any) -> float:
    if type(found) not in {int, float} or not 0 < found <= _LONGEST_STALL_S:
        raise ValueError(f"a stall takes more than 0 and at most {_LONGEST_STALL_S:g} seconds, not {str(found)[:80]}")
    return float(found)
