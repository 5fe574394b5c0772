"""What a handler gets to work with: one `Ctx` per call."""

import asyncio
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from fake_truenas.redaction import hide_members
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

    __slots__ = ("_actions", "_events", "_rehearsal", "db", "nas", "request_id", "session")

    def __init__(
        self, nas: "Nas", session: "Session | None" = None, request_id: Any = None, *, rehearsal: bool = False
    ) -> None:
        self.nas = nas
        self._rehearsal = rehearsal
        self.db: Store = nas.db
        self.session = session
        self.request_id = request_id
        self._events: list[tuple[str, str, Any, Any, Any]] = []
        self._actions: list[Callable[[], None]] = []

    @property
    def rng(self) -> random.Random:
        """The NAS's source of chance: guids, serial numbers, uuids."""
        return self.nas.rng

    def now(self) -> float:
        """Seconds since the epoch by the NAS's clock."""
        return self.nas.clock()

    def emit(self, collection: str, msg: str, key: Any, fields: Any = None, extra: Any = None) -> None:
        """Announce a change ("added", "changed", "removed") to subscribers of, for example, `sharing.nfs.query`.

        Sent after the commit, dropped on a rollback, and without secrets. `fields` may be a function without
        arguments: called only if someone listens.
        """
        if self.nas.events.wanted(collection):
            shown = hide_members(fields() if callable(fields) else fields, self.nas.registry.secret_names)
            self._events.append((collection, msg, key, shown, extra))

    def after_commit(self, action: Callable[[], None]) -> None:
        """Have something outside of the store changed, such as sessions, once the transaction is committed.

        Done after the events are sent, dropped on a rollback.
        """
        self._actions.append(action)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """For async handlers: one transaction without an await in it; then the events leave."""
        if self.nas.crashed:
            raise asyncio.CancelledError("the NAS has crashed")
        try:
            with self.db.transaction():
                yield
        except BaseException:
            self.discard()
            raise
        self.flush()

    def keep(self) -> None:
        """In a plain handler: commit what has been changed so far, whatever becomes of the rest, and announce it.

        In a rehearsal nothing is kept.
        """
        if not self._rehearsal:
            self.db.commit()
            self.flush()

    def flush(self) -> None:
        """Send the collected events, and do what is to follow them."""
        if self._events:
            events, self._events = self._events, []
            for event in events:
                self.nas.events.send(*event)
        if self._actions:
            actions, self._actions = self._actions, []
            for action in actions:
                action()

    def discard(self) -> None:
        """Forget the collected events and actions after a rollback."""
        self._events.clear()
        self._actions.clear()
