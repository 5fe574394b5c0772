"""What every component of Kubernetes is here: a process with tasks, queues, watches and connections of its own.

A crash takes all of that away and leaves the API objects; what starts instead is a new process.
"""

import asyncio
import random
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from csisim.co.api import Api
from csisim.co.callers import Around, Caller, CallFailed, Calls, Channels, Role
from csisim.co.driver_info import DriverInfo, NotReady, ask
from csisim.co.objects import Object
from csisim.co.timings import Timings
from csisim.co.workqueue import WorkQueue
from csisim.events import History


@dataclass(slots=True, kw_only=True)
class Shared:
    """What the processes of one run have in common.

    Attributes:
        driver: its name; "" until it has told it.
        changed: called when something may have come closer to what is wanted.
        failed: called with an error of the program in a task, which ends the run.
        api: objects.
        channels: to the driver's sockets.
        calls: what all callers did.
        history: gets an event for everything that happens; None for no history.
        around: see `csisim.co.callers.Around`.
        forgotten: names of volumes whose creation the provisioner forgot by its crash: nobody will clean them up.
    """

    driver: str
    api: Api
    channels: Channels
    rng: random.Random
    timings: Timings
    changed: Callable[[], None]
    failed: Callable[[BaseException], None]
    calls: Calls = field(default_factory=Calls)
    history: History | None = None
    around: Around | None = None
    forgotten: dict[str, str] = field(default_factory=dict)


class Process(ABC):
    """One component.

    Args:
        name: as in the history.
        shared: surroundings.
    """

    def __init__(self, name: str, shared: Shared) -> None:
        self.name = name
        self.shared = shared
        self.api = shared.api
        self.timings = shared.timings
        self._started = False
        self._unanswered = ""
        self._tasks: dict[asyncio.Task[None], None] = {}
        self._queues: list[WorkQueue] = []
        self._callers: list[Caller] = []
        self._unwatch: list[Callable[[], object]] = []

    @abstractmethod
    async def _main(self) -> None:
        """Begin: ask the driver what it can do, and watch the objects that it is responsible for."""

    def start(self) -> None:
        """Begin in a task of its own."""
        self.spawn(self._enter(), f"{self.name} start")

    async def stop(self) -> None:
        """End at once: calls are cut off, everything in memory is gone."""
        for unwatch in self._unwatch:
            unwatch()
        for queue in self._queues:
            await queue.close()
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for caller in self._callers:
            await caller.close()

    def waits_for(self) -> dict[str, str]:
        """What it has not done yet, and why: key and reason."""
        if not self._started:
            return {self.name: f"has not started: {self._unanswered or 'the driver does not answer'}"}
        return {f"{queue.name} {key}": why for queue in self._queues for key, why in queue.unfinished().items()}

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> "asyncio.Task[None]":
        """Start a task that ends with this process, and whose error ends the run."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks[task] = None
        task.add_done_callback(self._done)
        return task

    def queue(self, what: str, sync: Callable[[str], Awaitable[float | None]], *, workers: int = 10) -> WorkQueue:
        """A queue with the sidecars' pauses."""
        retry_s, retry_max_s = self.timings.retry_s, self.timings.retry_max_s
        name = f"{self.name} {what}"
        queue = WorkQueue(name, sync, self.spawn, workers=workers, retry_s=retry_s, retry_max_s=retry_max_s)
        self._queues.append(queue)
        return queue

    def caller(self, node_id: str | None = None) -> Caller:
        """A connection to a node's socket, or to the controller's."""
        shared = self.shared
        channel = shared.channels.channel(node_id)
        made = Caller(
            channel, shared.calls, shared.rng, name=self.name, history=shared.history, around=shared.around
        )  # fmt: skip
        self._callers.append(made)
        return made

    def watch(self, watcher: Callable[[Object, bool], None]) -> None:
        """Have a function called for every object there is now, and from now on for each that changes."""
        self._unwatch.append(self.api.watch(watcher))
        for each in self.api.everything():
            watcher(each, False)

    async def until_answered(self, role: Role, ask_once: Callable[[Role], Awaitable[DriverInfo]]) -> DriverInfo:
        """Ask until the driver answers, with growing pauses."""
        pause_s = self.timings.retry_s
        while True:
            try:
                return await ask_once(self.timings.role(role))
            except (CallFailed, NotReady) as error:
                self._unanswered = str(error)
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, self.timings.retry_max_s)

    async def driver(self, role: Role, caller: Caller) -> DriverInfo:
        """What the driver says that it can do."""
        return await self.until_answered(role, lambda patient: ask(caller, patient))

    async def _enter(self) -> None:
        await self._main()
        self._started = True
        self.shared.changed()

    def _done(self, task: "asyncio.Task[None]") -> None:
        del self._tasks[task]
        if not task.cancelled() and (error := task.exception()) is not None:
            self.shared.failed(error)
        self.shared.changed()
