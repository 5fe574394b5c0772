"""Large answers as JSON text in pieces, so that neither encoding nor sending one keeps the others waiting.

Entries become text as they are ready and are then forgotten. All answers that wait for their end or for their reader
together hold at most `MAX_HELD_BYTES`.
"""

import asyncio
import errno
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final
from weakref import WeakSet

import orjson

from fake_truenas import extended_json
from fake_truenas.errors import CallError
from fake_truenas.steps import AT_ONCE, CHUNK, Unfinished

MAX_HELD_BYTES = 1 << 30
MAX_ENTRIES = 100_000
"""How many entries a call inside of another, such as core.bulk, may have for its answer: they are kept as they are."""
_TURNS = 5
_FRAME_BYTES = 256 << 10

_HOLE: Final = b"\0"  # no JSON has one
_NESTED = "children"


class Pieces:
    """A result as JSON text, in pieces."""

    __slots__ = ("__weakref__", "_texts", "size_bytes")

    def __init__(self) -> None:
        self._texts: deque[bytes] = deque()
        self.size_bytes = 0

    def add(self, text: bytes) -> None:
        """Put a piece at the end."""
        self._texts.append(text)
        self.size_bytes += len(text)

    def put_into(self, encode: Callable[[Any], bytes]) -> None:
        """Become the whole message that `encode` makes of a result."""
        head, tail = encode(orjson.Fragment(_HOLE)).split(_HOLE)
        self._texts.appendleft(head)
        self._texts.append(tail)
        self.size_bytes += len(head) + len(tail)

    def take(self) -> bytes:
        """The next pieces, a quarter of a MiB or more where there is so much; they are forgotten."""
        taken: list[bytes] = []
        size = 0
        while self._texts and size < _FRAME_BYTES:
            taken.append(self._texts.popleft())
            size += len(taken[-1])
        self.size_bytes -= size
        return b"".join(taken)

    def whole(self) -> bytes:
        """All of it at once."""
        return b"".join(self._texts)

    def clear(self) -> None:
        """Forget it."""
        self._texts.clear()
        self.size_bytes = 0


class Answers:
    """The large answers of one NAS that are under way."""

    def __init__(self) -> None:
        self._held: WeakSet[Pieces] = WeakSet()

    async def encode(self, unfinished: Unfinished, is_wanted: Callable[[], bool]) -> Any:
        """Make the rest of an answer; `Pieces` if it is large, else the result itself.

        Args:
            unfinished: what there is so far.
            is_wanted: whether anybody still waits for it.

        Raises:
            ApiError: what the steps raise; E2BIG, it does not fit beside the others.
            CancelledError: nobody waits for it any more.
        """
        pieces = Pieces()
        self._held.add(pieces)
        part, steps = unfinished.part, unfinished.steps
        while True:
            await self._add(pieces, part, b"," if pieces.size_bytes else b"[")
            if not is_wanted():
                raise asyncio.CancelledError("nobody waits for this answer any more")
            try:
                part = next(steps)
            except StopIteration as end:
                rest = end.value
                break
        if isinstance(rest, list) and (pieces.size_bytes or sum(map(_weight, rest)) > CHUNK * AT_ONCE):
            await self._add(pieces, rest, b"," if pieces.size_bytes else b"[")
            pieces.add(b"]")
            return pieces
        if _weight(rest) > CHUNK:
            await self._add(pieces, [rest], b"")
            return pieces
        return rest

    async def _add(self, pieces: Pieces, part: list[Any], lead: bytes) -> None:
        """Add the text of a part, with a pause after each piece, and one where there is none."""
        for text in texts(part, lead):
            pieces.add(text)
            if sum(held.size_bytes for held in self._held) > MAX_HELD_BYTES:
                pieces.clear()
                raise CallError(
                    f"The answers under way hold more than {MAX_HELD_BYTES} bytes:"
                    " ask for a page (`limit`), or for less of each entry (`select`, `extra`)",
                    errno.E2BIG,
                )
            await _pause()
        if not part:
            await _pause()


async def gather(unfinished: Unfinished, most: int | None = None) -> Any:
    """Make the rest of an answer, with its pauses; gives the result as it is.

    Raises:
        ApiError: what the steps raise; E2BIG, a list of more than `most` entries.
    """
    part, steps, parts = unfinished.part, unfinished.steps, list[Any]()
    while True:
        parts += part
        if most is not None and len(parts) > most:
            raise CallError(f"More than {most} entries: ask for a page (`limit`)", errno.E2BIG)
        await _pause()
        try:
            part = next(steps)
        except StopIteration as end:
            return [*parts, *end.value] if parts else end.value


async def _pause() -> None:
    """Let the others on. A small call takes about five turns from its bytes to its answer."""
    for _ in range(_TURNS):
        await asyncio.sleep(0)


def texts(entries: list[Any], lead: bytes = b"") -> Iterator[bytes]:
    """The JSON of entries, separated by commas and with `lead` before the first, some hundred entries to a piece.

    Entries inside of entries (`children`) count, and large families are taken apart.
    """
    batch: list[Any] = []
    weight = 0
    for entry in entries:
        own = _weight(entry)
        if own <= CHUNK:
            batch.append(entry)
            weight += own
        if batch and (own > CHUNK or weight >= CHUNK):
            yield lead + extended_json.dumps(batch)[1:-1]
            lead, batch, weight = b",", [], 0
        if own > CHUNK:
            head, tail = extended_json.dumps({**entry, _NESTED: orjson.Fragment(_HOLE)}).split(_HOLE)
            yield lead + head
            yield from texts(entry[_NESTED], b"[")
            yield b"]" + tail
            lead = b","
    if batch:
        yield lead + extended_json.dumps(batch)[1:-1]


def _weight(entry: Any) -> int:
    """How many entries there are in this one, itself included."""
    nested = entry.get(_NESTED) if type(entry) is dict else None
    return 1 + sum(map(_weight, nested)) if type(nested) is list else 1
