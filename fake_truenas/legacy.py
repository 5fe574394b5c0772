"""The protocol of `/websocket`: what all clients spoke before JSON-RPC, and the only one of 24.10.

| client | server |
|---|---|
| {msg: connect, version: "1", features: [...]} | {msg: connected, session}, or {msg: failed, version: "1"} |
| {msg: method, id, method, params} | {msg: result, id, result}, or with {error: {...}} in place of the result |
| {msg: sub, id, name} | {msg: ready, subs: [id]}; then {msg: added/changed/removed, collection, id, fields} |
| {msg: unsub, id} | {msg: nosub, id, collection} |
| {msg: ping, id} | {msg: pong, id} |

Before `connect` everything is answered `failed`. What is not JSON closes with 1007; JSON that the middleware cannot
use closes with 1011, as its handler fails on it. Jobs always answer with their id. Source: TrueNAS API 24.10.
"""

import asyncio
import errno
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from fake_truenas import extended_json
from fake_truenas.errors import (
    ENOTAUTHENTICATED,
    ApiError,
    CallError,
    MethodNotFound,
    TooManyCalls,
    ValidationErrors,
    errname,
)
from fake_truenas.framing import Answer, Goodbye, Request
from fake_truenas.roles import may_subscribe
from fake_truenas.session import Session

if TYPE_CHECKING:
    from fake_truenas.nas import Nas

VERSION: Final = "1"
_ENOMETHOD: Final = 201
_CLOSE_INVALID_TEXT: Final = 1007
_CLOSE_INTERNAL_ERROR: Final = 1011
_ADMISSION: Final = (
    (ENOTAUTHENTICATED, "Not authenticated"),
    (errno.EACCES, "Not authorized"),
    (errno.EBUSY, "Rate Limit Exceeded"),
)


