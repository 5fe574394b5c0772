"""Subscriptions and the notifications sent to them."""

import errno
from collections.abc import Callable
from typing import Any

from fake_truenas.errors import ApiError, CallError
from fake_truenas.session import Session

MAX_SUBSCRIPTIONS = 1000
"""Per connection; a limit of this server, because every event goes through them."""


class Events:
    """Who listens to which collection. Notifications may arrive before the reply of the call that caused them."""

    def __init__(self) -> None:
        self._listeners: dict[str, dict[str, Session]] = {}

    def wanted(self, collection: str) -> bool:
        """Whether anybody listens: an event for nobody need not be built."""
        return collection in self._listeners or "*" in self._listeners

    def subscribe(self, session: Session, subscription_id: str, collection: str) -> None:
        """Add a subscription; one for a connection that is gone would never end, so it is not kept.

        Raises:
            CallError: EBUSY, the connection has a great many already.
        """
        if session.connection is None:
            return
        if len(session.subscriptions) >= MAX_SUBSCRIPTIONS:
            raise CallError(f"This connection has {MAX_SUBSCRIPTIONS} subscriptions: end some first", errno.EBUSY)
        session.subscriptions[subscription_id] = collection
        self._listeners.setdefault(collection, {})[subscription_id] = session

    def unsubscribe(self, session: Session, subscription_id: str) -> None:
        """End a subscription; an unknown id is no error, as on the real server."""
        collection = session.subscriptions.pop(subscription_id, None)
        if collection is None:
            return
        listeners = self._listeners[collection]
        del listeners[subscription_id]
        if not listeners:
            del self._listeners[collection]

    def drop(self, session: Session) -> None:
        """End all subscriptions of a session."""
        for subscription_id in list(session.subscriptions):
            self.unsubscribe(session, subscription_id)

    def end(self, collection: str, error: ApiError | None = None) -> None:
        """The source of a collection has died: end its subscriptions, and tell each listener once why (None: no error).

        For faults: the fake's own sources live as long as the server.
        """
        listeners = dict(self._listeners.get(collection, {}))
        data = None if error is None else error.data()
        params = {"collection": collection, "error": None if data is None else {**data, "trace": None}}
        told: dict[str, None] = {}
        for subscription_id, session in listeners.items():
            self.unsubscribe(session, subscription_id)
            if session.connection is not None and session.id not in told:
                told[session.id] = None
                session.connection.notify("notify_unsubscribed", params)

    def send(
        self,
        collection: str,
        msg: str,
        key: Any,
        fields: Any = None,
        extra: Any = None,
        *,
        may_see: Callable[[Session], bool] | None = None,
    ) -> None:
        """Notify every listener once, if it may see this."""
        sessions = {
            session.id: session
            for name in (collection, "*")
            for session in self._listeners.get(name, {}).values()
            if session.connection is not None and (may_see is None or may_see(session))
        }
        if not sessions:
            return
        params = {"msg": msg, "collection": collection, "id": key}
        if fields is not None:
            params["fields"] = fields
        if extra is not None:
            params["extra"] = extra
        for session in sessions.values():
            if session.connection is not None:
                session.connection.notify("collection_update", params)
