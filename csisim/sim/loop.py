"""The simulated event loop: virtual time, and a seed that decides which of the ready steps runs next."""

import asyncio
import gc
import heapq
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from contextvars import Context
from typing import Any, NoReturn, TypeVar, TypeVarTuple, Unpack
from weakref import WeakValueDictionary

from csisim.sim.closed_world import ClosedWorld
from csisim.sim.errors import Deadlock, EscapedSimulation, Livelock
from csisim.sim.loop_network import LoopNetwork
from csisim.sim.network import Conditions, Network
from csisim.sim.refusals import Refusals
from csisim.sim.reports import step_name, waiting
from csisim.sim.steps import Candidate, SimFuture, SimTask, Step, Timer, name_of
from csisim.sim.strategies import Choose, Fifo
from csisim.sim.streams import Streams
from csisim.sim.tape import Tape
from csisim.sim.trace import Trace

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_STEPS_PER_INSTANT = 100_000
_REPORTED_STEPS = 20
_STEPS_PER_COLLECTION = 200_000
_CANCELLED_TIMERS = 100


class SimLoop(Refusals, LoopNetwork, asyncio.BaseEventLoop):  # type: ignore[misc] # fewer ways to call, more given back
    """Runs unmodified asyncio code. `asyncio.Runner(loop_factory=lambda: SimLoop(seed))`, or `csisim.sim.run.simulate`.

    Time stands still while anything is ready and then jumps to the next timer. Where nothing is ready and no timer is
    left, the run ends with `Deadlock`; where time stands still for too many steps, with `Livelock`.

    Args:
        seed: of all random streams.
        strategy: makes what chooses among ready steps.
        conditions: of the network, where nothing else is said about a way through it.
        steps_per_instant: how many steps may run at one virtual moment.

    Attributes:
        streams: random streams by name; also for programs.
        network: everything that create_connection and create_server reach.
        trace: the running digest; programs may note events of their own.
        tape: what has deviated from FIFO.
        choices: the number of candidates of each contested pick.
        steps: how many steps have run.
    """

    _closed: bool  # asyncio's; asking for it by a call would take as long as what follows

    def __init__(
        self,
        seed: int | str = 0,
        *,
        strategy: Choose = Fifo,
        conditions: Conditions | None = None,
        steps_per_instant: int = _STEPS_PER_INSTANT,
    ) -> None:
        super().__init__()
        # Whatever the environment says: debugging reads clocks. Every future asks, and `bool()` is False in no time.
        self.get_debug = bool  # type: ignore[method-assign]
        self.streams = Streams(seed)
        self.trace = Trace()
        self._noted = self.trace.noted
        self.tape = Tape()
        self.choices: list[int] = []
        self.stalled: list[tuple[float, float]] = []  # when steps were put off, and for how long, in virtual seconds
        self.steps = 0
        self.network = Network(self, conditions or Conditions())
        self._strategy = strategy(self.streams)
        self._steps_per_instant = steps_per_instant
        self._now = 0.0
        self._ready: list[Candidate] = []
        self._others = 0  # of the ready ones, how many are no steps of tasks
        self._scheduled: list[tuple[float, int, Candidate]] = []
        self._cancelled_timers = 0
        self._seq = 0
        self._task_steps = 0
        self._instant_steps = 0
        self._last_steps: list[str] = []
        self._stopping = False
        self._failure: BaseException | None = None
        self._generators: WeakValueDictionary[int, AsyncGenerator[Any, Any]] = WeakValueDictionary()
        self._cancels: dict[SimTask[Any], Callable[[], object]] = {}
        self._world = ClosedWorld(self.streams, self.time, self.refuse)
        self._home = threading.get_ident()

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._now

    @property
    def next_seq(self) -> int:
        """A number that no task, future or timer of this loop has had."""
        self._seq += 1
        return self._seq

    def refuse(self, what: str) -> NoReturn:
        """Fail the run, even if the program catches the error.

        Raises:
            EscapedSimulation: always.
        """
        error = EscapedSimulation(what)
        self._failure = self._failure or error
        raise error

    # What asyncio asks of a loop: callbacks, timers, tasks and futures

    def call_soon(self, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None) -> Step:
        """See asyncio."""
        if self._closed:
            raise RuntimeError("Event loop is closed")
        step = Step(callback, args, self, context)
        if step.task is None:
            self._others += 1
        self._ready.append(step)
        return step

    def call_soon_threadsafe(
        self, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> Step:
        """From this thread, as signal handlers and finalizers do, as call_soon; from another one refused."""
        if threading.get_ident() != self._home:
            self.refuse(f"another thread calls {name_of(callback)} in the loop: when is not up to the seed")
        return self.call_soon(callback, *args, context=context)

    def call_later(
        self, delay: float, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> Timer:
        """See asyncio."""
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> Timer:
        """See asyncio; timers of the same moment come in the order in which they were made."""
        if self._closed:
            raise RuntimeError("Event loop is closed")
        timer = Timer(when, callback, args, self, context)
        self._seq += 1
        heapq.heappush(self._scheduled, (when, self._seq, timer))
        return timer

    def _timer_handle_cancelled(self, _handle: asyncio.TimerHandle) -> None:
        self._cancelled_timers += 1
        if self._cancelled_timers > _CANCELLED_TIMERS and self._cancelled_timers > len(self._scheduled) // 2:
            self._scheduled = [entry for entry in self._scheduled if not entry[2].cancelled()]
            heapq.heapify(self._scheduled)
            self._cancelled_timers = 0

    def create_future(self) -> asyncio.Future[Any]:
        """A future with a number."""
        future: SimFuture[Any] = SimFuture(loop=self)
        future.seq = self._seq = self._seq + 1
        return future

    def create_task(  # type: ignore[override] # the stub's name is object
        self,
        coro: Generator[Any, None, T] | Coroutine[Any, Any, T],
        *,
        name: str | None = None,
        context: Context | None = None,
        **_options: Any,
    ) -> SimTask[T]:
        """A task with a number, which is in its name too unless it is given one."""
        if self._closed:
            raise RuntimeError("Event loop is closed")
        seq = self._seq = self._seq + 1
        return SimTask(coro, loop=self, seq=seq, name=f"task {seq}" if name is None else name, context=context)

    def cancel_later(self, task: SimTask[Any], cancel: Callable[[], object]) -> None:
        """Cancel a task when the loop goes on; of several in the order of their creation."""
        self._cancels[task] = cancel

    # Running

    def run_forever(self) -> None:
        """Run until stopped, in a closed world."""
        self._home = threading.get_ident()
        for task in sorted(self._cancels, key=lambda task: task.seq):
            self._cancels.pop(task)()
        with self._world.inside():
            super().run_forever()

    def settle(self) -> None:
        """Go on first in, first out and with nothing on the network in the way: only the end is to come."""
        self._strategy = Fifo()
        self._failure = None
        self._instant_steps = 0
        self.network.heal()

    def close(self) -> None:
        """Close, and finalize now what the run has left behind: not in the middle of another run."""
        if self.is_running() or self.is_closed():
            super().close()
            return
        self.network.close()
        self._scheduled.clear()
        self._ready.clear()
        super().close()
        gc.collect(0)

    def _run_once(self) -> None:
        if self._stopping:  # stopped before it was started: what is ready now runs once
            for _ in range(len(self._ready)):
                self._step()
            return
        while not self._stopping:
            if not self._ready:
                self._advance()
            elif self._scheduled and self._scheduled[0][0] <= self._now:
                self._collect_due()
            self._step()
            if self._failure is not None:
                failure, self._failure = self._failure, None
                raise failure

    def _advance(self) -> None:
        """Jump to the next timer."""
        scheduled = self._scheduled
        while scheduled and scheduled[0][2]._cancelled:  # noqa: SLF001 - this is the loop
            heapq.heappop(scheduled)
        if not scheduled:
            raise Deadlock(f"nothing can run any more at {self._now:.6f} s:\n{self.report()}")
        when = scheduled[0][0]
        if when > self._now:
            self._now = when
            self._instant_steps = 0
            self.trace.note(when)
        self._collect_due()

    def _collect_due(self) -> None:
        scheduled, now = self._scheduled, self._now
        while scheduled and scheduled[0][0] <= now:
            step = heapq.heappop(scheduled)[2]
            if step._cancelled:  # noqa: SLF001
                continue
            if step.task is None:
                self._others += 1
            self._ready.append(step)

    def _step(self) -> None:
        """Run one of the ready ones."""
        ready, others = self._ready, self._others
        if not ready:
            return
        choices = len(ready) - others + (1 if others else 0)
        index = self._pick(choices) if choices > 1 else 0
        step = ready.pop(index)
        task, callback = step.task, step._callback  # noqa: SLF001 - this is the loop
        if task is None:
            self._others = others - 1
        else:
            self._task_steps += 1
            if self._strategy.stalls and self._stalled(step):
                return
        if step._cancelled:  # noqa: SLF001
            return
        self.steps += 1
        self._instant_steps += 1
        self._noted.append((index, choices, name_of(callback) if task is None else task.seq, step.lane))
        if self._instant_steps > self._steps_per_instant:
            self._count_livelock(step)
        if self.steps % _STEPS_PER_COLLECTION == 0:
            gc.collect(0)
        try:  # as Handle._run
            step._context.run(callback, *step._args)  # noqa: SLF001
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001 - a callback's error is the exception handler's
            step.raised(error)

    def _pick(self, choices: int) -> int:
        """The index of the one that runs. All steps of tasks are candidates, and the oldest of the callbacks."""
        number = len(self.choices)
        self.choices.append(choices)
        if self._strategy.is_fifo:
            return 0
        if self._others <= 1:  # all of them are candidates
            chosen = self._strategy.pick(number, self._ready)
            if chosen:
                self.tape.picks[number] = chosen
            return chosen
        candidates: list[Candidate] = []
        where: list[int] = []
        callback_seen = False
        for index, step in enumerate(self._ready):
            if step.task is None:
                if callback_seen:
                    continue
                callback_seen = True
            candidates.append(step)
            where.append(index)
        chosen = self._strategy.pick(number, candidates)
        if chosen:
            self.tape.picks[number] = chosen
        return where[chosen]

    def _stalled(self, step: Candidate) -> bool:
        """Whether the step was put off instead; each at most once."""
        number = self._task_steps - 1
        if step.stalled:
            return False
        delay_s = self._strategy.stall_s(number, step)
        if delay_s <= 0:
            return False
        self.tape.stalls[number] = delay_s
        self.stalled.append((self._now, delay_s))
        step.stalled = True
        self.trace.note(("stall", number, delay_s))
        heapq.heappush(self._scheduled, (self._now + delay_s, self.next_seq, step))
        return True

    def _count_livelock(self, step: Candidate) -> None:
        if self._instant_steps <= self._steps_per_instant + _REPORTED_STEPS:
            self._last_steps.append(step_name(step))
            return
        last = "\n".join(f"  {name}" for name in self._last_steps)
        # The step is not lost: its task still has to end.
        self._ready.append(step)
        if step.task is None:
            self._others += 1
        raise Livelock(
            f"{self._steps_per_instant} steps have run at {self._now:.6f} s and time does not go on; the last ones:\n"
            f"{last}\n{self.report()}"
        )

    # Tasks that are still there, and generators

    def live_tasks(self) -> list[SimTask[Any]]:
        """Tasks that are not done, in the order of their creation."""
        return sorted(
            (task for task in asyncio.all_tasks(self) if isinstance(task, SimTask)), key=lambda task: task.seq
        )

    def report(self) -> str:
        """What each live task waits for."""
        return waiting(self.live_tasks()) or "  no task is left"

    def _asyncgen_firstiter_hook(self, agen: AsyncGenerator[Any, Any]) -> None:
        self._generators[self.next_seq] = agen

    def _asyncgen_finalizer_hook(self, agen: AsyncGenerator[Any, Any]) -> None:
        if not self.is_closed():
            self.call_soon(self.create_task, agen.aclose())

    @property
    def has_ended(self) -> bool:
        """Whether nothing is left to run now, and no generator to close."""
        return not self._ready and not self._generators

    async def shutdown_asyncgens(self) -> None:
        """Close generators that were begun and not ended, in the order in which they were begun."""
        for _, agen in sorted(self._generators.items()):
            try:
                await agen.aclose()
            except Exception as error:  # noqa: BLE001 - as asyncio: reported, and the others are closed too
                self.call_exception_handler(
                    {
                        "message": "an error occurred during closing of an asynchronous generator",
                        "exception": error,
                        "asyncgen": agen,
                    }
                )
