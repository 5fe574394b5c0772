"""What a handler gets to work with: one `Ctx` per call."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from fake_truenas.store import Store

if TYPE_CHECKING:
    from fake_truenas.nas import Nas
    from fake_truenas.session import Session


class Ctx:
    """The surroundings of one call.

    Attributes:
        nas: the whole NAS: config, hooks, jobs.
        db: the store; changes belong to the call's transaction.
        session: who calls; None for calls made inside the process.
        request_id: the JSON-RPC id, or None.
    """

    __slots__ = ("_events", "db", "nas", "request_id", "session")

    def __init__(self, nas: "Nas", session: "Session | None" = None, request_id: Any = None) -> None:
        self.nas = nas
        self.db: Store = nas.db
        self.session = session
        self.request_id = request_id
        self._events: list[tuple[str, str, Any, Any, Any]] = []

    @property
    def rng(self) -> random.Random:
        """The NAS's source of chance: guids, serial numbers, uuids."""
        return self.nas.rng

    def now(self) -> float:
        """Seconds since the epoch by the NAS's clock."""
        return self.nas.clock()

    def emit(self, collection: str, msg: str, key: Any, fields: Any = None, extra: Any = None) -> None:
        """Announce a change ("added", "changed", "removed") to subscribers of, for example, `sharing.nfs.query`.

        Sent after the commit, dropped on a rollback. `fields` may be a function without arguments: called only if
        someone listens.
        """
        if self.nas.events.wanted(collection):
            self._events.append((collection, msg, key, fields() if callable(fields) else fields, extra))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """For async handlers: one transaction without an await in it; then the events leave."""
        with self.db.transaction():
            yield
        self.flush()

    def flush(self) -> None:
        """Send the collected events."""
        if self._events:
            events, self._events = self._events, []
            for event in events:
                self.nas.events.send(*event)

    def discard(self) -> None:
        """Forget the collected events after a rollback."""
        self._events.clear()
