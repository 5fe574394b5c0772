"""What the loop runs: tasks and futures that are equal in every process, and the handles of their steps."""

import asyncio
import math
from asyncio import format_helpers
from collections.abc import Callable, Coroutine, Generator, Sequence
from contextvars import Context, copy_context
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from csisim.sim.lanes import LANE, LONGEST_STALL_S, SUBJECT

if TYPE_CHECKING:
    from csisim.sim.loop import SimLoop

T = TypeVar("T")

# What wakes a task of the C implementation; what steps it is of a type of its own, without a name.
_WAKE_UP = "task_wakeup"
_NEVER_A_STEP: Final = frozenset({MethodType, FunctionType})

if TYPE_CHECKING:
    _Task: TypeAlias = asyncio.Task
    _Future: TypeAlias = asyncio.Future
else:  # the C classes: generic in the stubs only
    _Task = asyncio.Task
    _Future = asyncio.Future


class SimTask(_Task[T]):
    """A task whose hash is the number of its creation.

    TaskGroup, asyncio.wait and all_tasks keep tasks in sets. With the inherited hash, the address, the order of such a
    set differs from process to process.

    Attributes:
        seq: how many tasks and futures its loop had made before it.
    """

    __slots__ = ("_sim_loop", "seq")

    def __init__(
        self,
        coro: Generator[Any, None, T] | Coroutine[Any, Any, T],
        *,
        loop: "SimLoop",
        seq: int,
        name: str,
        context: Context | None = None,
    ) -> None:
        self.seq = seq
        self._sim_loop = loop
        super().__init__(coro, loop=loop, name=name, context=context)

    def __hash__(self) -> int:
        return self.seq

    def cancel(self, msg: Any | None = None) -> bool:
        """Ask it to end. While the loop is not running, it is done when the loop goes on, in order of creation.

        asyncio.Runner cancels what is left over in the order of a set that it takes from a table of the whole process.
        """
        if self._sim_loop.is_running() or self.done():
            return super().cancel(msg)
        self._sim_loop.cancel_later(self, lambda: super(SimTask, self).cancel(msg))
        return True


class SimFuture(_Future[T]):
    """A future whose hash is the number of its creation, for the sets of asyncio.wait.

    Attributes:
        seq: as a task's; set by the loop, since a constructor in Python would double what a future costs.
    """

    __slots__ = ("seq",)

    seq: int

    def __hash__(self) -> int:
        return self.seq


class _Handle(asyncio.Handle):
    """What steps and timers share.

    Attributes:
        task: whose step it is; None for any other callback. Only steps of tasks are put in another order: callbacks
            carry the bytes of streams, whose order TCP keeps.
        lane: see `csisim.sim.lanes`.
        stalled: whether it was kept from running once.
        priority: for strategies that give each step one.
    """

    __slots__ = ()

    task: "SimTask[Any] | None"
    lane: str | None
    stalled: bool
    priority: float | None

    def __init__(
        self,
        callback: Callable[..., object],
        args: Sequence[Any],
        loop: asyncio.AbstractEventLoop,
        context: Context | None,
    ) -> None:
        # In place of asyncio's constructor, which asks the loop whether it debugs: there is one for each step.
        if context is None:
            context = copy_context()
        self._context = context
        self._loop = loop
        self._callback = callback
        self._args = args
        self._cancelled = False
        self._repr = self._source_traceback = None
        # The slots are those of the two kinds: with any of its own this one could not be put before TimerHandle.
        self.lane = context.get(LANE)  # type: ignore[misc]
        self.task = None if type(callback) in _NEVER_A_STEP else task_of(callback)  # type: ignore[misc]
        self.stalled = False  # type: ignore[misc]
        self.priority = None  # type: ignore[misc]

    @property
    def subject(self) -> str | None:
        """See `csisim.sim.lanes`."""
        return self._context.get(SUBJECT)

    @property
    def longest_stall_s(self) -> float:
        """See `csisim.sim.lanes.prompt`."""
        return self._context.get(LONGEST_STALL_S, math.inf)

    def raised(self, error: BaseException) -> None:
        """Tell the loop's exception handler, as asyncio's `Handle._run` does, of which the loop does the rest."""
        source = format_helpers._format_callback_source(self._callback, self._args)  # noqa: SLF001
        self._loop.call_exception_handler(
            {"message": f"Exception in callback {source}", "exception": error, "handle": self}
        )


class Step(_Handle):
    """Something that is ready to run."""

    __slots__ = ("lane", "priority", "stalled", "task")


class Timer(_Handle, asyncio.TimerHandle):
    """A callback at a time."""

    __slots__ = ("lane", "priority", "stalled", "task")

    def __init__(
        self,
        when: float,
        callback: Callable[..., object],
        args: Sequence[Any],
        loop: asyncio.AbstractEventLoop,
        context: Context | None,
    ) -> None:
        super().__init__(callback, args, loop, context)
        self._when = when
        self._scheduled = True

    def cancel(self) -> None:
        """As asyncio's, which asks whether the loop debugs: most timers are time-outs, and end so."""
        if not self._cancelled:
            self._loop._timer_handle_cancelled(self)  # type: ignore[attr-defined] # noqa: SLF001 - what asyncio's calls
            self._cancelled = True
            self._callback = self._args = None  # type: ignore[assignment]


Candidate: TypeAlias = Step | Timer


def task_of(callback: Callable[..., object]) -> SimTask[Any] | None:
    """The task that a callback steps or wakes; None for any other callback, also for the other methods of a task."""
    owner = getattr(callback, "__self__", None)
    if not isinstance(owner, SimTask) or getattr(callback, "__name__", _WAKE_UP) != _WAKE_UP:
        return None
    return owner


def name_of(callback: Callable[..., object]) -> str:
    """A callback's name, without an address."""
    if type(callback) is MethodType:
        name: str = callback.__func__.__qualname__  # asking a method itself takes longer
        return name
    inner = getattr(callback, "func", callback)
    return str(getattr(inner, "__qualname__", type(inner).__qualname__))
