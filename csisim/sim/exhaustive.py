"""Every schedule of a small program with at most k deviations from FIFO: not a search but a proof, in its bounds."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from csisim.sim.errors import Diverged
from csisim.sim.tape import Tape

_Parent: TypeAlias = tuple[Tape, Sequence[int]]


class Exhaustion:
    """Runs every schedule while it is iterated over, those with fewer deviations first; gives each tape after it ran.

    A deviation is a contested pick that is not of the oldest candidate. Each set of deviations comes up once: they are
    added behind the last one only, and whatever is behind that is as FIFO does it.

    Args:
        run: runs the program on a tape and gives the number of candidates of each contested pick, `SimLoop.choices`.
        deviations: how many picks may be other than the oldest.

    Attributes:
        ran: how many schedules there were so far.
        known: how many there are at least: those that ran, and those that are known to follow.
    """

    def __init__(self, run: Callable[[Tape], Sequence[int]], *, deviations: int) -> None:
        if deviations < 0:
            raise ValueError(f"{deviations} deviations cannot be: give 0 or more")
        self._run = run
        self._deviations = deviations
        self.ran = 0
        self.known = 1

    @property
    def finished(self) -> bool:
        """Whether there is no further schedule."""
        return self.ran == self.known

    def __iter__(self) -> Iterator[Tape]:
        """Once.

        Raises:
            csisim.sim.errors.Diverged: a run was not as another one up to where they part: nothing is proved.
        """
        tapes: Iterator[_Parent] = iter([(Tape(), ())])
        for depth in range(self._deviations + 1):
            parents: list[_Parent] = []
            for tape, before in tapes:
                choices = self._run(tape)
                last = _behind(tape)
                if tuple(choices[:last]) != tuple(before[:last]):
                    raise Diverged(f"up to its deviations {tape.dump()} a run was not as the one without the last")
                self.ran += 1
                if depth < self._deviations:
                    self.known += sum(choices[last:]) - len(choices[last:])
                    parents.append((tape, choices))
                yield tape
            tapes = ((child, choices) for tape, choices in parents for child in _children(tape, choices))


def _behind(tape: Tape) -> int:
    return max(tape.picks, default=-1) + 1


def _children(tape: Tape, choices: Sequence[int]) -> Iterator[Tape]:
    """One more deviation, behind the last one."""
    for number in range(_behind(tape), len(choices)):
        for pick in range(1, choices[number]):
            yield Tape({**tape.picks, number: pick})
