"""What a process gives its program behind the loop's back, replaced while a simulated loop runs and put back after it.

Entropy (os.urandom and all that is made of it: secrets, uuid4, SystemRandom), the module-level functions of random, the
clocks of time, new threads, sleeping, garbage collection, and the order of asyncio.all_tasks. What cannot be replaced
is datetime.now, and names that another module has imported before: a linter forbids those in this project.
"""

import asyncio
import gc
import os
import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NoReturn

from csisim.sim.steps import SimTask
from csisim.sim.streams import Streams

# 2026-01-01T00:00:00Z: some moment, so that dates look like dates.
EPOCH_S = 1_767_225_600.0

_NS_PER_S = 1_000_000_000


class ClosedWorld:
    """One loop's stand-ins.

    Args:
        streams: where entropy comes from.
        now: the virtual time in seconds.
        escaped: is told what the program tried, and raises.
    """

    def __init__(self, streams: Streams, now: Callable[[], float], escaped: Callable[[str], NoReturn]) -> None:
        self._entropy = streams.stream("entropy")
        self._random_state = random.Random(streams.stream("random").getrandbits(64)).getstate()  # noqa: S311
        self._now = now
        self._escaped = escaped
        self._thread = threading.get_ident()

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Put the stand-ins in place; whatever happens, take them out again."""
        self._thread = threading.get_ident()
        with ExitStack() as stack:
            stack.enter_context(self._own_random_state())
            stack.enter_context(own_garbage())
            for where, name, stand_in in self._stand_ins():
                real = getattr(where, name)
                stack.callback(setattr, where, name, real)
                setattr(where, name, self._only_here(real, stand_in))
            yield

    def _stand_ins(self) -> list[tuple[Any, str, Callable[..., Any]]]:
        now = self._now
        return [
            (os, "urandom", self._entropy.randbytes),
            (random, "_urandom", self._entropy.randbytes),
            (uuid, "uuid1", lambda *_args, **_named: self._escaped("uuid.uuid1 reads the wall clock: use uuid4")),
            (time, "time", lambda: EPOCH_S + now()),
            (time, "time_ns", lambda: int((EPOCH_S + now()) * _NS_PER_S)),
            (time, "monotonic", now),
            (time, "monotonic_ns", lambda: int(now() * _NS_PER_S)),
            (time, "perf_counter", now),
            (time, "perf_counter_ns", lambda: int(now() * _NS_PER_S)),
            (time, "sleep", lambda _seconds: self._escaped("time.sleep blocks the loop: use asyncio.sleep")),
            (threading.Thread, "start", lambda _thread: self._escaped("a thread cannot be simulated")),
            (asyncio, "all_tasks", _ordered(asyncio.all_tasks)),
            (asyncio.tasks, "all_tasks", _ordered(asyncio.all_tasks)),
        ]

    def _only_here(self, real: Callable[..., Any], stand_in: Callable[..., Any]) -> Callable[..., Any]:
        """Other threads of the process, a test runner's watchdog say, go on with the real thing."""

        def chosen(*args: Any, **named: Any) -> Any:
            return (stand_in if threading.get_ident() == self._thread else real)(*args, **named)

        return chosen

    @contextmanager
    def _own_random_state(self) -> Iterator[None]:
        outside = random.getstate()
        random.setstate(self._random_state)
        try:
            yield
        finally:
            self._random_state = random.getstate()
            random.setstate(outside)


@contextmanager
def own_garbage() -> Iterator[None]:
    """No collection at a moment of its own choosing: it would run the `finally` of abandoned coroutines anywhere."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _ordered(real: Callable[..., set[Any]]) -> Callable[..., set[Any]]:
    """asyncio.all_tasks reads a table that all loops of the process share, and a set shows how it was filled."""

    def all_tasks(loop: asyncio.AbstractEventLoop | None = None) -> set[Any]:
        found = real(asyncio.get_running_loop() if loop is None else loop)
        ordered = sorted((task for task in found if isinstance(task, SimTask)), key=lambda task: task.seq)
        return set(ordered)

    return all_tasks
