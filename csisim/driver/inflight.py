"""One operation per volume at a time: the key space, the locks, and what outlives a call that was cut short.

Keys are built from dataset components, so a name and the id made from it are one key. A busy key answers ABORTED, as
the spec allows, so holding several keys cannot deadlock; only `queue` waits, and its holders take no more keys inside.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from csisim import deadline
from csisim.errors import Aborted
from csisim.truenas.client import unsettled

# How long a new operation waits for the outcome of a NAS call that its predecessor gave up on.
_SETTLE_S = 5.0
_EXCLUSIVE = -1


def volume_key(component: str) -> str:
    """The key of a volume, by the component its name or id stands for."""
    return f"volume {component}"


def snapshot_key(component: str) -> str:
    """The key of a snapshot name: names are unique over all volumes. A group is the snapshot name of its members."""
    return f"snapshot {component}"


def attach_key(node_id: str) -> str:
    """The key under which the volumes of a node are counted."""
    return f"attachments of {node_id}"


class OperationLocks:
    """The operations in progress in this process."""

    def __init__(self) -> None:
        self._held: dict[str, int] = {}
        self._queues: dict[str, tuple[asyncio.Lock, int]] = {}
        self._settling: dict[str, set[asyncio.Future[None]]] = {}

    def held(self) -> tuple[str, ...]:
        """The keys that are held now, sorted."""
        return tuple(sorted({*self._held, *self._queues}))

    def settling(self) -> tuple[str, ...]:
        """The keys whose interrupted mutations may still take effect, sorted."""
        return tuple(sorted(self._settling))

    @asynccontextmanager
    async def hold(self, *keys: str, shared: Iterable[str] = ()) -> AsyncIterator[None]:
        """Hold all keys, or none: several are checked in one step, so there is no order to get wrong.

        Keys in `shared` may be held so by several at a time, while nobody holds them exclusively. Mutations that an
        earlier holder sent and did not see answered may still take effect; their end is awaited first, so what is read
        inside is not overtaken by them.

        Raises:
            Aborted: a key is held by another operation, or such a mutation is still out.
        """
        exclusive = sorted(set(keys))
        together = sorted(set(shared) - set(keys))
        for key in (*exclusive, *together):
            count = self._held.get(key, 0)
            if count == _EXCLUSIVE or (count and key in exclusive):
                raise Aborted(f"{key}: another operation is in progress; repeat later")
        for key in exclusive:
            self._held[key] = _EXCLUSIVE
        for key in together:
            self._held[key] = self._held.get(key, 0) + 1
        try:
            async with self._settled((*exclusive, *together)):
                yield
        finally:
            for key in exclusive:
                del self._held[key]
            for key in together:
                self._held[key] -= 1
                if not self._held[key]:
                    del self._held[key]

    @asynccontextmanager
    async def queue(self, key: str) -> AsyncIterator[None]:
        """Hold a key that is not a caller's to wait for: whoever comes second waits its turn.

        Raises:
            Aborted: a mutation of an earlier holder is still out.
        """
        lock, users = self._queues.get(key) or (asyncio.Lock(), 0)
        self._queues[key] = (lock, users + 1)
        try:
            async with lock, self._settled((key,)):
                yield
        finally:
            lock, users = self._queues.pop(key)
            if users > 1:
                self._queues[key] = (lock, users - 1)

    @asynccontextmanager
    async def _settled(self, keys: tuple[str, ...]) -> AsyncIterator[None]:
        """Wait for what earlier holders left behind; afterwards keep what this one leaves behind."""
        outer = unsettled.get()
        left_behind: list[asyncio.Future[None]] = []
        token = unsettled.set(left_behind)
        try:
            await self._settle(keys)
            yield
        finally:
            unsettled.reset(token)
            for future in left_behind:
                self._keep(keys, future)
            if outer is not None:
                outer.extend(left_behind)

    def _keep(self, keys: tuple[str, ...], future: asyncio.Future[None]) -> None:
        if future.done():
            return
        for key in keys:
            self._settling.setdefault(key, set()).add(future)

        def drop(done: asyncio.Future[None]) -> None:
            for key in keys:
                kept = self._settling.get(key)
                if kept is not None:
                    kept.discard(done)
                    if not kept:
                        del self._settling[key]

        future.add_done_callback(drop)

    async def _settle(self, keys: tuple[str, ...]) -> None:
        for key in keys:
            pending = self._settling.get(key)
            if pending:
                _, late = await asyncio.wait(tuple(pending), timeout=deadline.remaining_s(_SETTLE_S))
                if late:
                    raise Aborted(f"{key}: the outcome of an interrupted operation is not known yet; repeat later")
