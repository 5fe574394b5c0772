"""M-COUNT: the calls in flight are counted by a walk over the shared map, without a lock."""

import asyncio
from dataclasses import replace

from csisim.mutants.mutant import Mutant
from csisim.truenas.client import NasClient
from csisim.truenas.connection import Connection, Pending
from csisim.truenas.task_map import TaskMap


class WalkedMap(TaskMap):
    """Counts one by one."""

    async def walk(self) -> int:
        """How many there are."""
        count = 0
        for _ in self._tasks:
            await asyncio.sleep(0)  # here a thread may lose its turn
            count += 1
        return count


class CountingClient(NasClient):
    """Looks at the load before each call."""

    tasks_kind = WalkedMap
    load = 0

    async def _send(self, *args: object) -> tuple[Connection, Pending, int]:
        if isinstance(self.tasks, WalkedMap):
            self.load = await self.tasks.walk()
        return await super()._send(*args)  # type: ignore[arg-type]


MUTANT = Mutant(
    name="M-COUNT",
    origin="vSphere CSI driver: TaskMap.Count read the map without its lock",
    idea="Only writers need the lock, a reader does no harm.",
    oracle=("I8",),
    seed=12,
    race=True,
    change=lambda parts: replace(parts, client=CountingClient),
)
