"""M-GWAIT: properties are stored by parallel calls, whose errors are collected and never looked at."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from errno import ENOENT
from typing import Any

from csisim.errors import NasRefused
from csisim.mutants.mutant import Mutant
from csisim.truenas.jsonrpc import METHOD_CALL_ERROR
from csisim.truenas.storage import Dataset, Storage


class ParallelStorage(Storage):
    """One call for each property, all at a time."""

    async def update_dataset(
        self, dataset_id: str, *, set_properties: Mapping[str, str] | None = None, **changes: Any
    ) -> Dataset:
        """See the module."""
        update = super().update_dataset
        one_each = [{"set_properties": {key: value}} for key, value in (set_properties or {}).items()]
        work = [update(dataset_id, **each) for each in (*([changes] if any(changes.values()) else []), *one_each)]
        await asyncio.gather(*work, return_exceptions=True)
        stored = await self.dataset(dataset_id)
        if stored is None:
            raise NasRefused("pool.dataset.update", f"{dataset_id} is gone", code=METHOD_CALL_ERROR, errno=ENOENT)
        return stored


MUTANT = Mutant(
    name="M-GWAIT",
    origin="review of a TrueNAS CSI driver, BUG-004",
    idea="Whoever waits for all parallel steps has waited for their success.",
    oracle=("linearizability", "I12", "I4"),
    plan={"faults": ("nas.pool.dataset.update.apply: 20%error(EIO)",)},
    seed=14,
    change=lambda parts: replace(parts, storage=ParallelStorage),
)
