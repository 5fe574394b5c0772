"""M-DUPNAME: whether a snapshot's name is taken is asked under the lock of the volume, not under that of the name."""

from dataclasses import replace

from csisim.driver.controller import ControllerService
from csisim.driver.grpc_types import Context
from csisim.driver.inflight import volume_key
from csisim.driver.replies import snapshot_message
from csisim.driver.requests import require
from csisim.driver.volume_id import parse_volume_id
from csisim.mutants.mutant import Mutant
from csisim.pb import csi_pb2 as pb


class Controller(ControllerService):
    """Locks what is cut, and not what it is to be called."""

    async def CreateSnapshot(self, request: pb.CreateSnapshotRequest, context: Context) -> pb.CreateSnapshotResponse:
        """See the module."""
        name = require(request.name, "name")
        given = require(request.source_volume_id, "source_volume_id")
        async with self._locks.hold(volume_key(given)):
            record = await self._snapshots.create(name, parse_volume_id(given), given)
        return pb.CreateSnapshotResponse(snapshot=snapshot_message(record))


MUTANT = Mutant(
    name="M-DUPNAME",
    origin="aptly's task list: duplicates were looked for outside of the lock",
    idea="A snapshot belongs to its volume, so the lock of the volume is the lock of the snapshot.",
    oracle=("I2", "linearizability"),
    seed=48,
    race=True,
    change=lambda parts: replace(parts, controller=Controller),
)
