"""M-LOSTWAKE: who comes second waits for a busy volume, and is not there yet when it is called."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

from csisim.driver.inflight import OperationLocks
from csisim.errors import Aborted
from csisim.mutants.mutant import Mutant

_SPIN_S = 0.005


class WaitingLocks(OperationLocks):
    """Gives a busy volume a moment, and then waits to be woken when it is freed."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting: dict[str, list[asyncio.Event]] = {}

    @asynccontextmanager
    async def hold(self, *keys: str, shared: Iterable[str] = ()) -> AsyncIterator[None]:
        """See the module."""
        together = tuple(shared)
        async with AsyncExitStack() as stack:
            while True:
                try:
                    await stack.enter_async_context(super().hold(*keys, shared=together))
                except Aborted:
                    busy = next((key for key in (*keys, *together) if key in self.held()), "")
                    if not busy:
                        raise
                else:
                    break
                await asyncio.sleep(_SPIN_S)
                woken = asyncio.Event()
                self._waiting.setdefault(busy, []).append(woken)
                await woken.wait()
            yield

    def free(self, exclusive: Sequence[str], together: Sequence[str]) -> None:
        """See the base class; whoever waits may try again."""
        super().free(exclusive, together)
        for key in (*exclusive, *together):
            for woken in self._waiting.pop(key, []):
                woken.set()


MUTANT = Mutant(
    name="M-LOSTWAKE",
    origin="a Go test that hung, made general: a notification before anybody waits for it is lost",
    idea="To see that it is busy and to wait for its end are one step.",
    oracle=("cost",),
    plan={"clients": 6, "operations": 3, "volumes": 1, "faults": ("none",)},
    seed=8,
    race=True,
    change=lambda parts: replace(parts, locks=WaitingLocks),
)
