"""M-NOCANCEL: the work of a call is not cancelled with the call."""

import asyncio
from dataclasses import replace

from csisim.driver.controller import ControllerService
from csisim.driver.provisioning import Provisioner
from csisim.driver.records import Volume
from csisim.driver.requests import CreateVolume
from csisim.driver.volumes import Volumes
from csisim.mutants.mutant import Mutant


class BackgroundProvisioner(Provisioner):
    """Does its work in a task that only a restart ends."""

    def __init__(self, volumes: Volumes) -> None:
        super().__init__(volumes)
        self._running: dict[asyncio.Task[Volume], None] = {}

    async def create(self, request: CreateVolume) -> Volume:
        """See the module."""
        work = asyncio.get_running_loop().create_task(super().create(request))
        self._running[work] = None
        work.add_done_callback(self._ended)
        return await asyncio.shield(work)

    def _ended(self, work: "asyncio.Task[Volume]") -> None:
        del self._running[work]
        if not work.cancelled():
            work.exception()  # whoever still waits hears of it


class Controller(ControllerService):
    """With such a provisioner."""

    def __init__(self, volumes: Volumes) -> None:
        super().__init__(volumes)
        self._provisioner = BackgroundProvisioner(volumes)


MUTANT = Mutant(
    name="M-NOCANCEL",
    origin="review of a TrueNAS CSI driver, BUG-005 and OTHER-002",
    idea="What was begun is better finished than left half done.",
    oracle=("races",),
    seed=44,
    change=lambda parts: replace(parts, controller=Controller),
)
