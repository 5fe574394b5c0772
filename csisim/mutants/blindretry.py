"""M-BLINDRETRY: a creation whose answer was lost is sent again, and nobody looks first whether it is there."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

from csisim.errors import NasIndeterminate
from csisim.mutants.mutant import Mutant
from csisim.truenas.client import NasClient

T = TypeVar("T")

_ATTEMPTS = 3
_PAUSE_S = 1.0


class RepeatingClient(NasClient):
    """Three attempts, with pauses of one and two seconds, for creations as for everything else."""

    async def settle(self, do: Callable[[], Awaitable[T]], lookup: Callable[[], Awaitable[T | None]]) -> T:
        """See the module."""
        for attempt in range(1, _ATTEMPTS):
            try:
                return await do()
            except NasIndeterminate:
                await asyncio.sleep(_PAUSE_S * attempt)
        return await do()


MUTANT = Mutant(
    name="M-BLINDRETRY",
    origin="tns-csi and truenas-scale-csi: three attempts after a connection error, creations included",
    idea="A call that was not answered was not carried out.",
    oracle=("I9",),
    seed=32,
    change=lambda parts: replace(parts, client=RepeatingClient),
)
