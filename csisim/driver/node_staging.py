"""NodeStageVolume and NodeUnstageVolume: attach a volume to this node, and detach it."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol as Interface

from csisim import deadline
from csisim.driver import node_mounts as mounts
from csisim.driver.config import DriverConfig
from csisim.driver.device_wait import ensure_fs, unless_busy, wait_for_device, wait_until_gone
from csisim.driver.node_errors import system_call
from csisim.driver.node_requests import source_of
from csisim.driver.node_state import Attachment, Staged, StageRecords
from csisim.driver.parameters import unsupported
from csisim.driver.requests import Capability
from csisim.errors import (
    Aborted,
    AlreadyExists,
    CsiError,
    FailedPrecondition,
    InvalidArgument,
    NasIndeterminate,
    NotFound,
    OutOfRange,
    PermissionDenied,
    ResourceExhausted,
)
from csisim.host import NodeHost

log = logging.getLogger(__name__)

# Answers after which callers take for granted that nothing is staged; of the last one some do.
_FINAL = (
    AlreadyExists, FailedPrecondition, InvalidArgument, NotFound, OutOfRange, PermissionDenied, ResourceExhausted
)  # fmt: skip
# What is staged stays staged without the NAS: a repeat does not wait longer than this for its word.
_ASK_S = 1.0


class Presence(StrEnum):
    """What the NAS has of a volume, seen from one node."""

    ABSENT = "absent"
    UNPUBLISHED = "not published on this node"
    PUBLISHED = "published on this node"


class VolumeLookup(Interface):
    """What a node asks of the NAS."""

    async def presence(self, volume_id: str) -> Presence:
        """Whether there is such a volume, and whether this node may use it. NasIndeterminate: the NAS did not say."""


@dataclass(frozen=True, slots=True)
class StageRequest:
    """NodeStageVolumeRequest with its address.

    Attributes:
        credentials: go to the initiator and nowhere else.
        readonly: ControllerPublishVolume let this node read only.
    """

    volume_id: str
    staging_path: str
    capability: Capability
    attachment: Attachment
    credentials: Mapping[str, str]
    readonly: bool = False


class Staging:
    """Stage and unstage on one host. Callers hold the volume's lock."""

    def __init__(self, config: DriverConfig, host: NodeHost, records: StageRecords, volumes: VolumeLookup) -> None:
        self._config = config
        self._host = host
        self._records = records
        self._volumes = volumes

    async def stage(self, wanted: StageRequest) -> None:
        """Bring the volume to this node.

        The record comes first, so whatever an interrupted call leaves is found by its repeat, or by unstage.

        Raises:
            NotFound: no such volume.
            FailedPrecondition: it is not published on this node, or cannot do what is asked.
            AlreadyExists: it is staged in another way.
        """
        record, staged = await self._records.load(wanted.volume_id), False
        if record is not None and _same(record, wanted):
            staged = await self._is_staged(record)
        elif record is not None:
            await self._replace(record, wanted)
        try:
            await self._stage(record, wanted, staged=staged)
        except _FINAL as error:
            # Of what an earlier call has left half-way, too, nobody would take care any more.
            if record is None or record.growing or not staged:
                await self._undo(wanted, error)
            raise

    async def _stage(self, record: Staged | None, wanted: StageRequest, *, staged: bool) -> None:
        if record is not None and staged:
            if not await self._is_broken(record):
                await self._confirm_published(wanted.volume_id)
                if record.growing:
                    await self._grow(record)
                return
            await self._require_published(wanted.volume_id)
            await mounts.take_off(self._host.mounter, record.staging_path, record.source)
        else:
            await self._require_published(wanted.volume_id)
        if problem := unsupported(wanted.attachment.protocol, (wanted.capability,)):
            raise FailedPrecondition(f"volume {wanted.volume_id}: {problem}")
        await self._bring(record, wanted)

    async def _bring(self, record: Staged | None, wanted: StageRequest) -> None:
        begun = await self._begin(record, wanted)
        if wanted.attachment.protocol.is_block:
            begun = await self._attach(begun, wanted.credentials)
        if not begun.is_block:
            await self._mount(begun)

    async def _undo(self, wanted: StageRequest, error: CsiError) -> None:
        """Leave nothing of a stage that is refused for good: nobody unstages what was never staged.

        Raises:
            Aborted: something is left for now; a repeat, or unstage, deals with it.
        """
        try:
            if await self._records.load(wanted.volume_id) is not None:
                await self.unstage(wanted.volume_id, wanted.staging_path)
        except CsiError as left:
            raise Aborted(f"{error}; what was begun cannot be undone yet: {left}; repeat the call") from error

    async def unstage(self, volume_id: str, staging_path: str) -> None:
        """Take the volume off this node; what is not staged there is fine.

        Raises:
            FailedPrecondition: it is still published here, or the path is not ours to unmount.
            Aborted: it is in use, and still staged.
        """
        record = await self._records.load(volume_id)
        if record is None:
            await leave_foreign_mount(self._host, self._records, volume_id, staging_path)
            return
        if record.staging_path != staging_path:
            log.warning("volume %s is staged at %s, not at %s", volume_id, record.staging_path, staging_path)
            return
        await self._refuse_if_published(record)
        if record.source:
            await mounts.take_off(self._host.mounter, staging_path, record.source)
        await self._remove_dead_targets(record)
        await self._detach(record)
        if record.made_directory:
            await remove_unless_taken(self._host, self._records, volume_id, staging_path)
        await self._records.forget(volume_id)

    async def restore(self, record: Staged) -> None:
        """Mount an NFS volume anew whose export the server forgot and offers again."""
        await mounts.take_off(self._host.mounter, record.staging_path, record.source)
        await self._mount(record)

    async def _require_published(self, volume_id: str) -> None:
        """The NAS is the judge of whether the volume may be here: else two nodes could write to it."""
        presence = await self._volumes.presence(volume_id)
        if presence is Presence.ABSENT:
            raise NotFound(f"volume {volume_id} does not exist")
        if presence is not Presence.PUBLISHED:
            raise FailedPrecondition(f"volume {volume_id} is {presence}; call ControllerPublishVolume for it first")

    async def _confirm_published(self, volume_id: str) -> None:
        """For what is staged already: a NAS that does not answer takes nothing away."""
        try:
            with deadline.within(_ASK_S):
                await self._require_published(volume_id)
        except NasIndeterminate as error:
            log.warning("volume %s is staged; whether it is still published is unknown: %s", volume_id, error)

    async def _begin(self, record: Staged | None, wanted: StageRequest) -> Staged:
        """Write down what is about to happen."""
        mounter = self._host.mounter
        source = source_of(wanted.attachment)
        if record is not None and record.attachment == wanted.attachment:
            source = record.source
        begun = Staged(
            wanted.volume_id,
            wanted.staging_path,
            wanted.capability,
            wanted.attachment,
            source,
            readonly=wanted.readonly,
        )
        begun = replace(begun, growing=wanted.attachment.protocol.is_block and not begun.is_block)
        if record is not None:
            same_path = record.staging_path == wanted.staging_path
            begun = replace(begun, published=record.published, made_directory=record.made_directory and same_path)
        if not begun.is_block:
            if begun.source:  # else it is checked when the device is known
                await mounts.own_mount(mounter, begun.staging_path, begun.source)
            if not begun.made_directory:
                with system_call("look at", begun.staging_path):
                    begun = replace(begun, made_directory=not await mounter.exists(begun.staging_path))
        if begun != record:
            await self._records.save(begun)
        return begun

    async def _attach(self, record: Staged, credentials: Mapping[str, str]) -> Staged:
        """Log in and wait for the device; its path goes into the record before anything is mounted."""
        attachment = record.attachment
        with system_call(f"log in over {attachment.protocol} for", f"volume {record.volume_id}"):
            device = await self._host.devices.connect(attachment.protocol, {**attachment.attributes, **credentials})
        if record.source != device:
            record = replace(record, source=device)
            await self._records.save(record)
        await self._wait_for(device)
        return record

    async def _wait_for(self, device: str) -> None:
        await wait_for_device(self._host.devices, device, self._config.device_timeout_s)

    async def _mount(self, record: Staged) -> None:
        """Mount at the staging path, with a file system where the device is blank."""
        mounter, path = self._host.mounter, record.staging_path
        fs_type, had_data = "nfs", False
        if record.attachment.protocol.is_block:
            fs_type, had_data = await ensure_fs(
                self._host.devices, record.source, record.capability.fs_type, writable=not record.readonly
            )
        options = _options(record, fs_type)
        if await mounts.own_mount(mounter, path, record.source) is None:
            with system_call("create", path):
                await mounter.make_dir(path)
            with system_call(f"mount {record.source} on", path):
                await mounter.mount(record.source, path, fs_type, options)
        if record.growing:
            await self._grow(record, needed=had_data and "ro" not in options)

    async def _grow(self, record: Staged, *, needed: bool = True) -> None:
        """Let the file system cover its device: that of a clone or restored snapshot may be larger than its source's.

        What is mounted already does not tell whether this was done, so the record does.
        """
        if needed and not record.read_only:
            with system_call("grow the file system on", record.staging_path):
                await self._host.mounter.resize_fs(record.staging_path)
        await self._records.save(replace(record, growing=False))

    async def _detach(self, record: Staged) -> None:
        attachment, devices = record.attachment, self._host.devices
        if not attachment.protocol.is_block:
            return
        doing, what = f"log out over {attachment.protocol} of", record.source or f"volume {record.volume_id}"
        await unless_busy(lambda: devices.disconnect(attachment.protocol, attachment.attributes), doing, what)
        if record.source:
            await wait_until_gone(devices, record.source, self._config.device_timeout_s)

    async def _replace(self, record: Staged, wanted: StageRequest) -> None:
        """Make room for another way of staging, where nothing of the old one is left in use."""
        if await self._is_staged(record) or await self._live_targets(record):
            raise AlreadyExists(
                f"volume {record.volume_id} is staged at {record.staging_path} as {record.capability}, which differs"
                " from this request; unstage it first"
            )
        if record.attachment != wanted.attachment:
            await self._detach(record)
        if record.made_directory and record.staging_path != wanted.staging_path:
            await mounts.remove(self._host.mounter, record.staging_path)

    async def _is_staged(self, record: Staged) -> bool:
        if not record.is_block:
            return await mounts.shows(self._host.mounter, record.staging_path, record.source)
        return await self._has_device(record)

    async def _is_broken(self, record: Staged) -> bool:
        """Whether the mount at the staging path leads nowhere: its export or its device is gone."""
        if record.attachment.protocol.is_block:
            return not await self._has_device(record)
        return await mounts.is_stale(self._host.mounter, record, record.staging_path)

    async def _has_device(self, record: Staged) -> bool:
        if not record.source:
            return False
        with system_call("look for device", record.source):
            return await self._host.devices.present(record.source)

    async def _live_targets(self, record: Staged) -> list[str]:
        targets = [each.target_path for each in record.published]
        return [path for path in targets if await mounts.shows(self._host.mounter, path, record.source)]

    async def _refuse_if_published(self, record: Staged) -> None:
        """The mount table decides: also a bind mount that no record tells of keeps the volume here."""
        if not record.source:
            return
        mounter = self._host.mounter
        own = {each.path for each in await mounts.stack_at(mounter, record.staging_path)}
        with system_call("look for mounts of", record.source):
            showing = await mounter.mounts_of(record.source)
        elsewhere = sorted({each.path for each in showing} - own)
        live = await self._live_targets(record) or elsewhere
        if live:
            raise FailedPrecondition(
                f"volume {record.volume_id} is still published at {', '.join(live)}; unpublish it there first"
            )

    async def _remove_dead_targets(self, record: Staged) -> None:
        """Targets that a reboot unmounted and nobody unpublished."""
        for each in record.published:
            try:
                await mounts.remove(self._host.mounter, each.target_path)
            except FailedPrecondition as error:
                log.warning("volume %s: target path left behind: %s", record.volume_id, error)


