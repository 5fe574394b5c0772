"""One operation per volume at a time: the key space, the locks, and what outlives a call that was cut short.

Keys are built from dataset components, so a name and the id made from it are one key. A busy key answers ABORTED, as
the spec allows; nothing ever waits for a lock while holding another.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from csisim import deadline
from csisim.errors import Aborted
from csisim.truenas.client import unsettled

# How long a new operation waits for the outcome of a NAS call that its predecessor gave up on.
_SETTLE_S = 5.0


def volume_key(component: str) -> str:
    """The key of a volume, by the component its name or id stands for."""
    return f"volume {component}"


def snapshot_key(component: str) -> str:
    """The key of a snapshot name: names are unique over all volumes."""
    return f"snapshot {component}"


def group_key(component: str) -> str:
    """The key of a group snapshot name."""
    return f"group {component}"


class OperationLocks:
    """The operations in progress in this process."""

    def __init__(self) -> None:
        self._held: set[str] = set()
        self._settling: dict[str, list[asyncio.Future[None]]] = {}

    def held(self) -> tuple[str, ...]:
        """The keys that are held now, sorted."""
        return tuple(sorted(self._held))

    @asynccontextmanager
    async def hold(self, *keys: str) -> AsyncIterator[None]:
        """Hold all keys, or none: several are checked in one step, so there is no order to get wrong.

        Mutations that an earlier holder sent and did not see answered may still take effect; their end is awaited
        first, so what is read inside is not overtaken by them.

        Raises:
            Aborted: a key is held by another operation, or such a mutation is still out.
        """
        wanted = tuple(sorted(set(keys)))
        for key in wanted:
            if key in self._held:
                raise Aborted(f"{key}: another operation is in progress; repeat later")
        self._held.update(wanted)
        left_behind: list[asyncio.Future[None]] = []
        token = unsettled.set(left_behind)
        try:
            await self._settle(wanted)
            yield
        finally:
            unsettled.reset(token)
            self._held.difference_update(wanted)
            if any(not each.done() for each in left_behind):
                for key in wanted:
                    self._settling.setdefault(key, []).extend(left_behind)

    async def _settle(self, keys: tuple[str, ...]) -> None:
        """Wait until no mutation of an earlier holder is out any more."""
        for key in keys:
            pending = [each for each in self._settling.get(key, ()) if not each.done()]
            if pending:
                _, late = await asyncio.wait(pending, timeout=deadline.remaining_s(_SETTLE_S))
                if late:
                    raise Aborted(f"{key}: the outcome of an interrupted operation is not known yet; repeat later")
            self._settling.pop(key, None)
