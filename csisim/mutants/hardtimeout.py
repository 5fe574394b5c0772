"""M-HARDTIMEOUT: how long to wait for a device is written in the code."""

from dataclasses import replace

from csisim.driver.config import DriverConfig
from csisim.driver.inflight import OperationLocks
from csisim.driver.node import NodeService
from csisim.driver.node_staging import VolumeLookup
from csisim.host import NodeHost
from csisim.mutants.mutant import Mutant


class Node(NodeService):
    """Knows better than its settings."""

    def __init__(
        self, config: DriverConfig, node_id: str, host: NodeHost, locks: OperationLocks, volumes: VolumeLookup
    ) -> None:
        super().__init__(replace(config, device_timeout_s=30.0), node_id, host, locks, volumes)


MUTANT = Mutant(
    name="M-HARDTIMEOUT",
    origin="review of a TrueNAS CSI driver, OTHER-001",
    idea="A device that has not appeared in half a minute will never appear.",
    oracle=("cost",),
    plan={"protocols": ("iscsi", "nvmeof"), "faults": ("device.present: ready(40s)",)},
    seed=9,
    change=lambda parts: replace(parts, node=Node),
)
