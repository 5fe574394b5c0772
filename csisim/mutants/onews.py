"""M-ONEWS: the one websocket carries one call at a time."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from csisim.mutants.mutant import Mutant
from csisim.truenas.client import Json, NasClient
from csisim.truenas.settings import NasSettings


class SerialClient(NasClient):
    """Sends the next request when the last one was answered."""

    def __init__(self, settings: NasSettings, *, rng: random.Random, **more: Any) -> None:
        super().__init__(settings, rng=rng, **more)
        self._turn = asyncio.Lock()

    async def _call(
        self, method: str, params: Sequence[Json], timeout_s: float | None, note: list[asyncio.Future[None]] | None
    ) -> tuple[Json, int]:
        async with self._turn:
            return await super()._call(method, params, timeout_s, note)


MUTANT = Mutant(
    name="M-ONEWS",
    origin="review of a TrueNAS CSI driver, PERF-004",
    idea="On one connection there is one question and one answer.",
    oracle=("cost",),
    seed=4,
    change=lambda parts: replace(parts, client=SerialClient),
)
