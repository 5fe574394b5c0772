"""Drivers with wrong ideas of what may be deleted; each change makes one of the shipped driver."""

from dataclasses import replace

from csisim.cluster.parts import Parts
from csisim.driver.controller import ControllerService
from csisim.driver.grpc_types import Context
from csisim.driver.records import Volume
from csisim.driver.volume_id import component_for
from csisim.driver.volumes import Volumes
from csisim.pb import csi_pb2 as csi
from csisim.truenas.storage import Snapshot


def thorough(parts: Parts) -> Parts:
    """Unpublishes what is to be deleted."""
    return replace(parts, controller=_ThoroughController)


def possessive(parts: Parts) -> Parts:
    """Deletes datasets by their names."""
    return replace(parts, volumes=_PossessiveVolumes)


def collecting(parts: Parts) -> Parts:
    """Deletes what it does not know."""
    return replace(parts, controller=_CollectingController)


class _ThoroughController(ControllerService):
    async def DeleteVolume(self, request: csi.DeleteVolumeRequest, context: Context) -> csi.DeleteVolumeResponse:
        """From all nodes first."""
        everywhere = csi.ControllerUnpublishVolumeRequest(volume_id=request.volume_id)
        await self.ControllerUnpublishVolume(everywhere, context)
        return await super().DeleteVolume(request, context)


class _PossessiveVolumes(Volumes):
    async def unused(self, volume_id: str) -> tuple[Volume, list[Snapshot]] | None:
        """One that is not marked was marked once."""
        found = await super().unused(volume_id)
        dataset = None if found else await self.storage.dataset(self.dataset_id(volume_id))
        if dataset is not None:
            await self._release_clones(dataset.id, await self.storage.snapshots_of(dataset.id))
            await self.storage.delete_dataset(dataset.id)
        return found


class _CollectingController(ControllerService):
    def __init__(self, volumes: Volumes) -> None:
        super().__init__(volumes)
        self._wanted: dict[str, None] = {}

    async def CreateVolume(self, request: csi.CreateVolumeRequest, context: Context) -> csi.CreateVolumeResponse:
        """There is room for a new one once the old ones are gone."""
        self._wanted[component_for(request.name)] = None
        for volume in await self._volumes.page("", 0):
            if volume.id not in self._wanted and not volume.publications:
                await super().DeleteVolume(csi.DeleteVolumeRequest(volume_id=volume.id), context)
        return await super().CreateVolume(request, context)

    async def ControllerPublishVolume(
        self, request: csi.ControllerPublishVolumeRequest, context: Context
    ) -> csi.ControllerPublishVolumeResponse:
        """It is wanted."""
        self._wanted[request.volume_id] = None
        return await super().ControllerPublishVolume(request, context)
