"""Snapshots of single volumes: cut, find, list, delete."""

from dataclasses import dataclass

from csisim.driver.records import (
    CAPACITY,
    GROUP_NAME,
    SNAPSHOT_NAME,
    captured_size,
    snapshot_of,
)
from csisim.driver.volume_id import SnapshotId, component_for
from csisim.driver.volumes import Volumes
from csisim.errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NasRefused,
    NotFound,
    ResourceExhausted,
)
from csisim.truenas.storage import Snapshot, is_existing, is_out_of_space, lacks_base


@dataclass(frozen=True, slots=True)
class SnapshotRecord:
    """A snapshot that is provably ours.

    Attributes:
        id: volume and snapshot component.
        size_bytes: the capacity of the source volume when it was cut.
        created_s: seconds since 1970.
        group_id: the group it was cut with, "" for none.
    """

    id: SnapshotId
    size_bytes: int
    created_s: float
    group_id: str


def record_of(snapshot: Snapshot) -> SnapshotRecord | None:
    """The record in a snapshot of the NAS, or None where it is not ours."""
    own_id = snapshot_of(snapshot)
    if own_id is None:
        return None
    group = snapshot.user_properties.get(GROUP_NAME, "")
    return SnapshotRecord(own_id, captured_size(snapshot), snapshot.created_s, component_for(group) if group else "")


class Snapshots:
    """The snapshots of the volumes below the root dataset."""

    def __init__(self, volumes: Volumes) -> None:
        self._volumes = volumes
        self._storage = volumes.storage

    async def create(self, name: str, volume_id: str | None, given: str) -> SnapshotRecord:
        """Cut a snapshot, or find the one of this name.

        Raises:
            AlreadyExists: the name is taken by a snapshot of another volume.
            NotFound: no such volume.
            ResourceExhausted: no room.
        """
        component = component_for(name)
        root = self._volumes.config.root_dataset
        taken = await self._storage.snapshots_named(root, component)
        volume = await self._volumes.get(volume_id, given) if not taken else None
        if volume is None:
            return self._repeated(taken, name, given)
        properties = {SNAPSHOT_NAME: name, CAPACITY: str(volume.capacity_bytes)}

        async def cut() -> Snapshot:
            return await self._storage.create_snapshot(volume.dataset.id, component, properties)

        async def look_up() -> Snapshot | None:
            return await self._storage.snapshot(f"{volume.dataset.id}@{component}")

        try:
            made = record_of(await self._storage.nas.settle(cut, look_up))
        except NasRefused as error:
            if is_out_of_space(error):
                raise ResourceExhausted(f"no room for snapshot {name!r}: {error.reason.strip()}") from error
            if is_existing(error):
                raise AlreadyExists(f"snapshot {name!r} exists on the NAS and was not made by this driver") from error
            if lacks_base(error):
                raise NotFound(f"volume {given!r} does not exist any more") from error
            raise
        if made is None:
            raise AlreadyExists(f"snapshot {name!r} exists on the NAS and was not made by this driver")
        return made

    def _repeated(self, taken: list[Snapshot], name: str, volume_id: str) -> SnapshotRecord:
        """The snapshot that an earlier call of the same name made."""
        for snapshot in taken:
            record = record_of(snapshot)
            if record is None or snapshot.user_properties[SNAPSHOT_NAME] != name:
                raise AlreadyExists(
                    f"snapshot {snapshot.id} exists on the NAS and was not made under the name {name!r}"
                )
            if record.id.volume != volume_id:
                raise AlreadyExists(f"snapshot {name!r} exists, of volume {record.id.volume}; asked for {volume_id}")
        found = record_of(taken[0])
        if found is None:
            raise NotFound(f"snapshot {name!r} does not exist")
        return found

    async def find(self, snapshot_id: SnapshotId | None) -> SnapshotRecord | None:
        """The snapshot as it is now, or None."""
        if snapshot_id is None:
            return None
        snapshot = await self._storage.snapshot(self._volumes.dataset_id(str(snapshot_id)))
        return record_of(snapshot) if snapshot else None

    async def delete(self, snapshot_id: SnapshotId) -> None:
        """Destroy a snapshot; one that is not there, or not ours, is left as it is.

        Raises:
            FailedPrecondition: a volume was restored from it and still depends on it, or it is held.
            InvalidArgument: it belongs to a group snapshot.
        """
        record = await self.find(snapshot_id)
        if record is None:
            return
        if record.group_id:
            raise InvalidArgument(f"snapshot {snapshot_id} belongs to group {record.group_id}; delete the group")
        await self.destroy(self._volumes.dataset_id(str(snapshot_id)))

    async def destroy(self, full_id: str) -> None:
        """Destroy a snapshot by `dataset@name`; missing is fine."""
        try:
            await self._storage.delete_snapshot(full_id)
        except NasRefused as error:
            reason = error.reason.strip()
            if error.mentions("dependent clone", "held", "holds", "busy"):
                raise FailedPrecondition(f"snapshot {full_id.rpartition('/')[2]} is in use: {reason}") from error
            raise

    async def page(self, volume_id: str, after: str, limit: int) -> list[SnapshotRecord]:
        """Snapshots by id after the given one, at most `limit` (0 for all); of one volume unless it is "".

        Snapshots that are not ours, and those the driver cut for itself, are passed over.
        """
        prefix = self._volumes.dataset_id(f"{volume_id}@" if volume_id else "")
        records: list[SnapshotRecord] = []
        while True:
            wanted = limit - len(records) if limit else 0
            after_id = self._volumes.dataset_id(after) if after else ""
            rows = await self._storage.snapshots_after(prefix, after_id, wanted)
            records += [record for row in rows if (record := record_of(row))]
            if not wanted or len(rows) < wanted or len(records) >= limit:
                return records
            after = rows[-1].id.removeprefix(self._volumes.dataset_id(""))
