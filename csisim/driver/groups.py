"""Group snapshots: one recursive cut below the root dataset, so that all members share one instant.

Volumes that are no members are left out of the cut by name. The NAS takes no properties with such a cut, so it goes:

    note the intent on the root dataset > cut > mark the root's snapshot > mark the members > drop the intent

The root's snapshot, which is part of the cut, is the record of the group: with its mark on, the group exists, and a
repeat completes the marks of its members. A cut that was never marked is told from somebody else's by the intent, and
is cut anew. What belongs to one cut shares its transaction group (createtxg). The record is removed last.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from csisim.driver.records import (
    CAPACITY,
    GROUP_MEMBERS,
    GROUP_NAME,
    GROUP_PARAMETERS,
    SNAPSHOT_NAME,
    Volume,
    group_members,
    intent_key,
)
from csisim.driver.snapshots import SnapshotRecord
from csisim.driver.volume_id import SnapshotId, component_for
from csisim.driver.volumes import Volumes
from csisim.errors import AlreadyExists, FailedPrecondition, NasRefused, ResourceExhausted
from csisim.truenas.storage import Snapshot, is_existing, is_out_of_space

# The NAS takes messages of 64 KiB; what the call needs besides the list of excluded datasets fits into the rest.
_EXCLUDE_BYTES = 48 * 1024


@dataclass(frozen=True, slots=True)
class Group:
    """A group snapshot; `sizes` are the members' capacities in bytes by volume id."""

    name: str
    parameters: str
    created_s: float
    createtxg: int
    sizes: dict[str, int]

    @property
    def id(self) -> str:
        """The group snapshot id, which is also the snapshot component of every member."""
        return component_for(self.name)

    @property
    def members(self) -> list[SnapshotRecord]:
        """The member snapshots, by volume id."""
        return [
            SnapshotRecord(SnapshotId(volume, self.id), size, self.created_s, self.id)
            for volume, size in sorted(self.sizes.items())
        ]


class Groups:
    """The group snapshots below the root dataset."""

    def __init__(self, volumes: Volumes) -> None:
        self._storage = volumes.storage
        self._root = volumes.config.root_dataset

    async def find(self, component: str) -> Group | None:
        """The group as it is now, or None."""
        record = await self._storage.snapshot(f"{self._root}@{component}")
        return _group_of(record) if record else None

    async def create(self, name: str, volumes: Sequence[Volume], parameters: str) -> Group:
        """Cut all volumes at one instant; `complete` has to follow.

        Raises:
            AlreadyExists: a snapshot of that name, but not of this group, is in the way.
            FailedPrecondition: there are too many other volumes to leave out of one cut.
            ResourceExhausted: no room.
        """
        component = component_for(name)
        record_id = f"{self._root}@{component}"
        others = await self._others({volume.dataset.id for volume in volumes})
        await self._discard_unmarked(component, name)
        await self._storage.update_dataset(self._root, set_properties={intent_key(component): name})

        async def cut() -> Snapshot:
            return await self._storage.create_snapshots(self._root, component, others)

        async def look_up() -> Snapshot | None:
            return await self._storage.snapshot(record_id)

        try:
            await self._storage.nas.settle(cut, look_up)
        except NasRefused as error:
            await self._forget_intent(component)
            if is_existing(error):
                raise AlreadyExists(f"there is a snapshot {component!r} already that is not of this group") from error
            if is_out_of_space(error):
                raise ResourceExhausted(f"no room for group {name!r}: {error.reason.strip()}") from error
            raise
        marks = {
            GROUP_NAME: name,
            GROUP_PARAMETERS: parameters,
            GROUP_MEMBERS: json.dumps({volume.id: volume.capacity_bytes for volume in volumes}, sort_keys=True),
        }
        group = _group_of(await self._storage.update_snapshot(record_id, marks))
        if group is None:
            raise AlreadyExists(f"snapshot {component!r} exists on the NAS and is not a group of this driver")
        return group

    async def complete(self, group: Group) -> None:
        """Mark the members that are not marked yet, and drop what the cut caught besides them."""
        root = await self._storage.dataset(self._root)
        if root is None or intent_key(group.id) not in root.user_properties:
            return
        for snapshot in await self._cut_of(group):
            volume = snapshot.dataset.rpartition("/")[2]
            if snapshot.dataset == f"{self._root}/{volume}" and volume in group.sizes:
                if GROUP_NAME not in snapshot.user_properties:
                    marks = {SNAPSHOT_NAME: group.name, GROUP_NAME: group.name, CAPACITY: str(group.sizes[volume])}
                    await self._storage.update_snapshot(snapshot.id, marks)
            elif snapshot.dataset != self._root:
                # A volume that came into being between the listing and the cut.
                await self._storage.delete_snapshot(snapshot.id)
        await self._forget_intent(group.id)

    async def delete(self, group: Group) -> None:
        """Destroy all members, then the record.

        Raises:
            FailedPrecondition: a volume restored from a member depends on it; nothing was removed.
        """
        mine = await self._cut_of(group)
        for snapshot in mine:
            if snapshot.clones:
                clones = ", ".join(clone.rpartition("/")[2] for clone in snapshot.clones)
                raise FailedPrecondition(f"group {group.id} is in use: volume {clones} depends on {snapshot.id}")
        await self._forget_intent(group.id)
        for snapshot in sorted(mine, key=lambda each: each.dataset == self._root):
            await self._storage.delete_snapshot(snapshot.id)

    async def _others(self, members: set[str]) -> list[str]:
        """All datasets below the root that are to stay out of the cut."""
        others = [each for each in await self._storage.dataset_names(self._root) if each not in members]
        if sum(len(each) + 3 for each in others) > _EXCLUDE_BYTES:
            raise FailedPrecondition(
                f"these volumes cannot be cut at one instant: {len(others)} others are too many to leave out by name"
            )
        return others

    async def _cut_of(self, group: Group) -> list[Snapshot]:
        snapshots = await self._storage.snapshots_named(self._root, group.id)
        return [each for each in snapshots if each.createtxg == group.createtxg]

    async def _discard_unmarked(self, component: str, name: str) -> None:
        """Remove a cut that an interrupted attempt left: its members are not known, and its instant is long past."""
        root = await self._storage.dataset(self._root)
        if root is None or root.user_properties.get(intent_key(component)) != name:
            return
        snapshots = await self._storage.snapshots_named(self._root, component)
        record = next((each for each in snapshots if each.dataset == self._root), None)
        if record is not None:
            stale = [each for each in snapshots if each.createtxg == record.createtxg]
            for snapshot in sorted(stale, key=lambda each: each.dataset == self._root):
                await self._storage.delete_snapshot(snapshot.id)

    async def _forget_intent(self, component: str) -> None:
        root = await self._storage.dataset(self._root)
        if root is not None and intent_key(component) in root.user_properties:
            await self._storage.update_dataset(self._root, remove_properties=[intent_key(component)])


def _group_of(record: Snapshot) -> Group | None:
    """The group in a snapshot of the root dataset, or None where it is not a record of ours."""
    own = record.user_properties
    name = own.get(GROUP_NAME, "")
    if not name or component_for(name) != record.name:
        return None
    return Group(name, own.get(GROUP_PARAMETERS, ""), record.created_s, record.createtxg, group_members(record))
