"""truenas_api_client (the vendor's Python client, and its `midclt`) as it is on the wire, for both of its protocols."""

import asyncio
import base64
import hashlib
import hmac
from collections.abc import Iterator
from typing import Any

import orjson
from websockets.asyncio.client import ClientConnection

from tests.fake_truenas.clients.wire import Id, Refused, Wire, never

CODES = {-32700, -32600, -32601, -32602, -32603, -32000, -32001}
"""Codes it knows; another one makes a failed call look like a success that gave nothing."""


class ClientError(Exception):
    """What a caller of the Python client catches.

    Attributes:
        kind: ValidationErrors or ClientException.
        errno: of a ClientException.
        errors: triples of ValidationErrors.
    """

    def __init__(self, kind: str, error: str, errno: int | None = None, errors: Any = None, trace: Any = None) -> None:
        super().__init__(error)
        self.kind = kind
        self.error = error
        self.errno = errno
        self.errors = errors
        self.trace = trace


def as_client_error(refused: Refused) -> ClientError:
    """Turn an error reply into its exception, asking for the keys that it takes without asking.

    Raises:
        KeyError: a key is missing; the real client would hand out None as if the call had succeeded.
        ValueError: an unknown code, with the same effect.
    """
    if refused.code not in CODES:
        raise ValueError(refused.code)
    if refused.code == -32602:
        triples = [(item[0], item[1], item[2]) for item in refused.data["extra"]]
        return ClientError("ValidationErrors", "", errors=triples)
    if refused.code == -32001:
        data = refused.data
        trace = data["trace"]
        if trace is not None:
            assert isinstance(trace["formatted"], str), "midclt prints it"
        assert data["extra"] is None or isinstance(data["extra"], list)
        return ClientError("ClientException", data["reason"], data["error"], data["extra"], trace)
    return ClientError("ClientException", refused.message)


class Scram:
    """The client's half of SCRAM-SHA-512 with a key, without channel binding."""

    def __init__(self, username: str, key: str, nonce: bytes) -> None:
        key_id, self._material = key.split("-", 1)
        self._nonce = nonce
        self._bare = f"n={username}:{key_id},r={base64.b64encode(nonce).decode()}"
        self._signature = b""

    def first(self) -> dict[str, str]:
        """Parameters of the first call."""
        return {"mechanism": "SCRAM", "scram_type": "CLIENT_FIRST_MESSAGE", "rfc_str": f"n,,{self._bare}"}

    def final(self, answer: dict[str, Any]) -> dict[str, str]:
        """Parameters of the second call, with the proof."""
        assert (answer["response_type"], answer["scram_type"]) == ("SCRAM_RESPONSE", "SERVER_FIRST_RESPONSE")
        parts = dict(part.split("=", 1) for part in answer["rfc_str"].split(","))
        assert set(parts) == {"r", "s", "i"}
        assert base64.b64decode(parts["r"]).startswith(self._nonce)
        salt, rounds = base64.b64decode(parts["s"]), int(parts["i"])
        assert 50_000 <= rounds <= 5_000_000
        salted = hashlib.pbkdf2_hmac("sha512", self._material.encode(), salt, rounds)
        without_proof = f"c={base64.b64encode(b'n,,').decode()},r={parts['r']}"
        message = f"{self._bare},{answer['rfc_str']},{without_proof}".encode()
        client_key = hmac.digest(salted, b"Client Key", "sha512")
        signature = hmac.digest(hashlib.sha512(client_key).digest(), message, "sha512")
        proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        self._signature = hmac.digest(hmac.digest(salted, b"Server Key", "sha512"), message, "sha512")
        text = f"{without_proof},p={base64.b64encode(proof).decode()}"
        return {"mechanism": "SCRAM", "scram_type": "CLIENT_FINAL_MESSAGE", "rfc_str": text}

    def verify(self, answer: dict[str, Any]) -> None:
        """Know the server by its signature."""
        assert (answer["response_type"], answer["scram_type"]) == ("SCRAM_RESPONSE", "SERVER_FINAL_RESPONSE")
        assert answer["rfc_str"] == f"v={base64.b64encode(self._signature).decode()}"


