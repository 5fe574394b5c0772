"""NodeGetVolumeHealth and NodeGetStorageHealth (alpha, CSI 1.13): what this node sees of its volumes and servers."""

import asyncio
import errno
from dataclasses import dataclass

from csisim import deadline
from csisim.driver import node_mounts as mounts
from csisim.driver.node_errors import errno_name, system_call
from csisim.driver.node_state import Staged, StageRecords
from csisim.driver.parameters import Protocol
from csisim.errors import NotFound
from csisim.host import NodeHost
from csisim.pb import csi_pb2 as pb

_PROBE_S = 5.0
# What a server that cannot be reached shows up as; anything else is trouble of the one volume.
_UNREACHABLE = frozenset(
    {
        errno.ETIMEDOUT,
        errno.ECONNREFUSED,
        errno.ECONNRESET,
        errno.EHOSTUNREACH,
        errno.EHOSTDOWN,
        errno.ENETUNREACH,
        errno.ENOTCONN,
    }
)


@dataclass(frozen=True, slots=True)
class Trouble:
    """One reason why a volume is inaccessible from here.

    Attributes:
        reason: CamelCase word, unique per volume.
        message: for people.
        unreachable: it is the server's trouble, not the volume's.
    """

    reason: str
    message: str
    unreachable: bool = False


class Health:
    """Looks at what is staged on one host; takes no lock and changes nothing."""

    def __init__(self, host: NodeHost, records: StageRecords) -> None:
        self._host = host
        self._records = records

    async def volume(self, volume_id: str, publish_path: str, staging_path: str) -> pb.VolumeHealth:
        """The health of one volume; no entries where all is well. NotFound: it is not staged here, or not there."""
        record = await self._records.load(volume_id)
        if record is None:
            raise NotFound(f"volume {volume_id} is not on this node")
        if publish_path and record.at(publish_path) is None:
            raise NotFound(f"volume {volume_id} is not published at {publish_path}")
        if staging_path and staging_path != record.staging_path:
            raise NotFound(f"volume {volume_id} is not staged at {staging_path}")
        entry = pb.VolumeHealth.VolumeHealthEntry
        found = await self._look(record, publish_path)
        statuses = [entry(status=pb.INACCESSIBLE, reason=each.reason, message=each.message) for each in found]
        return pb.VolumeHealth(volume_id=volume_id, health_statuses=statuses)

    async def storage(self) -> list[pb.NodeGetStorageHealthResponse.StorageBackendHealth]:
        """One entry per protocol whose server some staged volume cannot reach, and one for records that are damaged."""
        unreachable: dict[Protocol, list[str]] = {}
        inventory = await self._records.all()
        for record in inventory.records:
            if any(each.unreachable for each in await self._look(record, "")):
                unreachable.setdefault(record.attachment.protocol, []).append(record.volume_id)
        entry = pb.NodeGetStorageHealthResponse.StorageBackendHealth
        found = [
            entry(
                status=pb.STORAGE_UNREACHABLE,
                reason=f"{protocol.upper()}Unreachable",
                message=f"{len(volumes)} staged {protocol} volumes get no answer, {volumes[0]} for one",
            )
            for protocol, volumes in sorted(unreachable.items())
        ]
        if inventory.damaged:
            message = f"{len(inventory.damaged)} records of staged volumes are damaged, {inventory.damaged[0]} for one"
            found.append(entry(status=pb.STORAGE_DEGRADED, reason="RecordDamaged", message=message))
        return found

    async def _look(self, record: Staged, publish_path: str) -> list[Trouble]:
        if record.attachment.protocol.is_block and not await self._present(record):
            return [Trouble("DeviceMissing", f"device {record.source or '(none)'} is not there")]
        found = []
        if not record.is_block:
            found += await self._at(record, record.staging_path)
        targets = [each for each in record.published if publish_path in ("", each.target_path)]
        for each in targets:
            top = await self._top(each.target_path)
            if top != record.source:
                shown = top or "nothing"
                found.append(Trouble("TargetNotMounted", f"{each.target_path} shows {shown}"))
        unique = {each.reason: each for each in found}
        return list(unique.values())

    async def _at(self, record: Staged, path: str) -> list[Trouble]:
        top = await self._top(path)
        if top != record.source:
            return [Trouble("StagingNotMounted", f"{path} shows {top or 'nothing'}")]
        try:
            async with asyncio.timeout(deadline.remaining_s(_PROBE_S)):
                await self._host.mounter.statfs(path)
        except OSError as error:  # TimeoutError is one, without an errno
            cut_off = error.errno is None or error.errno in _UNREACHABLE
            reason = "StaleMount" if error.errno == errno.ESTALE else "ServerUnreachable" if cut_off else "IoError"
            return [Trouble(reason, f"{path}: {errno_name(error)}", unreachable=cut_off)]
        return []

    async def _top(self, path: str) -> str:
        stack = await mounts.stack_at(self._host.mounter, path)
        return stack[-1].source if stack else ""

    async def _present(self, record: Staged) -> bool:
        with system_call("look for device", record.source):
            return bool(record.source) and await self._host.devices.present(record.source)
