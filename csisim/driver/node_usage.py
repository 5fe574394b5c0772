"""NodeGetVolumeStats and NodeExpandVolume: how full a volume is here, and how large."""

from collections.abc import Iterator
from contextlib import contextmanager

from csisim.driver import node_mounts as mounts
from csisim.driver.device_wait import unless_busy
from csisim.driver.node_errors import system_call
from csisim.driver.node_requests import VolumePath
from csisim.driver.node_state import Staged, StageRecords
from csisim.driver.requests import Capability, CapacityRange
from csisim.errors import FailedPrecondition, InvalidArgument, NotFound, OutOfRange, Unavailable
from csisim.host import NodeHost
from csisim.pb import csi_pb2 as pb

_Usage = pb.VolumeUsage


class Usage:
    """Sizes of what is on one host."""

    def __init__(self, host: NodeHost, records: StageRecords) -> None:
        self._host = host
        self._records = records

    async def stats(self, where: VolumePath) -> list[pb.VolumeUsage]:
        """Bytes and inodes of a file system, the capacity of a block device. NotFound: the volume is not there.

        Takes no lock: it reads only, and a server that does not answer must not keep the volume from being unpublished.
        """
        record = await self._locate(where)
        if record.is_block:
            with system_call("read the size of", record.source):
                total = await self._host.devices.size_bytes(record.source)
            return [_Usage(unit=_Usage.BYTES, total=total)]
        with system_call("read the usage of", where.path):
            found = await self._host.mounter.statfs(where.path)
        return [
            _Usage(unit=_Usage.BYTES, total=found.total_bytes, used=found.used_bytes, available=found.available_bytes),
            _Usage(
                unit=_Usage.INODES, total=found.total_inodes, used=found.used_inodes, available=found.available_inodes
            ),
        ]

    async def expand(self, where: VolumePath, wanted: CapacityRange, capability: Capability | None) -> int:
        """Let the volume's device and file system take up what the NAS gives; returns the capacity in bytes.

        Callers hold the volume's lock.

        Raises:
            NotFound: the volume is not at the path.
            InvalidArgument: the capability is not what it was staged with.
            OutOfRange: what is seen here is smaller than required, or larger than the limit; nothing was changed.
            FailedPrecondition: the file system cannot grow as it is mounted; nothing else, as callers do not repeat it.
            Aborted: another resize is running.
        """
        with _on_the_way():
            record = await self._locate(where)
        if capability is not None and capability.access_type is not record.capability.access_type:
            raise InvalidArgument(
                f"volume_capability: volume {record.volume_id} is staged as {record.capability}, not as {capability}"
            )
        if not record.attachment.protocol.is_block:
            # The quota is the NAS's; what the export shows is what there is.
            with _on_the_way(), system_call("read the usage of", where.path):
                total_bytes = (await self._host.mounter.statfs(where.path)).total_bytes
            _check_size(f"export {record.source}", total_bytes, wanted)
            return total_bytes
        with _on_the_way(), system_call("rescan", record.source):
            await self._host.devices.rescan(record.source)
            size_bytes = await self._host.devices.size_bytes(record.source)
        _check_size(f"device {record.source}", size_bytes, wanted)
        if not record.is_block:
            await self._grow(record, where.path)
        return size_bytes

    async def _grow(self, record: Staged, path: str) -> None:
        """At the staging path where it is mounted: a target may be read-only where that is not."""
        with _on_the_way():
            staged = await mounts.shows(self._host.mounter, record.staging_path, record.source)
        at = record.staging_path if staged else path

        async def grow() -> None:
            await self._host.mounter.resize_fs(at)

        # Busy is not "cannot grow while it is in use": the kernel says so while another resize is running.
        await unless_busy(grow, "grow the file system on", at)

    async def _locate(self, where: VolumePath) -> Staged:
        """The record of a volume that is at the path now."""
        record = await self._records.load(where.volume_id)
        if record is None:
            raise NotFound(f"volume {where.volume_id} is not on this node")
        if where.path == record.staging_path and record.is_block:
            with system_call("look for device", record.source):
                found = bool(record.source) and await self._host.devices.present(record.source)
        else:
            known = where.path == record.staging_path or record.at(where.path) is not None
            found = known and await mounts.shows(self._host.mounter, where.path, record.source)
        if not found:
            raise NotFound(f"volume {where.volume_id} is not at {where.path}")
        return record


@contextmanager
def _on_the_way() -> Iterator[None]:
    """What the operator has to clear away before a file system is even asked to grow does not mean that it cannot."""
    try:
        yield
    except FailedPrecondition as error:
        raise Unavailable(str(error)) from error


def _check_size(what: str, size_bytes: int, wanted: CapacityRange) -> None:
    if size_bytes < wanted.required_bytes:
        raise OutOfRange(
            f"{what} has {size_bytes} bytes, {wanted.required_bytes} are required; expand the volume first"
        )
    if not wanted.contains(size_bytes):
        raise OutOfRange(f"{what} has {size_bytes} bytes, more than the limit of {wanted.limit_bytes}")
