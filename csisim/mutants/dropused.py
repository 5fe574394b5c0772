"""M-DROPUSED: whether a volume is in use is asked before its lock is held, and the volume deleted inside."""

import asyncio
from dataclasses import replace

from csisim.driver.controller import ControllerService
from csisim.driver.grpc_types import Context
from csisim.driver.inflight import volume_key
from csisim.driver.requests import require
from csisim.driver.volume_id import parse_volume_id
from csisim.mutants.mutant import Mutant
from csisim.pb import csi_pb2 as pb


class Controller(ControllerService):
    """Refuses early what must not be deleted."""

    async def DeleteVolume(self, request: pb.DeleteVolumeRequest, context: Context) -> pb.DeleteVolumeResponse:
        """See the module."""
        volume_id = parse_volume_id(require(request.volume_id, "volume_id"))
        unused = await self._volumes.unused(volume_id) if volume_id is not None else None
        await asyncio.sleep(0)  # here a thread may lose its turn
        if unused is not None:
            volume, snapshots = unused
            async with self._locks.hold(volume_key(volume.id)):
                await self._volumes.destroy(volume, snapshots)
        return pb.DeleteVolumeResponse()


MUTANT = Mutant(
    name="M-DROPUSED",
    origin="aptly's task list: whether a repository is used was asked outside of the lock",
    idea="What must not be deleted is refused before anybody has to wait for a lock.",
    oracle=("races", "linearizability", "I1"),
    seed=4,
    race=True,
    change=lambda parts: replace(parts, controller=Controller),
)
