"""Capacity and health as the controller sees them: the pool's state and missing parts of exports."""

from collections.abc import Sequence

from csisim.driver.records import Volume
from csisim.driver.volumes import Volumes
from csisim.errors import FailedPrecondition
from csisim.pb import csi_pb2 as pb

# Pool states in which data can still be read, if with less redundancy.
_READABLE = ("ONLINE", "DEGRADED")
_PAGE = 200


class ControllerHealth:
    """Reads only; no lock is needed."""

    def __init__(self, volumes: Volumes) -> None:
        self._volumes = volumes
        self._storage = volumes.storage
        self._config = volumes.config

    async def available_bytes(self) -> int:
        """What can still be allocated below the root dataset, or in the pool while there is no root yet."""
        root = await self._storage.dataset(self._config.root_dataset)
        if root is not None:
            return root.available_bytes
        pool = await self._storage.pool(self._config.pool)
        if pool is None:
            raise FailedPrecondition(f"the NAS has no pool {self._config.pool!r}; create it or change the root dataset")
        return pool.free_bytes

    async def of(self, volumes: Sequence[Volume]) -> list[pb.VolumeHealth]:
        """The health of each volume, in order."""
        pool = await self._storage.pool(self._config.pool)
        status = pool.status if pool else "UNAVAIL"
        unreachable = await self._volumes.unreachable(list(volumes))
        return [_health(volume.id, status, unreachable.get(volume.id, "")) for volume in volumes]

    async def abnormal(self, after: str, limit: int) -> tuple[list[pb.VolumeHealth], str]:
        """Abnormal volumes after an id, at most `limit` (0 for all), and the id to go on after ("" at the end)."""
        found: list[pb.VolumeHealth] = []
        while True:
            volumes = await self._volumes.page(after, _PAGE)
            found += [each for each in await self.of(volumes) if each.health_statuses]
            if limit and len(found) > limit:
                return found[:limit], found[limit - 1].volume_id
            if len(volumes) < _PAGE:
                return found, ""
            after = volumes[-1].id


def _health(volume_id: str, pool_status: str, missing: str) -> pb.VolumeHealth:
    health = pb.VolumeHealth(volume_id=volume_id)
    if pool_status not in _READABLE:
        health.health_statuses.add(status=pb.INACCESSIBLE, reason="PoolUnavailable", message=f"pool is {pool_status}")
    elif pool_status != "ONLINE":
        health.health_statuses.add(status=pb.DEGRADED, reason="PoolDegraded", message=f"pool is {pool_status}")
    if missing:
        message = "the NAS does not serve this volume; repeat CreateVolume to complete it"
        health.health_statuses.add(status=pb.INACCESSIBLE, reason=missing, message=message)
    return health
