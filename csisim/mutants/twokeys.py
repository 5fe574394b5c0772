"""M-TWOKEYS: who creates locks the name, who deletes locks the id, and they are two keys."""

from dataclasses import replace

from csisim.driver import requests
from csisim.driver.controller import ControllerService
from csisim.driver.grpc_types import Context
from csisim.driver.inflight import snapshot_key, volume_key
from csisim.driver.volume_id import SnapshotId
from csisim.mutants.mutant import Mutant
from csisim.pb import csi_pb2 as pb


class Controller(ControllerService):
    """Locks what the request has."""

    async def CreateVolume(self, request: pb.CreateVolumeRequest, context: Context) -> pb.CreateVolumeResponse:
        """See the module."""
        wanted = requests.create_volume(request)
        keys = [f"name {wanted.name}"]
        if isinstance(wanted.source, str):
            keys.append(volume_key(wanted.source))
        kept = [snapshot_key(wanted.source.snapshot)] if isinstance(wanted.source, SnapshotId) else []
        async with self._locks.hold(*keys, shared=kept):
            volume = await self._provisioner.create(wanted)
            return pb.CreateVolumeResponse(volume=await self._message(volume))


MUTANT = Mutant(
    name="M-TWOKEYS",
    origin="truenas-scale-csi: CreateVolume locks by name, DeleteVolume by id",
    idea="Each call locks what it was given.",
    oracle=("I10", "I3", "races"),
    plan={
        "clients": 8,
        "operations": 6,
        "volumes": 1,
        "nodes": 1,
        "protocols": ("iscsi", "nvmeof"),
        "faults": ("nas.pool.dataset.delete.request: 60%delay(100ms)",),
    },
    seed=93,
    race=True,
    change=lambda parts: replace(parts, controller=Controller),
)
