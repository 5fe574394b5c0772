"""Every schedule of a small program with at most k deviations from FIFO: not a search but a proof, in its bounds."""

from collections.abc import Callable, Iterator, Sequence

from csisim.sim.tape import Tape


def exhaust(run: Callable[[Tape], Sequence[int]], *, deviations: int) -> Iterator[Tape]:
    """Run every schedule, those with fewer deviations first; gives the tape of each after it has run.

    Args:
        run: runs the program on a tape and gives the number of candidates of each contested pick, `SimLoop.choices`.
        deviations: how many picks may be other than the oldest.
    """
    tapes = [Tape()]
    for depth in range(deviations + 1):
        deeper: list[Tape] = []
        for tape in tapes:
            choices = run(tape)
            yield tape
            if depth < deviations:
                deeper.extend(_children(tape, choices))
        tapes = deeper


def _children(tape: Tape, choices: Sequence[int]) -> Iterator[Tape]:
    """One more deviation, behind the last one: each set of deviations comes up once."""
    first = max(tape.picks, default=-1) + 1
    for number in range(first, len(choices)):
        for pick in range(1, choices[number]):
            yield Tape({**tape.picks, number: pick})
