"""M-STALECACHE: what is known of datasets outlives the connection over which it was heard."""

import asyncio
from dataclasses import replace
from typing import Any

from csisim.driver.controller import ControllerService
from csisim.driver.records import VOLUME_NAME
from csisim.driver.volumes import Volumes
from csisim.errors import NasTimeout
from csisim.mutants.mutant import Mutant
from csisim.truenas.storage import Dataset, Storage


class CachingStorage(Storage):
    """Notes what it does itself; where a caller went away, it asks again."""

    def __init__(self, storage: Storage) -> None:
        super().__init__(storage.nas)
        self._known: dict[str, Dataset] = {}
        self._changes = 0

    async def dataset(self, dataset_id: str, *, count_snapshots: bool = False) -> Dataset | None:
        """See the module."""
        if dataset_id in self._known and not count_snapshots:
            return self._known[dataset_id]
        before = self._changes
        found = await super().dataset(dataset_id, count_snapshots=count_snapshots)
        if found is not None and VOLUME_NAME in found.user_properties and before == self._changes:
            self._known[dataset_id] = found
        return found

    async def update_dataset(self, dataset_id: str, **changes: Any) -> Dataset:
        """It is now as the answer says."""
        self._changes += 1
        try:
            changed = self._known[dataset_id] = await super().update_dataset(dataset_id, **changes)
        except (NasTimeout, asyncio.CancelledError):
            self._known.pop(dataset_id, None)
            raise
        finally:
            self._changes += 1
        return changed

    async def delete_dataset(self, dataset_id: str) -> None:
        """It is known no more, once it is gone."""
        self._changes += 1
        try:
            await super().delete_dataset(dataset_id)
        except (NasTimeout, asyncio.CancelledError):
            self._known.pop(dataset_id, None)
            raise
        finally:
            self._changes += 1
        self._known.pop(dataset_id, None)

    async def promote(self, dataset_id: str) -> None:
        """Of two datasets other things are true now."""
        self._known.clear()
        await super().promote(dataset_id)
        self._known.clear()


class Controller(ControllerService):
    """With such a storage, as long as its process lives."""

    def __init__(self, volumes: Volumes) -> None:
        storage = CachingStorage(volumes.storage)
        super().__init__(type(volumes)(volumes.config, storage, volumes.exports, volumes.locks))


MUTANT = Mutant(
    name="M-STALECACHE",
    origin="scale-csi and truenas-scale-csi: what had been read before a reconnect was served after it",
    idea="Nobody else changes the volumes, so what is known of them outlives the connection.",
    oracle=("I3", "I11", "linearizability"),
    plan={"faults": ("nas.pool.dataset.update.reply: 30%disconnect(rst)",)},
    seed=8,
    change=lambda parts: replace(parts, controller=Controller),
)