class Legacy:
    """One connection's side of the protocol, a `Framing`: has it been greeted, and its own subscription ids."""

    def __init__(self, nas: "Nas", session: Session) -> None:
        self._nas = nas
        self._session = session
        self._greeted = False
        self._handlers: dict[str, Callable[[dict[str, Any]], Request | Answer | Goodbye]] = {
            "connect": self._connect,
            "method": self._method,
            "ping": self._ping,
            "sub": self._subscribe,
            "unsub": self._unsubscribe,
        }
        session.legacy_protocol = True
        session.private_methods = True  # nothing is hidden here

    def read(self, text: str) -> Request | Answer | Goodbye:
        """Read one text frame."""
        try:
            message = extended_json.loads(text)
        except ValueError as error:
            return Goodbye(_CLOSE_INVALID_TEXT, str(error))
        if type(message) is not dict:
            return Goodbye(_CLOSE_INTERNAL_ERROR, "the message is not an object")
        kind = message.get("msg")
        if kind is None:
            return _absent("msg")
        if not self._greeted and kind != "connect":
            return _say({"msg": "failed", "version": VERSION})
        handler = self._handlers.get(kind) if type(kind) is str else None
        return Answer(None) if handler is None else handler(message)

    def result(self, request: Request, result: Any) -> bytes:
        """`{msg: result, id, result}`."""
        return extended_json.dumps({"id": request.id, "msg": "result", "result": result})

    def refusal(self, request: Request, error: ApiError, *, py_exceptions: bool = False) -> bytes:
        """`{msg: result, id, error: {error, errname, type, reason, trace, extra}}`."""
        return _error_message(request.id, self._error(request.method, error, py_exceptions))

    def notification(self, method: str, params: dict[str, Any]) -> bytes:
        """An event, or `nosub` where the server ended a subscription."""
        if method != "notify_unsubscribed":
            return extended_json.dumps(params)
        ended = {"msg": "nosub", "collection": params["collection"]}
        if params.get("error") is not None:
            ended["error"] = {"type": None, **params["error"]}
        return extended_json.dumps(ended)

    def _connect(self, message: dict[str, Any]) -> Answer:
        if message.get("version") != VERSION:
            return _say({"msg": "failed", "version": VERSION})
        features = message.get("features")
        if isinstance(features, list) and "PY_EXCEPTIONS" in features:
            self._session.py_exceptions = True
        self._greeted = True
        return _say({"msg": "connected", "session": self._session.id})

    def _ping(self, message: dict[str, Any]) -> Answer:
        return _say({"msg": "pong"} | ({"id": message["id"]} if "id" in message else {}))

    def _method(self, message: dict[str, Any]) -> Request | Answer | Goodbye:
        method, params = message.get("method"), message.get("params") or []
        if "method" in message and type(method) is not str:
            return Goodbye(_CLOSE_INTERNAL_ERROR, "'method' is not a string")
        if type(method) is str and type(params) is list:
            return Request(method, params, message.get("id"), wants_reply="id" in message)
        if "id" not in message:
            return _absent("id")
        wrong = "`params` must be a list." if type(method) is str else "Message is malformed: 'method' is absent."
        return Answer(_error_message(message["id"], _plain_error(errno.EINVAL, wrong)))

    def _subscribe(self, message: dict[str, Any]) -> Answer | Goodbye:
        for member in ("name", "id"):
            if member not in message:
                return _absent(member)
        if type(message["name"]) is not str:
            return Goodbye(_CLOSE_INTERNAL_ERROR, "'name' is not a string")
        if not self._may_listen(message["name"]):
            return Answer(_error_message(message["id"], _plain_error(errno.EACCES, "Not authorized")))
        key = self._key(message["id"])
        self._nas.events.unsubscribe(self._session, key)  # a second one of the same id takes its place
        try:
            self._nas.events.subscribe(self._session, key, message["name"])
        except CallError as error:
            return Answer(_error_message(message["id"], self._error("core.subscribe", error, False)))
        return _say({"msg": "ready", "subs": [message["id"]]})

    def _unsubscribe(self, message: dict[str, Any]) -> Answer | Goodbye:
        if "id" not in message:
            return _absent("id")
        key = self._key(message["id"])
        collection = self._session.subscriptions.get(key)
        if collection is None:
            return Answer(None)
        self._nas.events.unsubscribe(self._session, key)
        return _say({"msg": "nosub", "id": message["id"], "collection": collection})

    def _may_listen(self, name: str) -> bool:
        credentials = self._session.credentials
        if credentials is None:
            return self._session.authenticated
        if not credentials.valid(asyncio.get_running_loop().time()):
            self._nas.log_out(self._session)
            return False
        return may_subscribe(credentials.roles, name)

    def _key(self, subscription_id: Any) -> str:
        """Clients number their subscriptions themselves; the NAS knows all clients' by one name each."""
        return f"{self._session.id}:{extended_json.dumps(subscription_id).decode()}"

    def _error(self, method: str, error: ApiError, py_exceptions: bool) -> dict[str, Any]:
        if isinstance(error, TooManyCalls):
            return _plain_error(errno.ETOOMANYREFS, f"{error.message}.")
        if isinstance(error, MethodNotFound):
            error = self._not_found(method)
        if isinstance(error, CallError) and self._is_bare(error):
            return _plain_error(error.errno, error.text)
        data = error.data(py_exceptions=py_exceptions)
        if data is None:
            return _plain_error(errno.EINVAL, error.message)
        if isinstance(error, ValidationErrors):
            return {**data, "error": errno.EAGAIN, "errname": errname(errno.EAGAIN), "type": "VALIDATION"}
        return {**data, "type": None}

    def _is_bare(self, error: CallError) -> bool:
        """24.10 refuses a call that may not begin with the text alone; later ones like any other call."""
        return not self._nas.persona.json_rpc and (error.errno, error.text) in _ADMISSION

    def _not_found(self, method: str) -> CallError:
        service, dot, name = method.rpartition(".")
        if not dot:
            return CallError("Invalid method name", errno.EBADMSG)
        if not any(known.rpartition(".")[0] == service for known in self._nas.registry.methods):
            return CallError(f"Service {service!r} not found", _ENOMETHOD)
        return CallError(f"Method {name!r} not found in {service!r}", _ENOMETHOD)


def _say(message: dict[str, Any]) -> Answer:
    return Answer(extended_json.dumps(message))


def _absent(member: str) -> Goodbye:
    return Goodbye(_CLOSE_INTERNAL_ERROR, f"{member!r}")


def _error_message(request_id: Any, error: dict[str, Any]) -> bytes:
    return extended_json.dumps({"msg": "result", "id": request_id, "error": error})


def _plain_error(number: int, reason: str) -> dict[str, Any]:
    """An error that no exception stands behind."""
    return {
        "error": number, "errname": errname(number), "type": None, "reason": reason, "trace": None, "extra": None,
    }  # fmt: skip
