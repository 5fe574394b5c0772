"""M-WALK: the file system is walked to find a device."""

from collections.abc import Mapping
from dataclasses import replace

from csisim.driver.node import NodeService
from csisim.driver.node_staging import Staging
from csisim.driver.node_state import Staged
from csisim.mutants.mutant import Mutant

_TREE = ("/dev", "/dev/disk", "/dev/disk/by-id", "/dev/disk/by-label", "/dev/disk/by-partuuid", "/dev/disk/by-path",
         "/dev/disk/by-uuid", "/dev/mapper", "/dev/nvme0", "/dev/nvme0n1", "/dev/sda", "/dev/sdb")  # fmt: skip


class WalkingStaging(Staging):
    """Asks for each name there is."""

    async def _attach(self, record: Staged, credentials: Mapping[str, str]) -> Staged:
        for path in _TREE:
            await self._host.mounter.exists(path)
        return await super()._attach(record, credentials)


class Node(NodeService):
    """With such a search."""

    staging_kind = WalkingStaging


MUTANT = Mutant(
    name="M-WALK",
    origin="review of a TrueNAS CSI driver, PERF-005",
    idea="One has to look at everything below /dev to know which device it is.",
    oracle=("cost",),
    plan={"protocols": ("iscsi", "nvmeof")},
    seed=13,
    change=lambda parts: replace(parts, node=Node),
)
