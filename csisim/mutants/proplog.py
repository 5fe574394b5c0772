"""M-PROPLOG: that a property could not be stored is logged, and that is all."""

import logging
from dataclasses import replace
from typing import Any

from csisim.errors import NasRefused
from csisim.mutants.mutant import Mutant
from csisim.truenas.storage import Dataset, Storage

_log = logging.getLogger(__name__)


class LoggingStorage(Storage):
    """Takes properties for notes."""

    async def update_dataset(self, dataset_id: str, **changes: Any) -> Dataset:
        """See the module."""
        try:
            return await super().update_dataset(dataset_id, **changes)
        except NasRefused as error:
            stored = await self.dataset(dataset_id)
            if stored is None:
                raise
            _log.warning("%s: its properties could not be stored: %s", dataset_id, error)
            return stored


MUTANT = Mutant(
    name="M-PROPLOG",
    origin="review of a TrueNAS CSI driver, OTHER-005",
    idea="The volume is there, and a property that it lacks can be stored another time.",
    oracle=("linearizability", "I12"),
    plan={"faults": ("nas.pool.dataset.update.apply: 20%error(EIO)",)},
    seed=4,
    change=lambda parts: replace(parts, storage=LoggingStorage),
)
