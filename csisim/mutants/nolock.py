"""M-NOLOCK: a volume is expanded without its operation lock."""

from dataclasses import replace

from csisim.driver.controller import ControllerService
from csisim.driver.grpc_types import Context
from csisim.driver.inflight import OperationLocks
from csisim.mutants.mutant import Mutant
from csisim.pb import csi_pb2 as pb


class Controller(ControllerService):
    """Each expansion has locks of its own, which is none at all."""

    async def ControllerExpandVolume(
        self, request: pb.ControllerExpandVolumeRequest, context: Context
    ) -> pb.ControllerExpandVolumeResponse:
        """See the module."""
        alone = ControllerService(self._volumes)
        alone._locks = OperationLocks()  # noqa: SLF001 - of its own class
        return await alone.ControllerExpandVolume(request, context)


MUTANT = Mutant(
    name="M-NOLOCK",
    origin="review of a TrueNAS CSI driver, OTHER-004",
    idea="To grow a volume is one call of the NAS, so there is nothing to lock.",
    oracle=("races", "linearizability"),
    seed=4,
    race=True,
    change=lambda parts: replace(parts, controller=Controller),
)
