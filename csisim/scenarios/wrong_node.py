"""Node services with wrong ideas of what is mounted; each change makes one of the shipped driver."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from csisim.cluster.parts import Parts
from csisim.driver import node_mounts as mounts
from csisim.driver.node import NodeService
from csisim.driver.node_publishing import Publishing
from csisim.driver.node_requests import PublishRequest
from csisim.driver.node_staging import Staging
from csisim.driver.node_state import Staged
from csisim.errors import FailedPrecondition


class _Node(NodeService):
    """Publishes in another way."""

    publishing_kind: type[Publishing] = Publishing

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        staging, records = self._staging, self._staging._records  # noqa: SLF001 - its own
        self._publishing = self.publishing_kind(staging._host, records, self._volumes, staging)  # noqa: SLF001


class _TrustingPublishing(Publishing):
    """Takes the caller's word for what is staged: what is at the staging path is bound, and comes off again."""

    async def publish(self, request: PublishRequest) -> None:
        target, staged = request.wanted.target_path, request.staging_path
        mounter = self._host.mounter
        if await mounts.stack_at(mounter, target):
            return
        record = await self._records.load(request.volume_id)
        if record is not None:
            await self._records.save(record.with_published(request.wanted))
        await mounter.make_dir(staged)
        await mounter.make_dir(target)
        await mounter.bind(staged, target, ("ro" if request.wanted.read_only else "rw",))

    async def unpublish(self, volume_id: str, target_path: str) -> None:
        for _ in await mounts.stack_at(self._host.mounter, target_path):
            await self._host.mounter.umount(target_path)
        await mounts.remove(self._host.mounter, target_path)
        record = await self._records.load(volume_id)
        if record is not None:
            await self._records.save(record.without(target_path))


class _TrustingNode(_Node):
    publishing_kind = _TrustingPublishing


def trusting(parts: Parts) -> Parts:
    """Publishes whatever is at the staging path."""
    return replace(parts, node=_TrustingNode)


class _UnlockedNode(NodeService):
    def _keys(self, volume_id: str, *paths: str) -> Iterable[str]:
        return ()


def without_lock(parts: Parts) -> Parts:
    """A node takes calls for one volume at the same time."""
    return replace(parts, node=_UnlockedNode)


class _NotesStaging(Staging):
    """Believes its own notes of what is published, and does not look at the mounts."""

    async def _refuse_if_published(self, record: Staged) -> None:
        if record.published:
            raise FailedPrecondition(
                f"volume {record.volume_id} is still published at {record.published[0].target_path}"
            )


class _FlagPublishing(Publishing):
    """Keeps one flag: with the first unpublish it is no more."""

    async def unpublish(self, volume_id: str, target_path: str) -> None:
        await super().unpublish(volume_id, target_path)
        record = await self._records.load(volume_id)
        if record is not None:
            await self._records.save(replace(record, published=()))


class _FlagNode(_Node):
    staging_kind = _NotesStaging
    publishing_kind = _FlagPublishing


def yes_or_no(parts: Parts) -> Parts:
    """A node knows of a volume whether it is published, and not how often."""
    return replace(parts, node=_FlagNode)


class _LaterPublishing(Publishing):
    """Notes a target once it is mounted, and takes off what it has noted."""

    async def publish(self, request: PublishRequest) -> None:
        record, wanted = await self._staged(request), request.wanted
        if await mounts.own_mount(self._host.mounter, wanted.target_path, record.source) is None:
            await self._bind(record, wanted)
        await self._records.save(record.with_published(wanted))

    async def unpublish(self, volume_id: str, target_path: str) -> None:
        record = await self._records.load(volume_id)
        if record is not None and record.at(target_path) is not None:
            await super().unpublish(volume_id, target_path)


class _LaterNode(_Node):
    staging_kind = _NotesStaging
    publishing_kind = _LaterPublishing


def noted_later(parts: Parts) -> Parts:
    """A node notes what it has published when that is over."""
    return replace(parts, node=_LaterNode)
