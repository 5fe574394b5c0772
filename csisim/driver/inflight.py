"""One operation per volume at a time: the key space, the locks, and what outlives a call that was cut short.

Keys are built from dataset components, so a name and the id made from it are one key. A busy key answers ABORTED, as
the spec allows, so holding several keys cannot deadlock; only `queue` waits, and its holders take no more keys inside.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from contextvars import Token

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

    def hold(self, *keys: str, shared: Iterable[str] = ()) -> AbstractAsyncContextManager[None]:
        """Hold all keys, or none: several are checked in one step, so there is no order to get wrong.

        Keys in `shared` may be held so by several at a time, while nobody holds them exclusively. Mutations that an
        earlier holder sent and did not see answered may still take effect; their end is awaited first, so what is read
        inside is not overtaken by them.

        Raises:
            Aborted: a key is held by another operation, or such a mutation is still out.
        """
        return _Hold(self, sorted(set(keys)), sorted(set(shared) - set(keys)))

    @asynccontextmanager
    async def queue(self, key: str) -> AsyncIterator[None]:
        """Hold a key that is not a caller's to wait for: whoever comes second waits its turn.

        Raises:
            Aborted: a mutation of an earlier holder is still out.
        """
        lock, users = self._queues.get(key) or (asyncio.Lock(), 0)
        self._queues[key] = (lock, users + 1)
        try:
            async with lock, _Settled(self, (key,)):
                yield
        finally:
            lock, users = self._queues.pop(key)
            if users > 1:
                self._queues[key] = (lock, users - 1)

    def take(self, exclusive: Sequence[str], together: Sequence[str]) -> None:
        """Have the keys from now on, or none of them.

        Raises:
            Aborted: a key is held by another operation.
        """
        for key in (*exclusive, *together):
            count = self._held.get(key, 0)
            if count == _EXCLUSIVE or (count and key in exclusive):
                raise Aborted(f"{key}: another operation is in progress; repeat later")
        for key in exclusive:
            self._held[key] = _EXCLUSIVE
        for key in together:
            self._held[key] = self._held.get(key, 0) + 1

    def free(self, exclusive: Sequence[str], together: Sequence[str]) -> None:
        """Have them no more."""
        for key in exclusive:
            del self._held[key]
        for key in together:
            self._held[key] -= 1
            if not self._held[key]:
                del self._held[key]

    def keep(self, keys: tuple[str, ...], future: asyncio.Future[None]) -> None:
        """A mutation is out under these keys until the future is done."""
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

    async def settle(self, keys: tuple[str, ...]) -> None:
        """Wait for the mutations that are out under these keys.

        Raises:
            Aborted: one of them still is.
        """
        for key in keys:
            pending = self._settling.get(key)
            if pending:
                _, late = await asyncio.wait(tuple(pending), timeout=deadline.remaining_s(_SETTLE_S))
                if late:
                    raise Aborted(f"{key}: the outcome of an interrupted operation is not known yet; repeat later")


class _Settled:
    """Waits for what earlier holders of keys left behind; afterwards keeps what this one leaves behind.

    A class, as `_Hold`: one is entered for each call, and a generator would cost the loop several times as much.
    """

    __slots__ = ("_keys", "_left_behind", "_locks", "_outer", "_token")

    _token: Token[list[asyncio.Future[None]] | None]

    def __init__(self, locks: OperationLocks, keys: tuple[str, ...]) -> None:
        self._locks = locks
        self._keys = keys
        self._left_behind: list[asyncio.Future[None]] = []
        self._outer: list[asyncio.Future[None]] | None = None

    async def __aenter__(self) -> None:
        self._outer = unsettled.get()
        self._token = unsettled.set(self._left_behind)
        try:
            await self._locks.settle(self._keys)
        except BaseException:
            self._leave()
            raise

    async def __aexit__(self, *_error: object) -> None:
        self._leave()

    def _leave(self) -> None:
        unsettled.reset(self._token)
        for future in self._left_behind:
            self._locks.keep(self._keys, future)
        if self._outer is not None:
            self._outer.extend(self._left_behind)


class _Hold(_Settled):
    """See `OperationLocks.hold`."""

    __slots__ = ("_exclusive", "_together")

    def __init__(self, locks: OperationLocks, exclusive: Sequence[str], together: Sequence[str]) -> None:
        super().__init__(locks, (*exclusive, *together))
        self._exclusive = exclusive
        self._together = together

    async def __aenter__(self) -> None:
        self._locks.take(self._exclusive, self._together)
        await super().__aenter__()

    def _leave(self) -> None:
        try:
            super()._leave()
        finally:
            self._locks.free(self._exclusive, self._together)
