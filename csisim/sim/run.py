"""One simulated run from its beginning to its orderly end."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from csisim.sim import closed_world
from csisim.sim.errors import Deadlock, SimulationError
from csisim.sim.loop import SimLoop
from csisim.sim.steps import SimTask
from csisim.sim.strategies import Choose, Fifo
from csisim.sim.tape import Tape

T = TypeVar("T")
_LINGER_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    """What became of a run.

    Attributes:
        result: what the program returned; None where it raised.
        error: what it raised, or what the simulation ended it with.
        trace_hash: equal for equal runs.
        steps: how many steps ran.
        virtual_s: how long it took, in virtual time.
        tape: what deviated from FIFO.
        choices: the number of candidates of each contested pick.
        leaked: names of the tasks that the program left behind, in order of creation. They have a moment more, in which
            the loop's exception handler hears of what goes wrong in them; none of it is in the trace.
    """

    result: T | None
    error: BaseException | None
    trace_hash: str
    steps: int
    virtual_s: float
    tape: Tape
    choices: tuple[int, ...]
    leaked: tuple[str, ...]


def simulate(
    program: Callable[[], Coroutine[Any, Any, T]], *, seed: int | str = 0, strategy: Choose = Fifo, **options: Any
) -> Outcome[T]:
    """Run a program in a loop of its own. Its errors are in the outcome, those of the interpreter pass through.

    Args:
        program: gives the coroutine to run.
        seed: of the run.
        strategy: makes what chooses among ready steps.
        options: of `SimLoop`.
    """
    with closed_world.own_garbage():
        return _simulated(program, SimLoop(seed, strategy=strategy, **options))


def _simulated(program: Callable[[], Coroutine[Any, Any, T]], loop: SimLoop) -> Outcome[T]:
    main: SimTask[T] = loop.create_task(program(), name="main")
    error: BaseException | None = None
    try:
        try:
            loop.run_until_complete(main)
        except (KeyboardInterrupt, SystemExit):
            if main.done():
                main.exception()  # it is being raised: nobody need be told once more
            raise
        except BaseException as raised:  # noqa: BLE001 - a verdict of the run, whatever it is
            error = raised
        result = main.result() if error is None else None
        leaked = tuple(task.get_name() for task in loop.live_tasks() if task is not main)
        seen = (loop.trace.hexdigest(), loop.steps, loop.time(), loop.tape, tuple(loop.choices), leaked)
        error = error or _linger(loop)
        hindrance = _hindrance(loop)
        error = error or hindrance
    finally:
        loop.close()
    return Outcome(result, error, *seen)


def _linger(loop: SimLoop) -> SimulationError | None:
    """Let a moment pass: by the clock, too, what was left to a timer when everything was stopped still comes."""
    try:
        loop.run_until_complete(asyncio.sleep(_LINGER_S))
    except SimulationError as error:
        return error
    return None


def _hindrance(loop: SimLoop) -> SimulationError | None:
    """Cancel what is left in the order of its creation, and let it end; gives what hinders it."""
    loop.settle()
    left = loop.live_tasks()
    for task in left:
        task.cancel()
    try:
        if left:
            loop.run_until_complete(asyncio.wait(left))
        if not loop.has_ended:
            loop.run_until_complete(loop.shutdown_asyncgens())
    except SimulationError as error:
        if isinstance(error, Deadlock):
            return Deadlock(f"tasks that were cancelled do not end: {error}")
        return error
    return None
