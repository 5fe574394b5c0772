"""M-HALFMADE: a volume whose dataset is there is answered with success, whatever else it lacks."""

from dataclasses import replace

from csisim.driver.controller import ControllerService
from csisim.driver.provisioning import CreatePlan, Provisioner
from csisim.driver.records import Volume, volume_of
from csisim.driver.volumes import Volumes
from csisim.mutants.mutant import Mutant
from csisim.truenas.storage import Dataset


class EasyProvisioner(Provisioner):
    """Compares what is there, and completes only what it made itself a moment ago."""

    async def _complete(self, plan: CreatePlan, dataset: Dataset, *, fresh: bool = False) -> Volume:
        volume = volume_of(dataset)
        if fresh or volume is None:
            return await super()._complete(plan, dataset, fresh=fresh)
        self._compare(plan, volume)
        return volume


class Controller(ControllerService):
    """With such a provisioner."""

    def __init__(self, volumes: Volumes) -> None:
        super().__init__(volumes)
        self._provisioner = EasyProvisioner(volumes)


MUTANT = Mutant(
    name="M-HALFMADE",
    origin="TrueNAS CSI drivers: after a crash between dataset and share, a repeated CreateVolume tells no way to it",
    idea="Where the dataset is, the volume is.",
    oracle=("I8", "I11"),
    plan={
        "workload": "co",
        "faults": (
            "nas.sharing.nfs.create.request: 50%drop",
            "nas.iscsi.targetextent.create.request: 50%drop",
            "nas.nvmet.port_subsys.create.request: 50%drop",
        ),
    },
    seed=15,
    change=lambda parts: replace(parts, controller=Controller),
)