async def remove_unless_taken(host: NodeHost, records: StageRecords, volume_id: str, path: str) -> None:
    """Remove a path that the volume was unmounted from, unless it has become another volume's."""
    if not await mounts.stack_at(host.mounter, path):
        await mounts.remove(host.mounter, path)
    else:
        await leave_foreign_mount(host, records, volume_id, path)


async def leave_foreign_mount(host: NodeHost, records: StageRecords, volume_id: str, path: str) -> None:
    """The volume is not at this path; what is mounted there belongs to somebody else.

    Raises:
        FailedPrecondition: no record tells whose mount it is, so "not there" would be a guess.
    """
    stack = await mounts.stack_at(host.mounter, path)
    if not stack:
        return
    inventory = await records.all()
    for record in inventory.records:
        if record.volume_id != volume_id and (path == record.staging_path or record.at(path)):
            return
    unread = f" that can be read ({', '.join(inventory.damaged)} cannot)" if inventory.damaged else ""
    raise FailedPrecondition(
        f"{path}: {stack[-1].source} is mounted there, which no record{unread} tells of; unmount it by hand"
    )


def _same(record: Staged, wanted: StageRequest) -> bool:
    return (record.staging_path, record.capability, record.attachment, record.readonly) == (
        wanted.staging_path,
        wanted.capability,
        wanted.attachment,
        wanted.readonly,
    )


def _options(record: Staged, fs_type: str) -> tuple[str, ...]:
    """Mount options at the staging path."""
    capability = record.capability
    options = [flag for flag in capability.mount_flags if not (record.read_only and flag == "rw")]
    if record.read_only and "ro" not in options:
        options.append("ro")
    if fs_type == "xfs" and "nouuid" not in options:
        options.append("nouuid")  # a clone has its source's UUID, and both may be on this node
    if capability.mount_group:
        options.append(f"gid={capability.mount_group}")
    return tuple(options)
