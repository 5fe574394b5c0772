"""M-STALE: a volume is looked up before its operation lock is held, and used inside."""

import asyncio
from dataclasses import replace

from csisim.driver import requests
from csisim.driver.controller import ControllerService
from csisim.driver.grpc_types import Context
from csisim.driver.inflight import volume_key
from csisim.driver.volume_id import parse_volume_id
from csisim.mutants.mutant import Mutant
from csisim.pb import csi_pb2 as pb


class Controller(ControllerService):
    """Finds out what there is to grow, and then waits for its turn."""

    async def ControllerExpandVolume(
        self, request: pb.ControllerExpandVolumeRequest, context: Context
    ) -> pb.ControllerExpandVolumeResponse:
        """See the module."""
        wanted = requests.capacity_range(request.capacity_range, present=True, required=True)
        volume = await self._volumes.get(parse_volume_id(request.volume_id), request.volume_id)
        await asyncio.sleep(0)  # here a thread may lose its turn
        async with self._locks.hold(volume_key(volume.id)):
            grown = await self._volumes.expand(volume, wanted)
        return pb.ControllerExpandVolumeResponse(
            capacity_bytes=grown.capacity_bytes, node_expansion_required=grown.protocol.is_block
        )


MUTANT = Mutant(
    name="M-STALE",
    origin="aptly's task list: snapshots loaded before the task's lock",
    idea="The lock guards the change, and looking is no change.",
    oracle=("races", "linearizability"),
    seed=4,
    race=True,
    change=lambda parts: replace(parts, controller=Controller),
)
