"""Controllers that only read and write API objects: after every change they look at all of them and do what is due."""

import asyncio
from abc import abstractmethod

from csisim.co.objects import Object
from csisim.co.process import Process, Shared


class Reconciler(Process):
    """See the module."""

    def __init__(self, name: str, shared: Shared) -> None:
        super().__init__(name, shared)
        self._woken = asyncio.Event()

    @abstractmethod
    def reconcile(self) -> float | None:
        """Do what is due. Returns the loop time at which it wants to look again without a change, if any."""

    async def _main(self) -> None:
        self.watch(self._wake)
        self.spawn(self._run(), f"{self.name} loop")

    def _wake(self, _changed: Object, _gone: bool) -> None:
        self._woken.set()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        timer: asyncio.TimerHandle | None = None
        try:
            while True:
                await self._woken.wait()
                self._woken.clear()
                if timer is not None:
                    timer.cancel()
                again_s = self.reconcile()
                timer = None if again_s is None else loop.call_at(again_s, self._woken.set)
        finally:
            if timer is not None:
                timer.cancel()
