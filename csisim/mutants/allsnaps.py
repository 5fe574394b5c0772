"""M-ALLSNAPS: all snapshots are fetched to find one."""

from dataclasses import replace

from csisim.mutants.mutant import Mutant
from csisim.truenas.storage import Snapshot, Storage


class FetchingStorage(Storage):
    """Filters for itself."""

    async def snapshot(self, snapshot_id: str) -> Snapshot | None:
        """See the module."""
        found = await self.snapshots_after("", "", 0)
        return next((each for each in found if each.id == snapshot_id), None)


MUTANT = Mutant(
    name="M-ALLSNAPS",
    origin="review of a TrueNAS CSI driver, PERF-001",
    idea="There are never many snapshots.",
    oracle=("cost",),
    seed=0,
    change=lambda parts: replace(parts, storage=FetchingStorage),
)
