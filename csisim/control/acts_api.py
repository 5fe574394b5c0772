"""What can be done at once, over HTTP: release a barrier, crash a process, cut the NAS off; and what is left over."""

from functools import partial

from fastapi import FastAPI

from csisim.control.controlled import Controlled
from csisim.control.errors import ControlError
from csisim.control.records import BarrierRecord
from csisim.control.schemas import CrashIn


def add_acts(app: FastAPI, controlled: Controlled) -> None:
    """Barriers, crashes, the connection to the NAS, and what is left over."""
    api = _Acts(controlled)
    add = partial(app.add_api_route, tags=["acts"])
    add("/barriers", api.barriers, methods=["GET"], response_model=list[BarrierRecord])
    add("/barriers/{name:path}/release", api.release, methods=["POST"])
    add("/crash", api.crash, methods=["POST"], status_code=204)
    add("/disconnect-nas", api.disconnect_nas, methods=["POST"])
    add("/leftovers", api.leftovers, methods=["GET"])


class _Acts:
    def __init__(self, controlled: Controlled) -> None:
        self._controlled = controlled

    async def barriers(self) -> list[BarrierRecord]:
        """Where calls hang now."""
        return [BarrierRecord(name, calls) for name, calls in self._controlled.plane.barriers.waiting().items()]

    async def release(self, name: str) -> dict[str, int]:
        """Let what hangs at a barrier now go on; tells how many calls that were."""
        return {"released": self._controlled.plane.barriers.release(name)}

    async def crash(self, body: CrashIn) -> None:
        """End a process abruptly and start it again on its durable state; answers when it serves."""
        try:
            await self._controlled.crash(body.what, body.node, body.down_s)
        except ValueError as error:
            raise ControlError(422, str(error)) from None

    async def disconnect_nas(self) -> dict[str, int]:
        """Reset every connection to the NAS now; tells how many there were."""
        try:
            return {"connections": self._controlled.disconnect_nas()}
        except ValueError as error:
            raise ControlError(422, str(error)) from None

    async def leftovers(self) -> dict[str, list[str]]:
        """Everything of volumes that the NAS and the nodes have now."""
        try:
            return {"leftovers": await self._controlled.leftovers()}
        except ValueError as error:
            raise ControlError(422, str(error)) from None
