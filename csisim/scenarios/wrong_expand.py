"""A driver with a wrong idea of what is left to do once a disk has grown; the change makes one of the shipped."""

from dataclasses import replace

from csisim.cluster.parts import Parts
from csisim.driver.controller import ControllerService
from csisim.driver.grpc_types import Context
from csisim.driver.volume_id import parse_volume_id
from csisim.pb import csi_pb2 as csi


def forgetful(parts: Parts) -> Parts:
    """Answers for a disk that is large enough that there is nothing to be done."""
    return replace(parts, controller=_ForgetfulController)


class _ForgetfulController(ControllerService):
    async def ControllerExpandVolume(
        self, request: csi.ControllerExpandVolumeRequest, context: Context
    ) -> csi.ControllerExpandVolumeResponse:
        """Nothing to be done here is nothing to be done."""
        volume = await self._volumes.get(parse_volume_id(request.volume_id), request.volume_id)
        if volume.capacity_bytes >= request.capacity_range.required_bytes:
            return csi.ControllerExpandVolumeResponse(capacity_bytes=volume.capacity_bytes)
        return await super().ControllerExpandVolume(request, context)
