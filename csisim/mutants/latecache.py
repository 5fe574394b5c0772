"""M-LATECACHE: the size of a volume is remembered after its lock was let go."""

import asyncio
from dataclasses import replace

from csisim.driver.controller import ControllerService
from csisim.driver.grpc_types import Context
from csisim.driver.volumes import Volumes
from csisim.mutants.mutant import Mutant
from csisim.pb import csi_pb2 as pb

_FLUSH_S = 0.05
"""How long the note of a new volume takes; one that is there is changed in its place."""


class Controller(ControllerService):
    """Knows how large volumes are: what it would answer to who wants them larger."""

    def __init__(self, volumes: Volumes) -> None:
        super().__init__(volumes)
        self._known: dict[str, pb.ControllerExpandVolumeResponse] = {}

    async def CreateVolume(self, request: pb.CreateVolumeRequest, context: Context) -> pb.CreateVolumeResponse:
        """See the module."""
        response = await super().CreateVolume(request, context)
        await asyncio.sleep(_FLUSH_S)
        volume = response.volume
        self._known[volume.volume_id] = pb.ControllerExpandVolumeResponse(
            capacity_bytes=volume.capacity_bytes, node_expansion_required=volume.volume_context["protocol"] != "nfs"
        )
        return response

    async def ControllerExpandVolume(
        self, request: pb.ControllerExpandVolumeRequest, context: Context
    ) -> pb.ControllerExpandVolumeResponse:
        """See the module."""
        known = self._known.pop(request.volume_id, None)
        if known is not None and known.capacity_bytes >= request.capacity_range.required_bytes:
            response = known
        else:
            response = await super().ControllerExpandVolume(request, context)
            await asyncio.sleep(0)  # here a thread may lose its turn
        self._known[request.volume_id] = response
        return response

    async def ListVolumes(self, request: pb.ListVolumesRequest, context: Context) -> pb.ListVolumesResponse:
        """With the sizes that are known."""
        response = await super().ListVolumes(request, context)
        for entry in response.entries:
            known = self._known.get(entry.volume.volume_id)
            entry.volume.capacity_bytes = known.capacity_bytes if known else entry.volume.capacity_bytes
        return response

    async def DeleteVolume(self, request: pb.DeleteVolumeRequest, context: Context) -> pb.DeleteVolumeResponse:
        """Its size is known no more."""
        self._known.pop(request.volume_id, None)
        return await super().DeleteVolume(request, context)


MUTANT = Mutant(
    name="M-LATECACHE",
    origin="aptly's task list, made general: what is shared is written after the lock was let go",
    idea="The work is done, so the lock need not be held for the notes.",
    oracle=("linearizability", "I12"),
    plan={"faults": ("none",), "clients": 6, "operations": 8, "volumes": 1, "nodes": 1},
    race=True,
    seed=63,
    change=lambda parts: replace(parts, controller=Controller),
)
