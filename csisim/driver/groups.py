"""Group snapshots: one recursive cut below the root dataset, so that all members share one instant.

Volumes that are no members are excluded from the cut. The root dataset's own snapshot, which is part of the same cut,
is the record of the group; it is removed last, so a group that is half gone is still found.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from csisim.driver.records import (
    GROUP_MEMBERS,
    GROUP_NAME,
    GROUP_PARAMETERS,
    SNAPSHOT_NAME,
    Volume,
    group_members,
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
        """Cut all volumes at one instant.

        Raises:
            AlreadyExists: a snapshot of that name, but not of this group, is in the way.
            FailedPrecondition: there are too many other volumes to leave out of one cut.
            ResourceExhausted: no room.
        """
        component = component_for(name)
        properties = {
            SNAPSHOT_NAME: name,
            GROUP_NAME: name,
            GROUP_PARAMETERS: parameters,
            GROUP_MEMBERS: json.dumps({volume.id: volume.capacity_bytes for volume in volumes}, sort_keys=True),
        }
        others = await self._others({volume.dataset.id for volume in volumes})

        async def cut() -> Snapshot:
            return await self._storage.create_snapshot(
                self._root, component, properties, recursive=True, exclude=others
            )

        async def look_up() -> Snapshot | None:
            return await self._storage.snapshot(f"{self._root}@{component}")

        try:
            group = _group_of(await self._storage.nas.settle(cut, look_up))
        except NasRefused as error:
            if is_existing(error):
                raise AlreadyExists(f"a member has a snapshot {component!r} outside of a group") from error
            if is_out_of_space(error):
                raise ResourceExhausted(f"no room for group {name!r}: {error.reason.strip()}") from error
            raise
        if group is None:
            raise AlreadyExists(f"snapshot {component!r} exists on the NAS and is not a group of this driver")
        await self._drop_strangers(group)
        return group

    async def _others(self, members: set[str]) -> list[str]:
        """All datasets below the root that are to stay out of the cut."""
        others = [each for each in await self._storage.dataset_names(self._root) if each not in members]
        if sum(len(each) + 3 for each in others) > _EXCLUDE_BYTES:
            raise FailedPrecondition(
                f"these volumes cannot be cut at one instant: {len(others)} others are too many to leave out by name"
            )
        return others

    async def _drop_strangers(self, group: Group) -> None:
        """Remove the snapshots of volumes that came into being between the listing and the cut."""
        keep = {self._root, *(f"{self._root}/{volume}" for volume in group.sizes)}
        for snapshot in await self._storage.snapshots_named(self._root, group.id):
            if snapshot.dataset not in keep and GROUP_NAME in snapshot.user_properties:
                await self._storage.delete_snapshot(snapshot.id)

    async def delete(self, group: Group) -> None:
        """Destroy all members, then the record.

        Raises:
            FailedPrecondition: a volume restored from a member depends on it; nothing was removed.
        """
        snapshots = await self._storage.snapshots_named(self._root, group.id)
        mine = [each for each in snapshots if each.user_properties.get(GROUP_NAME) == group.name]
        for snapshot in mine:
            if snapshot.clones:
                clones = ", ".join(clone.rpartition("/")[2] for clone in snapshot.clones)
                raise FailedPrecondition(f"group {group.id} is in use: volume {clones} depends on {snapshot.id}")
        for snapshot in sorted(mine, key=lambda each: each.dataset == self._root):
            await self._storage.delete_snapshot(snapshot.id)


def _group_of(record: Snapshot) -> Group | None:
    """The group in a snapshot of the root dataset, or None where it is not a record of ours."""
    own = record.user_properties
    name = own.get(GROUP_NAME, "")
    if not name or component_for(name) != record.name:
        return None
    return Group(name, own.get(GROUP_PARAMETERS, ""), record.created_s, group_members(record))
