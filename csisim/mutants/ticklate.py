"""M-TICKLATE: whether the time is up is asked after the pause, and not before it."""

import asyncio
from dataclasses import replace

from csisim.driver.config import DriverConfig
from csisim.driver.inflight import OperationLocks
from csisim.driver.node import NodeService
from csisim.driver.node_staging import Staging, VolumeLookup
from csisim.driver.node_state import StageRecords
from csisim.errors import DeadlineExceeded
from csisim.host import NodeHost
from csisim.mutants.mutant import Mutant

_TICK_S = 0.5


class TickingStaging(Staging):
    """Looks for the device twice a second."""

    async def _wait_for(self, device: str) -> None:
        loop = asyncio.get_running_loop()
        ends = loop.time() + self._config.device_timeout_s
        while not await self._host.devices.present(device):
            late = loop.time() >= ends
            await asyncio.sleep(_TICK_S)
            if late:
                raise DeadlineExceeded(f"device {device} did not appear within {self._config.device_timeout_s:g} s")


class Node(NodeService):
    """With such a wait."""

    def __init__(
        self, config: DriverConfig, node_id: str, host: NodeHost, locks: OperationLocks, volumes: VolumeLookup
    ) -> None:
        super().__init__(config, node_id, host, locks, volumes)
        self._staging = TickingStaging(config, host, StageRecords(host.files), volumes)


MUTANT = Mutant(
    name="M-TICKLATE",
    origin="review of a TrueNAS CSI driver, OTHER-003",
    idea="Half a second more or less does not matter.",
    oracle=("cost",),
    plan={"workload": "co", "protocols": ("iscsi", "nvmeof"), "faults": ("device.present: ready(200s)",)},
    seed=6,
    change=lambda parts: replace(parts, node=Node),
)
