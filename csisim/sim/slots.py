"""Small files in an area of bytes: what stands for the inside of a file system, and for a database on a raw device.

A table of 240 slots of 4 KiB begins 64 KiB into the area. A file's place is the hash of its name; where that is taken
by another name, the next slots are tried, the first after the last. One slot, numbers big-endian:

    offset  0  8 bytes   "csislot1"
            8  2 bytes   length of the name in bytes; 0: removed, the search goes on behind it
           10  4 bytes   length of the content in bytes
           14  32 bytes  SHA-256 of the content
           46            the name (UTF-8), then the content, then zeros

Zeros end a search; a slot with anything else in it is somebody else's, and is left alone. A slot is written in one
piece, so a file has its old content or its new one.
"""

import errno
import hashlib
import struct
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, Protocol

from csisim.sim.backend import os_error

TABLE_OFFSET: Final = 64 << 10
SLOT_BYTES: Final = 4096
SLOTS: Final = 240
CONTENT_BYTES: Final = 3584
NAME_BYTES: Final = 466

_MAGIC: Final = b"csislot1"
_HEADER: Final = struct.Struct(">8sHI32s")


class Image(Protocol):
    """Bytes by offset."""

    async def read(self, offset: int, length: int) -> bytes:
        """A range; what was never written is zeros. EIO: it cannot be read, or is beyond the end."""

    async def write(self, offset: int, content: bytes) -> None:
        """Replace a range. EIO: it cannot be written, or is beyond the end."""

    def exclusive(self) -> AbstractAsyncContextManager[Any]:
        """Keeps others out who change the same image, from finding a slot until it is written."""


class SlotTable:
    """The files of one image.

    Args:
        image: where they are.
        name: of the image, for errors.
    """

    def __init__(self, image: Image, name: str) -> None:
        self._image = image
        self._name = name

    async def write(self, name: str, content: bytes) -> None:
        """Give a file new content. EFBIG: more than 3584 bytes. ENAMETOOLONG: 466. ENOSPC: the table is full."""
        if len(content) > CONTENT_BYTES:
            raise os_error(errno.EFBIG, f"{self._name}/{name}")
        if len(_encoded(name)) > NAME_BYTES:
            raise os_error(errno.ENAMETOOLONG, f"{self._name}/{name[:80]}")
        async with self._image.exclusive():
            offset, _ = await self._find(name)
            if offset < 0:
                raise os_error(errno.ENOSPC, f"{self._name}/{name}")
            await self._image.write(offset, _packed(name, content))

    async def read(self, name: str) -> bytes | None:
        """A file's content, None where there is no such file. EIO: it is damaged."""
        _, slot = await self._find(name)
        if not slot:
            return None
        content = _content(slot)
        if content is None:
            raise OSError(errno.EIO, "the file is damaged", f"{self._name}/{name}")
        return content

    async def remove(self, name: str) -> None:
        """Forget a file. ENOENT."""
        async with self._image.exclusive():
            offset, slot = await self._find(name)
            if not slot:
                raise os_error(errno.ENOENT, f"{self._name}/{name}")
            await self._image.write(offset, _packed("", b""))

    async def names(self) -> list[str]:
        """The names of all files, sorted."""
        whole = await self._image.read(TABLE_OFFSET, SLOTS * SLOT_BYTES)
        slots = (whole[start : start + SLOT_BYTES] for start in range(0, len(whole), SLOT_BYTES))
        return sorted(name for name in map(_name, slots) if name)

    async def _find(self, name: str) -> tuple[int, bytes]:
        """Offset and content of a file's slot; of a free one (-1: none is) and b"" where there is no such file."""
        free = -1
        for offset in _places(name):
            slot = await self._image.read(offset, SLOT_BYTES)
            found = _name(slot)
            if found == name:
                return offset, slot
            if free < 0 and (found == "" or not any(slot)):
                free = offset
            if not any(slot):
                break
        return free, b""


def _places(name: str) -> Iterator[int]:
    """Where a file's slot may be, the likeliest first. It reads nothing: an async generator left half-way is a task."""
    digest = hashlib.blake2b(_encoded(name), digest_size=4).digest()
    first = int.from_bytes(digest) % SLOTS
    for place in range(SLOTS):
        yield TABLE_OFFSET + (first + place) % SLOTS * SLOT_BYTES


def _encoded(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def _packed(name: str, content: bytes) -> bytes:
    encoded = _encoded(name)
    header = _HEADER.pack(_MAGIC, len(encoded), len(content), hashlib.sha256(content).digest())
    return (header + encoded + content).ljust(SLOT_BYTES, b"\0")


def _name(slot: bytes) -> str | None:
    """The file's name, "" for a removed one, None where the slot is not one of ours."""
    if not slot.startswith(_MAGIC):
        return None
    length = int(_HEADER.unpack_from(slot)[1])
    return slot[_HEADER.size : _HEADER.size + length].decode("utf-8", "surrogateescape")


def _content(slot: bytes) -> bytes | None:
    """The content, None where it is not what was written."""
    _, name_bytes, length, digest = _HEADER.unpack_from(slot)
    content = slot[_HEADER.size + name_bytes :][:length]
    return content if hashlib.sha256(content).digest() == digest else None
