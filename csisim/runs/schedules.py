"""Strategies by name: `portfolio`, `fifo`, `walk`, `pct` (`pct:3`), `pos`, `stalls`."""

from collections.abc import Callable, Mapping
from typing import Final

from csisim.sim.strategies import Choose, Fifo, Pos, RandomWalk, pct, portfolio, replay, stalls
from csisim.sim.tape import Tape

STRATEGIES: Final[Mapping[str, Choose]] = {
    "portfolio": portfolio,
    "fifo": Fifo,
    "walk": RandomWalk,
    "pct": pct(3),
    "pos": Pos,
    "stalls": stalls(),
}

_DEEPEST: Final = 100


def check_strategy(name: str) -> None:
    """Whether there is such a strategy.

    Raises:
        ValueError: there is none; says which there are.
    """
    strategy(name)


def strategy(name: str, tape: str = "", deviates: Callable[[], object] | None = None) -> Choose:
    """What makes the schedules; with a tape (`Tape.dump()`) those that are on it.

    Args:
        name: of the strategy.
        tape: or "".
        deviates: called before each step for which the tape says something.

    Raises:
        ValueError: there is no such strategy, or it is no tape.
    """
    if tape:
        return replay(Tape.load(tape), deviates)
    if (found := STRATEGIES.get(name)) is not None:
        return found
    kind, colon, depth = name.partition(":")
    if kind == "pct" and colon and depth.isascii() and depth.isdigit() and 1 <= int(depth[:4]) <= _DEEPEST:
        return pct(int(depth))
    raise ValueError(f"{name[:80]!r} is no strategy: there are {', '.join(STRATEGIES)}, and pct:1 to pct:{_DEEPEST}")
