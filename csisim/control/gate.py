"""What every request has to pass before anything looks at it: who asks, from where, and how much.

A page in a browser on this machine must not be able to set faults: a foreign Origin is refused, and so is a Host that
does not name this machine (DNS rebinding). Callers that are no browser send no Origin.
"""

import asyncio
import base64
import binascii
import hmac
from collections.abc import Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from csisim.control.errors import ControlError
from csisim.control.options import ControlOptions, is_loopback

_JSON = (b"content-type", b"application/json")


class Gate:
    """ASGI middleware; see the module.

    Args:
        app: what is behind it.
        options: of the server.
    """

    def __init__(self, app: ASGIApp, options: ControlOptions) -> None:
        self._app = app
        self._options = options
        self._token = options.token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            return
        headers = {key: value for key, value in scope["headers"] if key != b"content-type"}
        try:
            self._check_caller(headers)
            body = await self._read(headers, receive)
        except ControlError as error:
            answer = error.answer()
            answer.headers["connection"] = "close"  # what else was sent is not read
            if error.status == 401:
                answer.headers["www-authenticate"] = 'Bearer realm="csisim", Basic realm="csisim"'
            await answer(scope, receive, send)
            return
        # It takes nothing but JSON, whatever a client calls it.
        inner = {**scope, "headers": [*((key, value) for key, value in headers.items()), _JSON]}
        await self._app(inner, _replay(body, receive), send)

    def _check_caller(self, headers: Mapping[bytes, bytes]) -> None:
        host = headers.get(b"host", b"").decode("latin-1")
        if self._options.is_local and not is_loopback(_name(host)):
            raise ControlError(
                403, f"host {host[:100]!r} is not this machine: use http://127.0.0.1 or http://localhost"
            )
        origin = headers.get(b"origin")
        if origin is not None and origin.decode("latin-1").lower() != f"http://{host.lower()}":
            raise ControlError(403, "pages of other origins may not control this")
        if self._token and not self._knows_token(headers.get(b"authorization", b"")):
            raise ControlError(401, "the control token is missing or wrong: send Authorization: Bearer TOKEN")

    def _knows_token(self, authorization: bytes) -> bool:
        scheme, _, shown = authorization.strip().partition(b" ")
        shown = shown.strip()
        if scheme.lower() == b"basic":  # for clients that can only put a password into a URL
            try:
                shown = base64.b64decode(shown, validate=True).partition(b":")[2]
            except binascii.Error:
                shown = b""
        elif scheme.lower() != b"bearer":
            shown = b""
        return hmac.compare_digest(shown, self._token)

    async def _read(self, headers: Mapping[bytes, bytes], receive: Receive) -> bytes:
        most = self._options.max_body_bytes
        declared = headers.get(b"content-length", b"0")
        if declared.isdigit() and int(declared[:20]) > most:
            raise ControlError(413, f"a request has at most {most} bytes")
        body = bytearray()
        try:
            async with asyncio.timeout(self._options.read_timeout_s):
                while True:
                    message = await receive()
                    body += message.get("body", b"")
                    if len(body) > most:
                        raise ControlError(413, f"a request has at most {most} bytes")
                    if message["type"] != "http.request" or not message.get("more_body"):
                        return bytes(body)
        except TimeoutError:
            raise ControlError(408, "the request did not arrive in time") from None


def _replay(body: bytes, receive: Receive) -> Receive:
    left = [body]

    async def again() -> Message:
        if left:
            return {"type": "http.request", "body": left.pop(), "more_body": False}
        return await receive()

    return again


def _name(host: str) -> str:
    """The name or address in a Host header."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower()
