"""A controller's queue, as client-go's rate-limited work queue: each key is worked on by one worker at a time."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol


class Retry(Exception):
    """The work on a key is not done; it is to be repeated after a pause that grows. The text says why."""


class Spawn(Protocol):
    """Starts tasks of a process and sees to it that an error in one of them is not lost."""

    def __call__(self, work: Coroutine[Any, Any, None], name: str) -> "asyncio.Task[None]":
        """Start one."""


class WorkQueue:
    """Keys that wait to be worked on.

    Args:
        name: of the queue and its tasks.
        sync: brings what a key stands for to the wanted state. Returns a pause in seconds after which it wants to look
            again, or None. Raises Retry to be called again later.
        spawn: starts its tasks.
        workers: at most this many keys at a time.
        retry_s, retry_max_s: pause after the first failure of a key, doubled with each, and the longest.

    Attributes:
        errors: why each key that waits for its repetition failed.
    """

    def __init__(
        self,
        name: str,
        sync: Callable[[str], Awaitable[float | None]],
        spawn: Spawn,
        *,
        workers: int = 10,
        retry_s: float,
        retry_max_s: float,
    ) -> None:
        self.errors: dict[str, str] = {}
        self.name = name
        self._sync = sync
        self._spawn = spawn
        self._workers = workers
        self._retry_s = retry_s
        self._retry_max_s = retry_max_s
        self._waiting: dict[str, None] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._again: dict[str, bool] = {}
        self._failures: dict[str, int] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._closed = False

    def unfinished(self) -> dict[str, str]:
        """Keys that are being worked on, or wait for it or for their repetition, and why."""
        waiting = dict.fromkeys(self._waiting, "waits for a worker")
        running = {key: f"is being worked on{self._before(key)}" for key in self._running}
        return {**waiting, **running, **{key: why for key, why in self.errors.items() if key not in running}}

    def busy(self, key: str) -> bool:
        """Whether a key is being worked on, or about to be."""
        return key in self._running or key in self._waiting

    def _before(self, key: str) -> str:
        return f"; before that: {self.errors[key]}" if key in self.errors else ""

    def add(self, key: str) -> None:
        """Have a key worked on as soon as a worker is free; if it is being worked on now, once more after that."""
        if self._closed:
            return
        if key in self._running:
            self._again[key] = True
            return
        self._waiting[key] = None
        self._start()

    def add_fresh(self, key: str) -> None:
        """The same, but a key that has failed, or is about to, keeps its pause."""
        if key in self._running:
            self._again.setdefault(key, False)
        elif key not in self.errors:
            self.add(key)

    def add_after(self, key: str, pause_s: float) -> None:
        """Have a key worked on after a pause; of several pauses the one that ends first counts."""
        if self._closed:
            return
        loop = asyncio.get_running_loop()
        known = self._timers.get(key)
        if known is not None and known.when() <= loop.time() + pause_s:
            return
        if known is not None:
            known.cancel()
        self._timers[key] = loop.call_later(pause_s, self._due, key)

    def forget(self, key: str) -> None:
        """The next failure of the key counts as its first."""
        self._failures.pop(key, None)
        self.errors.pop(key, None)

    def failed(self, key: str, why: str) -> None:
        """Have a key worked on again after the pause that its failures so far call for."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        self.errors[key] = why
        self.add_after(key, min(self._retry_s * 2**failures, self._retry_max_s))

    async def close(self) -> None:
        """Cancel everything, and wait until that is done."""
        self._closed = True
        for timer in self._timers.values():
            timer.cancel()
        tasks = tuple(self._running.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _due(self, key: str) -> None:
        del self._timers[key]
        self.add(key)

    def _start(self) -> None:
        while self._waiting and len(self._running) < self._workers:
            key = next(iter(self._waiting))
            del self._waiting[key]
            self._running[key] = self._spawn(self._work(key), f"{self.name} {key}")

    async def _work(self, key: str) -> None:
        try:
            pause_s = await self._sync(key)
        except Retry as error:
            self.failed(key, str(error))
        else:
            self.forget(key)
            if pause_s is not None:
                self.add_after(key, pause_s)
        finally:
            del self._running[key]
            again = self._again.pop(key, None)
            if again or (again is False and key not in self.errors):
                self._waiting[key] = None
            if not self._closed:
                self._start()
