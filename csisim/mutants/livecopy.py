"""M-LIVECOPY: what is answered is read from the record of the operation once the lock is free, not from a copy."""

from dataclasses import replace

from csisim.driver import requests
from csisim.driver.controller import ControllerService
from csisim.driver.grpc_types import Context
from csisim.driver.inflight import snapshot_key, volume_key
from csisim.driver.records import Volume
from csisim.driver.replies import volume_message
from csisim.driver.volume_id import SnapshotId, component_for
from csisim.driver.volumes import Volumes
from csisim.mutants.mutant import Mutant
from csisim.pb import csi_pb2 as pb


class Controller(ControllerService):
    """Keeps one record of what it makes, and shows that."""

    def __init__(self, volumes: Volumes) -> None:
        super().__init__(volumes)
        self._made: Volume

    async def CreateVolume(self, request: pb.CreateVolumeRequest, context: Context) -> pb.CreateVolumeResponse:
        """See the module."""
        wanted = requests.create_volume(request)
        keys = [volume_key(component_for(wanted.name))]
        kept = [snapshot_key(wanted.source.snapshot)] if isinstance(wanted.source, SnapshotId) else []
        if isinstance(wanted.source, str):
            keys.append(volume_key(wanted.source))
        async with self._locks.hold(*keys, shared=kept):
            self._made = await self._provisioner.create(wanted)
            contexts = await self._contexts([self._made])
        context_of = next(iter(contexts.values()))
        return pb.CreateVolumeResponse(volume=volume_message(self._made, context_of, self._config))


MUTANT = Mutant(
    name="M-LIVECOPY",
    origin="aptly's task list: the task's state was copied after its lock had been let go",
    idea="The record of the operation is up to date, so the answer can be read from it at any time.",
    oracle=("I2", "linearizability"),
    seed=15,
    race=True,
    change=lambda parts: replace(parts, controller=Controller),
)
