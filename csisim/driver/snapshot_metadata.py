"""SnapshotMetadata service: allocated and changed blocks of zvol snapshots, streamed (CSI 1.13, alpha)."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing

from csisim.driver import requests
from csisim.driver.grpc_types import Context
from csisim.driver.requests import require
from csisim.driver.snapshots import Snapshots
from csisim.driver.volume_id import SnapshotId, parse_snapshot_id
from csisim.driver.volumes import Volumes
from csisim.errors import FailedPrecondition, InvalidArgument, NasRefused, NotFound, OutOfRange
from csisim.pb import csi_pb2 as pb
from csisim.pb import csi_pb2_grpc
from csisim.truenas.storage import BlockRuns, is_missing

_DEFAULT_RESULTS = 256
_MOST_RESULTS = 4096
_METHOD_NOT_FOUND = -32601

Fetch = Callable[[int, int], Awaitable[BlockRuns]]


class SnapshotMetadataService(csi_pb2_grpc.SnapshotMetadataServicer):
    """Both streams. A failure in the middle ends the stream with an error, never cleanly."""

    def __init__(self, volumes: Volumes) -> None:
        self._volumes = volumes
        self._storage = volumes.storage
        self._snapshots = Snapshots(volumes)

    async def GetMetadataAllocated(
        self, request: pb.GetMetadataAllocatedRequest, context: Context
    ) -> AsyncIterator[pb.GetMetadataAllocatedResponse]:
        """The runs of bytes that the snapshot holds."""
        requests.secrets(request.secrets)
        snapshot = await self._find(request.snapshot_id, "snapshot_id")

        async def fetch(offset: int, limit: int) -> BlockRuns:
            return await self._storage.allocated(self._volumes.dataset_id(str(snapshot)), offset, limit)

        async with aclosing(_pages(fetch, request.starting_offset, request.max_results)) as pages:
            async for page in pages:
                yield pb.GetMetadataAllocatedResponse(
                    block_metadata_type=pb.VARIABLE_LENGTH,
                    volume_capacity_bytes=page.volsize_bytes,
                    block_metadata=_tuples(page),
                )

    async def GetMetadataDelta(
        self, request: pb.GetMetadataDeltaRequest, context: Context
    ) -> AsyncIterator[pb.GetMetadataDeltaResponse]:
        """The runs of bytes that differ between two snapshots of one volume."""
        requests.secrets(request.secrets)
        target_given = require(request.target_snapshot_id, "target_snapshot_id")
        base = await self._find(request.base_snapshot_id, "base_snapshot_id")
        target = await self._find(target_given, "target_snapshot_id")
        if base.volume != target.volume:
            raise InvalidArgument(f"base_snapshot_id {base} and target_snapshot_id {target} are of different volumes")

        async def fetch(offset: int, limit: int) -> BlockRuns:
            base_id, target_id = (self._volumes.dataset_id(str(each)) for each in (base, target))
            return await self._storage.changed(base_id, target_id, offset, limit)

        async with aclosing(_pages(fetch, request.starting_offset, request.max_results)) as pages:
            async for page in pages:
                yield pb.GetMetadataDeltaResponse(
                    block_metadata_type=pb.VARIABLE_LENGTH,
                    volume_capacity_bytes=page.volsize_bytes,
                    block_metadata=_tuples(page),
                )

    async def _find(self, given: str, field: str) -> SnapshotId:
        """A snapshot of a block volume; file systems have no blocks to tell of."""
        record = await self._snapshots.find(parse_snapshot_id(require(given, field)))
        if record is None:
            raise NotFound(f"{field}: snapshot {given!r} does not exist")
        volume = await self._volumes.find(record.id.volume)
        if volume is not None and not volume.protocol.is_block:
            raise InvalidArgument(
                f"{field}: {given!r} is a snapshot of an {volume.protocol} volume, not of a block one"
            )
        return record.id


async def _pages(fetch: Fetch, starting_offset: int, max_results: int) -> AsyncGenerator[BlockRuns, None]:
    """Fetch page after page; at least one is given, so that the caller learns the capacity."""
    if max_results < 0:
        raise InvalidArgument(f"max_results: {max_results} is negative")
    if starting_offset < 0:
        raise OutOfRange(f"starting_offset: {starting_offset} is negative")
    limit = min(max_results or _DEFAULT_RESULTS, _MOST_RESULTS)
    offset: int | None = starting_offset
    first = True
    while offset is not None:
        try:
            page = await fetch(offset, limit)
        except NasRefused as error:
            if error.code == _METHOD_NOT_FOUND:
                raise FailedPrecondition("this NAS does not track blocks") from error
            if is_missing(error):
                raise NotFound(f"the snapshot was deleted meanwhile: {error.reason.strip()}") from error
            raise
        if first and starting_offset > 0 and starting_offset >= page.volsize_bytes:
            raise OutOfRange(f"starting_offset: {starting_offset} is past the end at {page.volsize_bytes}")
        if first or page.runs:
            yield page
        first = False
        offset = page.next_offset


def _tuples(page: BlockRuns) -> list[pb.BlockMetadata]:
    return [pb.BlockMetadata(byte_offset=offset, size_bytes=length) for offset, length in page.runs]
