"""The workloads of runs, by name."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from csisim.runs.clients import Client, Desk
from csisim.runs.intents import CoWorkload
from csisim.runs.phases import Workload
from csisim.runs.plan import RunPlan
from csisim.runs.testbed import Testbed
from csisim.runs.unwind import Unwinding


class ClientsWorkload:
    """Clients that make random calls, see `csisim.runs.clients`."""

    def __init__(self, testbed: Testbed, plan: RunPlan) -> None:
        self._plan = plan
        self._desk = Desk(testbed, plan)

    async def safety(self) -> None:
        """All clients at a time."""
        async with asyncio.TaskGroup() as tasks:
            for number in range(1, self._plan.clients + 1):
                client = Client(number, self._desk)
                tasks.create_task(client.run(self._plan.operations), name=client.name)

    async def liveness(self) -> None:
        """Everything is taken away."""
        await Unwinding(self._desk).run()
        await self._desk.close()

    def expected(self, left: list[str]) -> list[str]:  # noqa: ARG002 - see Workload
        """Nothing."""
        return []


WORKLOADS: Final[Mapping[str, Callable[[Testbed, RunPlan], Workload]]] = {
    "clients": ClientsWorkload,
    "co": CoWorkload,
}
"""As plans name them."""