class ApiClient(Wire):
    """The JSON-RPC client: new-style jobs, whose calls are answered at their end, and job events by message id.

    Attributes:
        progress: of each job, as its events told it.
    """

    def __init__(self, socket: ClientConnection, ids: Iterator[Id]) -> None:
        super().__init__(socket, ids, never)
        self.progress: dict[int, list[tuple[Any, Any]]] = {}
        self._watching = False

    async def open(self, *, private_methods: bool = False, py_exceptions: bool = False) -> dict[str, Any]:
        """What it does once the socket is open; gives the options that the server has taken."""
        options = {"legacy_jobs": False, "private_methods": private_methods, "py_exceptions": py_exceptions}
        taken = await super().call("core.set_options", options)
        assert taken["legacy_jobs"] is False
        return dict(taken)

    async def ask(self, method: str, *params: Any) -> Any:
        """A call; before the first one it subscribes to jobs, which may be refused for want of a login.

        Raises:
            ClientError: an error reply.
        """
        try:
            if not self._watching:
                self._watching = await self._watch()
            return await super().call(method, *params)
        except Refused as refused:
            raise as_client_error(refused) from refused

    async def _watch(self) -> bool:
        try:
            await super().call("core.subscribe", "core.get_jobs")
        except Refused as refused:
            if as_client_error(refused).errno != 207:
                raise
            return False
        return True

    async def run_job(self, method: str, *params: Any) -> Any:
        """A call as a job: its id comes by an event that names the message, its end by another one.

        Raises:
            ClientError: the job failed.
        """
        if not self._watching:
            self._watching = await self._watch()
        reply = await self.start(method, *params)
        message_id = self.sent[-1]["id"]
        job_id = None
        async with asyncio.timeout(20):
            while True:
                params_of = (await self.notifications.get())["params"]
                fields = params_of["fields"]
                if message_id in fields["message_ids"]:
                    job_id = params_of["id"]
                if fields["id"] != job_id:
                    continue
                progress = fields["progress"]
                self.progress.setdefault(fields["id"], []).append((progress["percent"], progress["description"]))
                if params_of["msg"] == "changed" and fields["state"] in ("SUCCESS", "FAILED", "ABORTED"):
                    await reply
                    return self._outcome(fields)

    @staticmethod
    def _outcome(fields: dict[str, Any]) -> Any:
        if fields["state"] == "SUCCESS":
            return fields["result"]
        exc_info = fields["exc_info"]
        if exc_info is None:
            raise ClientError("ClientException", fields["error"] or fields["state"])
        if exc_info["type"] == "VALIDATION":
            raise ClientError("ValidationErrors", "", errors=[tuple(item) for item in exc_info["extra"]])
        assert fields["exception"].splitlines()[-1]
        raise ClientError("ClientException", fields["error"], None, exc_info["extra"], exc_info["type"])


class LegacyClient:
    """The client for URIs that end in `/websocket`."""

    def __init__(self, socket: ClientConnection, ids: Iterator[Id]) -> None:
        self._socket = socket
        self._ids = ids
        self.messages: list[dict[str, Any]] = []

    async def _send(self, **message: Any) -> None:
        await self._socket.send(orjson.dumps(message).decode())

    async def until(self, **wanted: Any) -> dict[str, Any]:
        """The next message that has these values; those before it are kept."""
        async with asyncio.timeout(20):
            while True:
                message = orjson.loads(await self._socket.recv())
                self.messages.append(message)
                if all(message.get(key) == value for key, value in wanted.items()):
                    return dict(message)

    async def connect(self) -> str:
        """The handshake; gives the session."""
        await self._send(msg="connect", version="1", support=["1"], features=[])
        return str((await self.until(msg="connected"))["session"])

    async def ping(self) -> None:
        ping_id = next(self._ids)
        await self._send(msg="ping", id=ping_id)
        await self.until(msg="pong", id=ping_id)

    async def call(self, method: str, *params: Any) -> Any:
        """A call.

        Raises:
            ClientError: an error reply.
        """
        call_id = next(self._ids)
        await self._send(msg="method", method=method, id=call_id, params=list(params))
        message = await self.until(msg="result", id=call_id)
        error = message.get("error")
        if error is None:
            return message["result"]
        if error["trace"] and error["type"] == "VALIDATION":
            raise ClientError(
                "ValidationErrors", error["reason"], error["error"], [tuple(item) for item in error["extra"]]
            )
        raise ClientError("ClientException", error["reason"], error["error"], error["extra"], error["trace"])

    async def subscribe(self, name: str) -> Id:
        """Subscribe; gives the id, which the client has made."""
        sub_id = next(self._ids)
        await self._send(msg="sub", id=sub_id, name=name)
        assert sub_id in (await self.until(msg="ready"))["subs"]
        return sub_id

    async def unsubscribe(self, sub_id: Id) -> None:
        await self._send(msg="unsub", id=sub_id)

    async def close(self) -> None:
        await self._socket.close()
