"""A NAS with accounts on a real socket, and a SCRAM client written from RFC 5802 alone."""

import base64
import hashlib
import hmac
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from websockets.asyncio.client import connect

from fake_truenas import Nas, NasConfig
from fake_truenas.passwords import Account
from tests.fake_truenas.rpc import KEY, Client, Clock

OTP_SECRET = b"12345678901234567890"
OTP_CODE = "287082"
"""The code of OTP_SECRET at OTP_TIME, from RFC 6238."""
OTP_TIME = 59.0

ADA = Account.with_password("ada", "engine", b"salt")
EVE = Account.with_password("eve", "snake", b"salt", otp_secret=OTP_SECRET)


def account(name: str, *roles: str) -> Account:
    """An account with these roles; the password is its name."""
    return Account.with_password(name, name, b"salt", roles=roles)


class Served(NamedTuple):
    """A NAS, its clock, and how to connect to it."""

    nas: Nas
    clock: Clock
    dial: Callable[..., Awaitable[Client]]


@asynccontextmanager
async def serving(**settings: Any) -> AsyncIterator[Served]:
    """A NAS on a port; `dial(NAME)` gives a client logged in by the password NAME, `dial(key=KEY)` by a key."""
    clock = Clock()
    config = NasConfig(**{"api_key": KEY, "login_failure_delay_s": (0.0, 0.0), **settings})
    nas = Nas(config, rng=random.Random(7), clock=clock)
    server = await nas.serve("127.0.0.1", 0)
    clients: list[Client] = []

    async def dial(name: str | None = None, *, key: str | None = None) -> Client:
        client = Client(await connect(server.url, proxy=None))
        clients.append(client)
        if name is not None:
            assert await client.call("auth.login", name, name) is True
        if key is not None:
            assert await client.call("auth.login_with_api_key", key) is True
        return client

    try:
        yield Served(nas, clock, dial)
    finally:
        for client in clients:
            await client.close()
        await server.close()
        nas.close()


class ScramClient:
    """One login with SCRAM-SHA-512; `header` and `binding` are what the client says of the channel."""

    def __init__(
        self, username: str, key: str, nonce: bytes = b"n" * 32, *, header: str = "n", binding: bytes = b""
    ) -> None:
        number, _, self._secret = key.partition("-")
        self._header = f"{header},,"
        self._channel = base64.b64encode(self._header.encode() + binding).decode()
        self.bare = f"n={username}:{number},r={base64.b64encode(nonce).decode()}"
        self._client_nonce = nonce
        self._salted = self._message = self.client_key = b""

    def first(self) -> dict[str, str]:
        return {"mechanism": "SCRAM", "scram_type": "CLIENT_FIRST_MESSAGE", "rfc_str": f"{self._header}{self.bare}"}

    def final(self, server_first: str) -> dict[str, str]:
        parts = dict(part.split("=", 1) for part in server_first.split(","))
        nonce = base64.b64decode(parts["r"])
        assert nonce.startswith(self._client_nonce)
        assert (len(nonce), 50_000 <= int(parts["i"]) <= 5_000_000) == (64, True)
        self._salted = hashlib.pbkdf2_hmac(
            "sha512", self._secret.encode(), base64.b64decode(parts["s"]), int(parts["i"])
        )
        unproven = f"c={self._channel},r={parts['r']}"
        self._message = f"{self.bare},{server_first},{unproven}".encode()
        key = self.client_key = hmac.new(self._salted, b"Client Key", "sha512").digest()
        signature = hmac.new(hashlib.sha512(key).digest(), self._message, "sha512").digest()
        proof = base64.b64encode(bytes(a ^ b for a, b in zip(key, signature, strict=True))).decode()
        return {"mechanism": "SCRAM", "scram_type": "CLIENT_FINAL_MESSAGE", "rfc_str": f"{unproven},p={proof}"}

    def trusts(self, server_final: str) -> bool:
        key = hmac.new(self._salted, b"Server Key", "sha512").digest()
        expected = base64.b64encode(hmac.new(key, self._message, "sha512").digest()).decode()
        return server_final == f"v={expected}"
