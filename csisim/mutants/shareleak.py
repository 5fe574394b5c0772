"""M-SHARELEAK: the dataset goes first, and what made it reachable after it, if it comes to that."""

from dataclasses import replace

from csisim.driver.records import Volume
from csisim.driver.volumes import Volumes
from csisim.errors import FailedPrecondition, NasRefused
from csisim.mutants.mutant import Mutant
from csisim.truenas.storage import Snapshot, is_busy


class DatasetFirst(Volumes):
    """Where the dataset is not there any more, a repeat finds nothing to do."""

    async def destroy(self, volume: Volume, snapshots: list[Snapshot]) -> None:
        """See the module."""
        dataset, export = volume.dataset, self.exports[volume.protocol]
        await self._release_clones(dataset.id, snapshots)
        try:
            await self.storage.delete_dataset(dataset.id)
        except NasRefused as error:
            if await self.storage.dataset(dataset.id) is not None:
                await export.ensure(dataset, fresh=False)
                if is_busy(error):
                    raise FailedPrecondition(f"volume {volume.id} is in use on the NAS: {error.reason}") from error
            raise
        await export.remove(dataset)
        await self.release_origin(dataset)


MUTANT = Mutant(
    name="M-SHARELEAK",
    origin="TrueNAS CSI drivers differ in what they delete first; a share goes with its dataset, a target does not",
    idea="Once the dataset is gone the volume is, and the rest is a matter of moments.",
    oracle=("I3",),
    plan={
        "workload": "co",
        "protocols": ("iscsi", "nvmeof"),
        "faults": ("nas.iscsi.target.delete.request: 50%error(EIO)", "nas.nvmet.subsys.delete.request: 50%error(EIO)"),
    },
    seed=0,
    change=lambda parts: replace(parts, volumes=DatasetFirst),
)
