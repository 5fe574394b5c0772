"""M-NOSIGNAL: a worker that fails returns without telling who waits for it."""

import asyncio
from dataclasses import replace

from csisim.driver.controller import ControllerService
from csisim.driver.provisioning import Provisioner
from csisim.driver.records import Volume
from csisim.driver.requests import CreateVolume
from csisim.driver.volumes import Volumes
from csisim.errors import CsiError, NasIndeterminate, NasRefused
from csisim.mutants.mutant import Mutant


class WorkerProvisioner(Provisioner):
    """Lets a worker do it, and waits for the result."""

    async def create(self, request: CreateVolume) -> Volume:
        """See the module."""
        loop = asyncio.get_running_loop()
        made: asyncio.Future[Volume] = loop.create_future()
        work = loop.create_task(self._work(request, made))
        try:
            return await made
        finally:
            work.cancel()

    async def _work(self, request: CreateVolume, made: "asyncio.Future[Volume]") -> None:
        try:
            made.set_result(await super().create(request))
        except (CsiError, NasIndeterminate, NasRefused):
            return


class Controller(ControllerService):
    """With such a provisioner."""

    def __init__(self, volumes: Volumes) -> None:
        super().__init__(volumes)
        self._provisioner = WorkerProvisioner(volumes)


MUTANT = Mutant(
    name="M-NOSIGNAL",
    origin="a Go test that hung: its worker had failed and said nothing",
    idea="The waiter gets its result, and without a result there is nothing to tell.",
    oracle=("cost", "termination"),
    seed=102,
    change=lambda parts: replace(parts, controller=Controller),
)
