"""The volumes below the root dataset: find, list, grow, modify, delete.

Called with the volume's operation lock held where something changes. The dataset as the NAS has it is the only record.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from weakref import WeakValueDictionary

from csisim.driver.config import DriverConfig
from csisim.driver.exports import Export
from csisim.driver.inflight import OperationLocks, volume_key
from csisim.driver.parameters import Protocol
from csisim.driver.records import CAPACITY, CLONE_FOR, Volume, volume_of
from csisim.driver.requests import CapacityRange
from csisim.driver.sizes import choose_size
from csisim.driver.volume_id import CLONE_PREFIX
from csisim.errors import Aborted, CsiError, FailedPrecondition, NasRefused, NotFound, OutOfRange, ResourceExhausted
from csisim.truenas.storage import Dataset, Snapshot, Storage, is_busy, is_missing, is_out_of_space


class _Look:
    """Those that look at a volume now, and whether what they see may have been taken away again by CreateVolume."""

    __slots__ = ("__weakref__", "overtaken")

    def __init__(self) -> None:
        self.overtaken = False


class Volumes:
    """The volumes below the root dataset."""

    def __init__(
        self, config: DriverConfig, storage: Storage, exports: Mapping[Protocol, Export], locks: OperationLocks
    ) -> None:
        self.locks = locks
        self.config = config
        self.storage = storage
        self.exports = exports
        self._making: set[str] = set()
        self._looks: WeakValueDictionary[str, _Look] = WeakValueDictionary()

    def dataset_id(self, component: str) -> str:
        """The dataset of a volume."""
        return f"{self.config.root_dataset}/{component}"

    async def find(self, volume_id: str) -> Volume | None:
        """The volume as it is now, or None where there is none of ours."""
        dataset = await self.storage.dataset(self.dataset_id(volume_id))
        return volume_of(dataset) if dataset else None

    async def get(self, volume_id: str | None, given: str) -> Volume:
        """The volume, or NotFound with the id as it was given."""
        volume = await self.find(volume_id) if volume_id else None
        if volume is None:
            raise NotFound(f"volume {given!r} does not exist")
        return volume

    async def seen(self, volume_id: str | None, given: str) -> Volume:
        """As `get`, for those who hold no lock.

        Raises:
            NotFound: there is no such volume.
            Aborted: there is, but CreateVolume is at work on it, or has failed meanwhile; then there never was.
        """
        look = self._looks.setdefault(volume_id or "", _Look())
        volume = await self.get(volume_id, given)
        if look.overtaken or volume.id in self._making:
            raise Aborted(f"{volume_key(volume.id)}: CreateVolume is in progress; repeat later")
        return volume

    @contextmanager
    def making(self, volume_id: str) -> Iterator[None]:
        """What is there under this id may be taken away again as long as this lasts."""
        self._making.add(volume_id)
        try:
            yield
        except BaseException:
            look = self._looks.pop(volume_id, None)
            if look is not None:
                look.overtaken = True
            raise
        finally:
            self._making.discard(volume_id)

    async def contexts(self, volumes: list[Volume]) -> dict[str, dict[str, str]]:
        """The volume_context of each volume, by id."""
        found: dict[str, dict[str, str]] = {}
        for protocol in Protocol:
            chosen = [each for each in volumes if each.protocol is protocol]
            if chosen:
                contexts = await self.exports[protocol].contexts([each.dataset for each in chosen])
                found |= {volume.id: context for volume, context in zip(chosen, contexts, strict=True)}
        return found

    async def unreachable(self, volumes: list[Volume]) -> dict[str, str]:
        """Ids of volumes whose export is incomplete, each with a CamelCase reason."""
        reasons: dict[str, str] = {}
        for protocol in Protocol:
            chosen = [each.dataset for each in volumes if each.protocol is protocol]
            if chosen:
                missing = await self.exports[protocol].missing(chosen)
                reasons |= {dataset_id.rpartition("/")[2]: reason for dataset_id, reason in missing.items()}
        return reasons

    async def page(self, after: str, limit: int) -> list[Volume]:
        """Volumes by id after the given one, at most `limit` (0 for all); foreign datasets are passed over."""
        volumes: list[Volume] = []
        while True:
            wanted = limit - len(volumes) if limit else 0
            after_id = self.dataset_id(after) if after else ""
            rows = await self.storage.datasets_after(self.config.root_dataset, after_id, wanted)
            volumes += [volume for row in rows if (volume := volume_of(row))]
            if not wanted or len(rows) < wanted or len(volumes) >= limit:
                return volumes
            after = rows[-1].id.removeprefix(f"{self.config.root_dataset}/")

    async def delete(self, volume_id: str) -> None:
        """Delete a volume and all that belongs to it; one that is not there, or not ours, is left as it is.

        Raises:
            FailedPrecondition: it is published, has snapshots, or is in use on the NAS; it is as reachable as before.
        """
        unused = await self.unused(volume_id)
        if unused is not None:
            await self.destroy(*unused)

    async def unused(self, volume_id: str) -> tuple[Volume, list[Snapshot]] | None:
        """A volume that may be deleted, with the snapshots that the driver cut of it to clone from, or None.

        Raises:
            FailedPrecondition: it is published, or has snapshots.
        """
        dataset_id = self.dataset_id(volume_id)
        dataset = await self.storage.dataset(dataset_id, count_snapshots=True)
        if dataset is None:
            await self._forget_clone_snapshot(volume_id)
            return None
        volume = volume_of(dataset)
        if volume is None:
            return None
        if volume.publications:
            nodes = ", ".join(each.node_id for each in volume.publications)
            raise FailedPrecondition(f"volume {volume_id} is published on {nodes}; unpublish it first")
        snapshots = await self.storage.snapshots_of(dataset.id) if dataset.snapshots else []
        named = [each.name for each in snapshots if not _serves_clone(each)]
        if named:
            raise FailedPrecondition(f"volume {volume_id} has snapshots ({', '.join(named[:5])}); delete them first")
        return volume, snapshots

    async def destroy(self, volume: Volume, snapshots: list[Snapshot]) -> None:
        """Delete a volume that is not in use.

        Raises:
            FailedPrecondition: it is in use on the NAS; it is as reachable as before.
        """
        dataset, export = volume.dataset, self.exports[volume.protocol]
        await self._release_clones(dataset.id, snapshots)
        try:
            await export.remove(dataset)
            await self.storage.delete_dataset(dataset.id)
        except NasRefused as error:
            # What failed may be what the NAS does after the deletion.
            if await self.storage.dataset(dataset.id) is not None:
                # It may have removed shares before it refused; a volume that stays must stay reachable.
                await export.ensure(dataset, fresh=False)
                if _in_use(error):
                    reason = error.reason.strip()
                    raise FailedPrecondition(f"volume {volume.id} is in use on the NAS: {reason}") from error
                raise
        await self.release_origin(dataset)

    async def _release_clones(self, dataset_id: str, snapshots: list[Snapshot]) -> None:
        """Let volumes that were cloned from this one live on: the newest clone takes the shared snapshots over.

        Raises:
            Aborted: an operation on that clone is in progress.
        """
        while True:
            for snapshot in snapshots:
                if not snapshot.clones:
                    await self.storage.delete_snapshot(snapshot.id)
            shared = [each for each in snapshots if each.clones]
            if not shared:
                return
            heir = max(shared, key=lambda each: each.createtxg).clones[0]
            async with self.locks.hold(volume_key(heir.rpartition("/")[2])):
                # The clone may have been deleted before its lock was ours.
                snapshots = await self.storage.snapshots_of(dataset_id)
                if any(heir in each.clones for each in snapshots):
                    await self.storage.promote(heir)
                    return

    async def release_origin(self, dataset: Dataset) -> None:
        """Let the snapshot that was cut for this clone live exactly as long as the clone."""
        if dataset.origin.rpartition("@")[2] == CLONE_PREFIX + dataset.component:
            await self.storage.delete_snapshot(dataset.origin, defer=True)

    async def _forget_clone_snapshot(self, volume_id: str) -> None:
        """Remove the snapshot of a source volume that an interrupted clone to this volume has left."""
        for snapshot in await self.storage.snapshots_named(self.config.root_dataset, CLONE_PREFIX + volume_id):
            if _serves_clone(snapshot):
                await self.storage.delete_snapshot(snapshot.id, defer=True)

    async def expand(self, volume: Volume, wanted: CapacityRange) -> Volume:
        """Grow to what is asked for; one that is big enough already stays as it is.

        Raises:
            OutOfRange: the limit is below the present size, or the size is not possible.
            ResourceExhausted: the pool has no room.
        """
        if volume.capacity_bytes >= wanted.required_bytes:
            if not wanted.contains(volume.capacity_bytes):
                raise OutOfRange(f"volume {volume.id} has {volume.capacity_bytes} bytes, more than the limit of "
                                 f"{wanted.limit_bytes}; volumes do not shrink")  # fmt: skip
            return volume
        size_bytes = choose_size(wanted, volume.protocol)
        if isinstance(size_bytes, CsiError):
            raise size_bytes
        root = await self.storage.dataset(self.config.root_dataset)
        growth = size_bytes - volume.capacity_bytes
        if root is not None and root.available_bytes < growth:
            raise ResourceExhausted(f"no room for {growth} more bytes: {root.available_bytes} are available")
        sizes = {"volsize_bytes" if volume.protocol.is_block else "refquota_bytes": size_bytes}
        return await self._update(volume, set_properties={CAPACITY: str(size_bytes)}, **sizes)

    async def modify(self, volume: Volume, settings: Mapping[str, str]) -> None:
        """Bring the settings into force; those that are already are not sent."""
        changed = {key: value for key, value in settings.items() if volume.dataset.settings[key] != value}
        if changed:
            await self._update(volume, settings=changed)

    async def _update(self, volume: Volume, **changes: Any) -> Volume:
        try:
            dataset = await self.storage.update_dataset(volume.dataset.id, **changes)
        except NasRefused as error:
            if is_missing(error):
                raise NotFound(f"volume {volume.id} does not exist any more") from error
            if is_out_of_space(error):
                raise ResourceExhausted(f"volume {volume.id}: {error.reason.strip()}") from error
            raise
        return volume_of(dataset) or volume


def _in_use(error: NasRefused) -> bool:
    """Whether a deletion was refused because of the volume, and not because the NAS was too busy to be asked."""
    busy = is_busy(error) and error.method.endswith(".delete")
    return busy or error.mentions("has children", "dependent clones")


def _serves_clone(snapshot: Snapshot) -> bool:
    """Whether the driver cut this snapshot itself, to clone from it."""
    return snapshot.name.startswith(CLONE_PREFIX) and CLONE_FOR in snapshot.user_properties
