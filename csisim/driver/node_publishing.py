"""NodePublishVolume and NodeUnpublishVolume: make a staged volume appear at a workload's path, and take it away.

Needs this host alone: a NAS that is down stops neither.
"""

from csisim.driver import node_mounts as mounts
from csisim.driver.node_errors import system_call
from csisim.driver.node_requests import PublishRequest
from csisim.driver.node_staging import Presence, Staging, VolumeLookup, leave_foreign_mount, remove_unless_taken
from csisim.driver.node_state import Published, Staged, StageRecords
from csisim.driver.requests import MULTI_NODE_MODES
from csisim.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NasIndeterminate, NotFound, Unavailable
from csisim.host import MountPoint, NodeHost
from csisim.pb import csi_pb2 as pb

_SHAREABLE_MODES = MULTI_NODE_MODES | {pb.VolumeCapability.AccessMode.SINGLE_NODE_MULTI_WRITER}


class Publishing:
    """Publish and unpublish on one host. Callers hold the volume's lock and the target path's."""

    def __init__(self, host: NodeHost, records: StageRecords, volumes: VolumeLookup, staging: Staging) -> None:
        self._host = host
        self._staging = staging
        self._records = records
        self._volumes = volumes

    async def publish(self, request: PublishRequest) -> None:
        """Bind the staged volume to a target path.

        Raises:
            NotFound: no such volume.
            FailedPrecondition: not staged at that path, the capability goes beyond what is staged, or the access mode
                allows no second target.
            AlreadyExists: published at this target with other arguments.
        """
        record = await self._staged(request)
        wanted = request.wanted
        _check_fits(record, request)
        await self._check_sharing(record, wanted)
        before = record.at(wanted.target_path)
        top = await mounts.own_mount(self._host.mounter, wanted.target_path, record.source)
        if top is not None:
            await self._check_repeat(record, wanted, top)
        if before != wanted:
            await self._records.save(record.with_published(wanted))
        if top is None:
            await self._bind(record, wanted)
        if await mounts.is_stale(self._host.mounter, record, wanted.target_path):
            await mounts.take_off(self._host.mounter, wanted.target_path, record.source)
            if await mounts.is_stale(self._host.mounter, record, record.staging_path):
                await self._staging.restore(record)
            await self._bind(record, wanted)

    async def unpublish(self, volume_id: str, target_path: str) -> None:
        """Take the volume off a target path and remove that; what is not published there is fine.

        Raises:
            FailedPrecondition: files are in the unmounted path, or somebody else's mount is on it; nothing was deleted.
            Aborted: it is in use, and still published.
        """
        record = await self._records.load(volume_id)
        if record is None:
            await leave_foreign_mount(self._host, self._records, volume_id, target_path)
            return
        if record.at(target_path) is None:
            # A record may have been lost and made anew by staging again; the mount table still tells whose it is.
            stack = await mounts.stack_at(self._host.mounter, target_path)
            if not stack or stack[-1].source != record.source:
                await leave_foreign_mount(self._host, self._records, volume_id, target_path)
                return
            if await self._is_staging(record, stack[-1]):
                raise FailedPrecondition(
                    f"{target_path} is where volume {volume_id} is staged, not published; unstage it there"
                )
        await mounts.take_off(self._host.mounter, target_path, record.source)
        await remove_unless_taken(self._host, self._records, volume_id, target_path)
        await self._records.save(record.without(target_path))

    async def _staged(self, request: PublishRequest) -> Staged:
        """The record of a volume that is really there."""
        volume_id = request.volume_id
        if not request.staging_path:
            raise FailedPrecondition("staging_target_path: required, because volumes of this driver are staged first")
        record = await self._records.load(volume_id)
        if record is None:
            try:
                presence = await self._volumes.presence(volume_id)
            except NasIndeterminate:
                presence = Presence.PUBLISHED
            if presence is Presence.ABSENT:
                raise NotFound(f"volume {volume_id} does not exist")
            raise FailedPrecondition(f"volume {volume_id} is not staged on this node; stage it first")
        if record.staging_path != request.staging_path:
            raise FailedPrecondition(
                f"volume {volume_id} is staged at {record.staging_path}, not at {request.staging_path}"
            )
        if record.attachment.protocol.is_block:
            with system_call("look for device", record.source):
                there = bool(record.source) and await self._host.devices.present(record.source)
            if not there:
                raise FailedPrecondition(f"the device of volume {volume_id} is not attached any more; stage it again")
        if not record.is_block and not await mounts.shows(self._host.mounter, record.staging_path, record.source):
            raise FailedPrecondition(f"volume {volume_id} is not mounted at {record.staging_path}; stage it again")
        return record

    async def _check_repeat(self, record: Staged, wanted: Published, top: MountPoint) -> None:
        """What is mounted at the target already must be what is asked for."""
        before = record.at(wanted.target_path)
        if before is None and await self._is_staging(record, top):
            raise InvalidArgument(f"target_path: {wanted.target_path} leads to the staging path {record.staging_path}")
        if before not in (None, wanted) or top.readonly != wanted.read_only:
            raise AlreadyExists(
                f"volume {record.volume_id} is published at {wanted.target_path} with other arguments, "
                f"{'read-only' if top.readonly else 'read-write'}; unpublish it first"
            )

    async def _is_staging(self, record: Staged, mount: MountPoint) -> bool:
        """Whether this is the mount at the staging path, reached by whichever name."""
        staged = await mounts.stack_at(self._host.mounter, record.staging_path)
        return any(each.path == mount.path for each in staged)

    async def _check_sharing(self, record: Staged, wanted: Published) -> None:
        """Whether the access modes allow one more target on this node."""
        for other in record.published:
            if other.target_path == wanted.target_path:
                continue
            if {other.capability.mode, wanted.capability.mode} <= _SHAREABLE_MODES:
                continue
            if await mounts.shows(self._host.mounter, other.target_path, record.source):
                raise FailedPrecondition(
                    f"volume {record.volume_id} is published at {other.target_path} as {other.capability}; no second"
                    f" target can be added as {wanted.capability}"
                )

    async def _bind(self, record: Staged, wanted: Published) -> None:
        mounter, target = self._host.mounter, wanted.target_path
        source = record.source if record.is_block else record.staging_path
        with system_call("create", target):
            await (mounter.make_file(target) if record.is_block else mounter.make_dir(target))
        flags = tuple(flag for flag in wanted.capability.mount_flags if flag not in ("ro", "rw"))
        with system_call("publish at", target):
            await mounter.bind(source, target, ("ro" if wanted.read_only else "rw", *flags))
        if await mounts.own_mount(mounter, target, record.source) is None:
            raise Unavailable(f"{target}: the mount was taken off again at once; repeat the call")


def _check_fits(record: Staged, request: PublishRequest) -> None:
    """A volume is published as what it was staged as, and with no more rights."""
    wanted = request.wanted
    staged, asked = record.capability, wanted.capability
    if staged.access_type is not asked.access_type:
        raise FailedPrecondition(f"volume {record.volume_id} is staged as {staged}; it cannot be published as {asked}")
    if asked.fs_type and staged.fs_type and asked.fs_type != staged.fs_type:
        raise FailedPrecondition(
            f"volume {record.volume_id} is staged with {staged.fs_type}; it cannot be published with {asked.fs_type}"
        )
    if (record.read_only or request.attached_readonly) and not wanted.read_only:
        how = "staged" if record.read_only else "published to this node"
        raise FailedPrecondition(f"volume {record.volume_id} is {how} read-only; publish it read-only")
