"""M-LOSTASGONE: a look-up that the connection did not survive counts as a look-up that found nothing."""

from dataclasses import replace

from csisim.errors import NasIndeterminate, NasTimeout
from csisim.mutants.mutant import Mutant
from csisim.truenas.storage import Dataset, Snapshot, Storage


class ForgivingStorage(Storage):
    """Knows two outcomes of a look-up."""

    async def dataset(self, dataset_id: str, *, count_snapshots: bool = False) -> Dataset | None:
        """See the module."""
        try:
            return await super().dataset(dataset_id, count_snapshots=count_snapshots)
        except NasTimeout:
            raise
        except NasIndeterminate:
            return None

    async def snapshot(self, snapshot_id: str) -> Snapshot | None:
        """See the module."""
        try:
            return await super().snapshot(snapshot_id)
        except NasTimeout:
            raise
        except NasIndeterminate:
            return None


MUTANT = Mutant(
    name="M-LOSTASGONE",
    origin="truenas-scale-csi: code -1, which its client gives to a lost connection, is taken for not found",
    idea="What cannot be looked up is not there.",
    oracle=("linearizability", "I8", "I3"),
    plan={"faults": ("process.nas: 5%crash(nas, 20s)",)},
    seed=2,
    change=lambda parts: replace(parts, storage=ForgivingStorage),
)
