"""Bytes between hosts and the NAS, which on a real one do not go over its API's websocket."""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from typing import Any, Final
from weakref import WeakValueDictionary

Ask = Callable[..., Awaitable[Any]]
"""Asks the NAS: a method and its parameters. Raises NasRefused, or NasIndeterminate where it does not answer."""

_AT_ONCE_BYTES: Final = 64 << 10
_RUNS: Final = 100


class DataPath:
    """What all hosts of a cluster share on their way to the NAS.

    Args:
        ask: see `Ask`. `csisim.cluster.embedded_nas.NasProcess.ask` needs no connection, so faults of the driver's
            leave it alone; for a NAS elsewhere there is only the client.

    Attributes:
        ask: as given.
    """

    def __init__(self, ask: Ask) -> None:
        self.ask = ask
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def read(self, volume: str, offset: int, length: int) -> bytes:
        """Bytes of a dataset or zvol; what was never written is zeros. Raises as `Ask`."""
        if length <= _AT_ONCE_BYTES:
            return base64.b64decode(await self.ask("fake.block.read", volume, offset, length))
        found, end = bytearray(length), offset + length
        at: int | None = offset
        while at is not None and at < end:
            page = await self.ask("fake.block.allocated", volume, at, _RUNS)
            if end > page["volsize"]:
                await self.ask("fake.block.read", volume, end - 1, 1)  # which is refused, with the reason
            for first, size in page["runs"]:
                last = min(first + size, end)
                for start in range(max(first, offset), last, _AT_ONCE_BYTES):
                    piece = await self.read(volume, start, min(_AT_ONCE_BYTES, last - start))
                    found[start - offset : start - offset + len(piece)] = piece
            at = page["next_offset"]
        return bytes(found)

    async def write(self, volume: str, offset: int, content: bytes) -> None:
        """Replace bytes. Raises as `Ask`; after NasIndeterminate they may have been replaced."""
        await self.ask("fake.block.write", volume, offset, base64.b64encode(content).decode())

    async def discard(self, volume: str, size_bytes: int) -> None:
        """Make the first bytes of a zvol read as zeros. Raises as `Ask`."""
        await self.ask("fake.block.unmap", volume, 0, size_bytes)

    def exclusive(self, name: str) -> asyncio.Lock:
        """The lock of this name."""
        return self._locks.setdefault(name, asyncio.Lock())
