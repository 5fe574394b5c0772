"""Group snapshots: one recursive cut below the root dataset, so that all members share one instant.

Volumes that are no members are left out of the cut by name. The NAS takes no properties with such a cut, so it goes:

    note the intent on the root dataset > cut > mark the root's snapshot > mark the members > drop the intent

The root's snapshot, which is part of the cut, is the record of the group: with its mark on, the group exists, and a
repeat completes the marks of its members. Without it, the intent tells that the cut is ours, and it is discarded. What
belongs to one cut shares its name, which nobody else makes, and its transaction group (createtxg). A deletion is marked
in the record before anything goes, and the record goes last.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from csisim.driver.records import (
    CAPACITY,
    GROUP_DELETING,
    GROUP_MEMBERS,
    GROUP_NAME,
    GROUP_PARAMETERS,
    Volume,
    group_members,
    intent_key,
)
from csisim.driver.snapshots import SnapshotRecord, Snapshots
from csisim.driver.volume_id import GROUP_PREFIX, SnapshotId, component_for
from csisim.driver.volumes import Volumes
from csisim.errors import AlreadyExists, FailedPrecondition, NasRefused, ResourceExhausted
from csisim.truenas.storage import Snapshot, is_existing, is_out_of_space

# The NAS takes messages of 64 KiB; what the call needs besides the list of excluded datasets fits into the rest.
_EXCLUDE_BYTES = 48 * 1024


@dataclass(frozen=True, slots=True)
class Group:
    """A group snapshot.

    Attributes:
        name: the CO's name for it.
        parameters: digest of its creation parameters.
        created_s: seconds since 1970.
        createtxg: of the cut.
        sizes: the members' capacities in bytes by volume id.
        deleting: a deletion has begun: to everybody but a deletion it is gone.
    """

    name: str
    parameters: str
    created_s: float
    createtxg: int
    sizes: dict[str, int]
    deleting: bool = False

    @property
    def id(self) -> str:
        """The group snapshot id."""
        return component_for(self.name)

    @property
    def members(self) -> list[SnapshotRecord]:
        """The member snapshots, by volume id."""
        return [
            SnapshotRecord(SnapshotId(volume, snapshot_name(self.id)), size, self.created_s, self.id)
            for volume, size in sorted(self.sizes.items())
        ]


def snapshot_name(group_id: str) -> str:
    """The snapshot component that the record and all members of a group share."""
    return GROUP_PREFIX + group_id


class Groups:
    """The group snapshots below the root dataset."""

    def __init__(self, volumes: Volumes) -> None:
        self._storage = volumes.storage
        self._snapshots = Snapshots(volumes)
        self._root = volumes.config.root_dataset

    async def find(self, group_id: str) -> Group | None:
        """The group as it is now, also one that is being deleted, or None."""
        record = await self._storage.snapshot(self._record_id(group_id))
        return _group_of(record) if record else None

    async def create(self, name: str, volumes: Sequence[Volume], parameters: str) -> Group:
        """Cut all volumes at one instant; `complete` has to follow.

        Raises:
            AlreadyExists: a snapshot of that name, but not of this group, is in the way.
            FailedPrecondition: there are too many other volumes to leave out of one cut.
            ResourceExhausted: no room.
        """
        group_id = component_for(name)
        others = await self._others({volume.dataset.id for volume in volumes})
        await self.discard_unmarked(group_id)
        if await self._storage.snapshots_named(self._root, snapshot_name(group_id)):
            raise AlreadyExists(f"a snapshot {snapshot_name(group_id)!r} that is not of this group is in the way")
        await self._storage.update_dataset(self._root, set_properties={intent_key(group_id): name})
        marks = {
            GROUP_NAME: name,
            GROUP_PARAMETERS: parameters,
            GROUP_MEMBERS: json.dumps({volume.id: volume.capacity_bytes for volume in volumes}, sort_keys=True),
        }
        try:
            await self._cut(group_id, others)
            record = await self._storage.update_snapshot(self._record_id(group_id), marks)
        except NasRefused as error:
            await self.discard_unmarked(group_id)
            if is_existing(error):
                raise AlreadyExists(f"a snapshot {snapshot_name(group_id)!r} is in the way") from error
            if is_out_of_space(error):
                raise ResourceExhausted(f"no room for group {name!r}: {error.reason.strip()}") from error
            raise
        group = _group_of(record)
        if group is None:
            raise AlreadyExists(f"snapshot {record.id} exists on the NAS and is not a group of this driver")
        return group

    async def _cut(self, group_id: str, others: Sequence[str]) -> None:
        async def cut() -> Snapshot:
            return await self._storage.create_snapshots(self._root, snapshot_name(group_id), others)

        async def look_up() -> Snapshot | None:
            return await self._storage.snapshot(self._record_id(group_id))

        await self._storage.nas.settle(cut, look_up)

    async def complete(self, group: Group) -> None:
        """Mark the members that are not marked yet, and drop what the cut caught besides them."""
        if not await self._intends(group.id):
            return
        for snapshot in await self._cut_of(group):
            volume = snapshot.dataset.rpartition("/")[2]
            if snapshot.dataset == f"{self._root}/{volume}" and volume in group.sizes:
                if GROUP_NAME not in snapshot.user_properties:
                    marks = {GROUP_NAME: group.name, CAPACITY: str(group.sizes[volume])}
                    await self._storage.update_snapshot(snapshot.id, marks)
            elif snapshot.dataset != self._root:
                # A volume that came into being between the listing and the cut.
                await self._storage.delete_snapshot(snapshot.id)
        await self._forget_intent(group.id)

    async def delete(self, group: Group) -> None:
        """Destroy all members, then the record.

        Raises:
            FailedPrecondition: a volume restored from a member depends on it, or a member is held; nothing was removed.
        """
        mine = await self._cut_of(group)
        for snapshot in mine:
            if snapshot.clones or snapshot.held:
                clones = ", ".join(clone.rpartition("/")[2] for clone in snapshot.clones)
                reason = f"volume {clones} depends on" if clones else "somebody holds"
                raise FailedPrecondition(f"group {group.id} is in use: {reason} {snapshot.id}")
        if not group.deleting:
            await self._storage.update_snapshot(self._record_id(group.id), {GROUP_DELETING: "yes"})
        for snapshot in sorted(mine, key=lambda each: each.dataset == self._root):
            await self._snapshots.destroy(snapshot.id)
        await self._forget_intent(group.id)

    async def discard_unmarked(self, group_id: str) -> None:
        """Remove a cut that an interrupted creation left: its members are not known, and its instant is past."""
        if not await self._intends(group_id):
            return
        snapshots = await self._storage.snapshots_named(self._root, snapshot_name(group_id))
        record = next((each for each in snapshots if each.dataset == self._root), None)
        if record is not None and GROUP_NAME in record.user_properties:
            return  # it was marked after all, whatever the NAS said: `complete` needs the intent
        if record is not None:
            stale = [each for each in snapshots if each.createtxg == record.createtxg]
            for snapshot in sorted(stale, key=lambda each: each.dataset == self._root):
                await self._snapshots.destroy(snapshot.id)
        await self._forget_intent(group_id)

    def _record_id(self, group_id: str) -> str:
        return f"{self._root}@{snapshot_name(group_id)}"

    async def _others(self, members: set[str]) -> list[str]:
        """All datasets below the root that are to stay out of the cut."""
        others = [each for each in await self._storage.dataset_names(self._root) if each not in members]
        if sum(len(each) + 3 for each in others) > _EXCLUDE_BYTES:
            raise FailedPrecondition(
                f"these volumes cannot be cut at one instant: {len(others)} others are too many to leave out by name"
            )
        return others

    async def _cut_of(self, group: Group) -> list[Snapshot]:
        snapshots = await self._storage.snapshots_named(self._root, snapshot_name(group.id))
        return [each for each in snapshots if each.createtxg == group.createtxg]

    async def _intends(self, group_id: str) -> bool:
        root = await self._storage.dataset(self._root)
        return root is not None and intent_key(group_id) in root.user_properties

    async def _forget_intent(self, group_id: str) -> None:
        if await self._intends(group_id):
            await self._storage.update_dataset(self._root, remove_properties=[intent_key(group_id)])


def _group_of(record: Snapshot) -> Group | None:
    """The group in a snapshot of the root dataset, or None where it is not a record of ours."""
    own = record.user_properties
    name = own.get(GROUP_NAME, "")
    if not name or snapshot_name(component_for(name)) != record.name:
        return None
    return Group(
        name=name,
        parameters=own.get(GROUP_PARAMETERS, ""),
        created_s=record.created_s,
        createtxg=record.createtxg,
        sizes=group_members(record),
        deleting=GROUP_DELETING in own,
    )
