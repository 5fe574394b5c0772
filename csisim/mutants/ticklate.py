"""M-TICKLATE: whether the time is up is asked after the pause, and not before it."""

import asyncio
from dataclasses import replace

from csisim.driver.node import NodeService
from csisim.driver.node_staging import Staging
from csisim.errors import DeadlineExceeded
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

    staging_kind = TickingStaging


MUTANT = Mutant(
    name="M-TICKLATE",
    origin="review of a TrueNAS CSI driver, OTHER-003",
    idea="Half a second more or less does not matter.",
    oracle=("cost",),
    plan={"workload": "co", "protocols": ("iscsi", "nvmeof"), "faults": ("device.present: ready(200s)",)},
    seed=6,
    change=lambda parts: replace(parts, node=Node),
)
