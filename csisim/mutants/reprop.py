"""M-REPROP: the properties of a volume that is there already are stored again."""

from dataclasses import replace

from csisim.driver.controller import ControllerService
from csisim.driver.provisioning import CreatePlan, Provisioner
from csisim.driver.records import Volume
from csisim.driver.volumes import Volumes
from csisim.mutants.mutant import Mutant
from csisim.truenas.storage import Dataset


class RepeatingProvisioner(Provisioner):
    """Makes sure that all properties are there."""

    async def _complete(self, plan: CreatePlan, dataset: Dataset, *, fresh: bool = False) -> Volume:
        volume = await super()._complete(plan, dataset, fresh=fresh)
        await self._storage.update_dataset(dataset.id, set_properties=plan.properties(volume.capacity_bytes))
        return volume


class Controller(ControllerService):
    """With such a provisioner."""

    def __init__(self, volumes: Volumes) -> None:
        super().__init__(volumes)
        self._provisioner = RepeatingProvisioner(volumes)


MUTANT = Mutant(
    name="M-REPROP",
    origin="review of a TrueNAS CSI driver, PERF-006",
    idea="To store what is there already does no harm.",
    oracle=("cost",),
    seed=4,
    change=lambda parts: replace(parts, controller=Controller),
)
