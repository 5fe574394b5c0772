"""A driver with a wrong idea of who sees to it that a volume is on one node; the change makes one of the shipped."""

from dataclasses import replace

from csisim.cluster.parts import Parts
from csisim.driver.controller import ControllerService
from csisim.driver.publishing import Publishing
from csisim.driver.records import Volume
from csisim.driver.requests import Capability
from csisim.driver.volumes import Volumes


def trusting(parts: Parts) -> Parts:
    """Publishes a volume wherever it is asked to."""
    return replace(parts, controller=_TrustingController)


class _TrustingPublishing(Publishing):
    async def publish(self, volume: Volume, node_id: str, capability: Capability, *, readonly: bool) -> None:
        """As if no other node had it."""
        here = tuple(each for each in volume.publications if each.node_id == node_id)
        await super().publish(replace(volume, publications=here), node_id, capability, readonly=readonly)


class _TrustingController(ControllerService):
    def __init__(self, volumes: Volumes) -> None:
        super().__init__(volumes)
        self._publishing = _TrustingPublishing(volumes)
