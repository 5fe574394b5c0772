"""Snapshots with a wrong idea: of who needs them, and of what a refusal means."""

from dataclasses import replace

import structlog

from csisim.cluster.parts import Parts
from csisim.driver import requests
from csisim.driver.controller import ControllerService
from csisim.driver.grpc_types import Context
from csisim.driver.inflight import volume_key
from csisim.driver.snapshots import Snapshots
from csisim.driver.volume_id import component_for
from csisim.driver.volumes import Volumes
from csisim.errors import NasRefused
from csisim.pb import csi_pb2 as pb

_log = structlog.get_logger(__name__)


class _LockingTarget(ControllerService):
    async def CreateVolume(self, request: pb.CreateVolumeRequest, context: Context) -> pb.CreateVolumeResponse:
        """Hold what is made, and a volume that it is cloned from."""
        wanted = requests.create_volume(request)
        keys = [volume_key(component_for(wanted.name))]
        if isinstance(wanted.source, str):
            keys.append(volume_key(wanted.source))
        async with self._locks.hold(*keys):
            volume = await self._provisioner.create(wanted)
            return pb.CreateVolumeResponse(volume=await self._message(volume))


def reads_unlocked(parts: Parts) -> Parts:
    """A snapshot that is restored is read, and so it is not locked."""
    return replace(parts, controller=_LockingTarget)


class _Obliging(Snapshots):
    async def destroy(self, full_id: str) -> None:
        """Leave to the NAS what it wants to keep."""
        try:
            await self._storage.delete_snapshot(full_id)
        except NasRefused as error:
            _log.warning("snapshot not deleted", snapshot=full_id, reason=error.reason)


class _Obliged(ControllerService):
    def __init__(self, volumes: Volumes) -> None:
        super().__init__(volumes)
        self._snapshots = _Obliging(volumes)


def drops_refusals(parts: Parts) -> Parts:
    """That a snapshot could not be deleted is logged, and that is all."""
    return replace(parts, controller=_Obliged)
