"""A node service that tells too much."""

from dataclasses import replace

from csisim.cluster.parts import Parts
from csisim.driver.grpc_types import Context
from csisim.driver.node import NodeService
from csisim.errors import CsiError
from csisim.pb import csi_pb2 as pb


class _Explaining(NodeService):
    async def NodeStageVolume(self, request: pb.NodeStageVolumeRequest, context: Context) -> pb.NodeStageVolumeResponse:
        """Say what failed, and on what."""
        try:
            return await super().NodeStageVolume(request, context)
        except CsiError as error:
            raise type(error)(f"NodeStageVolume failed for {request}: {error}") from error


def shows_requests(parts: Parts) -> Parts:
    """Has the request in the message, for whoever has to find out why."""
    return replace(parts, node=_Explaining)
