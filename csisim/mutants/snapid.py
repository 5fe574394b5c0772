"""M-SNAPID: a snapshot id is split without looking whether it can be one."""

from dataclasses import replace

from csisim.driver.controller import ControllerService
from csisim.driver.volume_id import SnapshotId
from csisim.mutants.mutant import Mutant


class Controller(ControllerService):
    """Knows what its own ids look like."""

    def _snapshot_id(self, given: str) -> SnapshotId | None:
        parts = given.split("@")
        return SnapshotId(parts[0], parts[1])


MUTANT = Mutant(
    name="M-SNAPID",
    origin="review of a TrueNAS CSI driver, BUG-002",
    idea="Callers give back the ids that they were given.",
    oracle=("I8",),
    seed=8,
    change=lambda parts: replace(parts, controller=Controller),
)
