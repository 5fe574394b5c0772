"""Subscriptions and the notifications sent to them."""

from typing import Any

from fake_truenas import jsonrpc
from fake_truenas.session import Session


class Events:
    """Who listens to which collection. Notifications may arrive before the reply of the call that caused them."""

    def __init__(self) -> None:
        self._listeners: dict[str, dict[str, Session]] = {}

    def wanted(self, collection: str) -> bool:
        """Whether anybody listens: an event for nobody need not be built."""
        return collection in self._listeners or "*" in self._listeners

    def subscribe(self, session: Session, subscription_id: str, collection: str) -> None:
        """Add a subscription; one for a connection that is gone would never end, so it is not kept."""
        if session.connection is None:
            return
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

    def send(self, collection: str, msg: str, key: Any, fields: Any = None, extra: Any = None) -> None:
        """Notify every listener once."""
        sessions = {
            session.id: session
            for name in (collection, "*")
            for session in self._listeners.get(name, {}).values()
            if session.connection is not None
        }
        if not sessions:
            return
        params = {"msg": msg, "collection": collection, "id": key}
        if fields is not None:
            params["fields"] = fields
        if extra is not None:
            params["extra"] = extra
        text = jsonrpc.notification("collection_update", params)
        for session in sessions.values():
            if session.connection is not None:
                session.connection.send_soon(text)
