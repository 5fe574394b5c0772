"""SCRAM-SHA-512 with API keys, the server's half (RFC 5802; TrueNAS API 26.0). Pure: nonces and salts are arguments.

The password is the part of the key after its id; the user name in the first message is `<name>:<id of the key>`.
TrueNAS departs from the RFC in one place: the server's nonce is appended to the client's 32 bytes, and the sum is
encoded, so its text does not begin with the client's text.

Over TLS a client can bind the login to the server's certificate (`fake_truenas.channel_binding`).
"""

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass, field

from fake_truenas import channel_binding

ITERATIONS = 50_000
"""As few as TrueNAS's clients accept; a real server takes 500,000."""

NONCE_BYTES = 32
SALT_BYTES = 16
_PROOF_BYTES = hashlib.sha512().digest_size


class ScramError(Exception):
    """A message that is not valid, or a proof that is wrong. The text never shows what was sent."""


@dataclass(frozen=True, slots=True)
class Verifier:
    """What the server keeps of a key: enough to check a proof, not enough to make one."""

    salt: bytes = field(repr=False)
    stored_key: bytes = field(repr=False)
    server_key: bytes = field(repr=False)
    iterations: int = ITERATIONS


@dataclass(frozen=True, slots=True)
class ClientFirst:
    """A client's first message.

    Attributes:
        username: whose key.
        key_id: which of the keys; None if the login is by password.
        nonce: the client's, 32 bytes.
        header: the part that says what channel binding the client wants.
        bare: the message without that part, as it is signed.
    """

    username: str
    key_id: int | None
    nonce: bytes = field(repr=False)
    header: str
    bare: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Exchange:
    """A login between the server's first message and the client's last one.

    Attributes:
        first: the client's first message.
        verifier: of the key that it names.
        nonce: the client's and the server's.
        end_point: what the connection can be bound to; None if it is not over TLS.
    """

    first: ClientFirst
    verifier: Verifier
    nonce: bytes = field(repr=False)
    end_point: bytes | None = None

    @property
    def server_first(self) -> str:
        """The message to answer the client's first one with."""
        salt = base64.b64encode(self.verifier.salt).decode()
        return f"r={base64.b64encode(self.nonce).decode()},s={salt},i={self.verifier.iterations}"

    def finish(self, text: str) -> str:
        """Check the client's last message; gives the server's, by which the client knows the server.

        Raises:
            ScramError: not such a message, or the client does not have the key.
        """
        parts = _attributes(text, "c", "r", "p")
        if _bytes(parts["c"]) != self._channel() or _bytes(parts["r"]) != self.nonce:
            raise ScramError("the client's last message does not belong to this exchange")
        proof = _bytes(parts["p"])
        if len(proof) != _PROOF_BYTES:
            raise ScramError(f"the proof has {len(proof)} bytes; SHA-512 gives {_PROOF_BYTES}")
        message = f"{self.first.bare},{self.server_first},c={parts['c']},r={parts['r']}".encode()
        signature = hmac.digest(self.verifier.stored_key, message, "sha512")
        client_key = bytes(a ^ b for a, b in zip(proof, signature, strict=True))
        if not hmac.compare_digest(hashlib.sha512(client_key).digest(), self.verifier.stored_key):
            raise ScramError("the proof is wrong")
        return f"v={base64.b64encode(hmac.digest(self.verifier.server_key, message, 'sha512')).decode()}"

    def _channel(self) -> bytes:
        """What the client's last message must say of the channel: its header again, and what it binds the login to."""
        header, end_point = self.first.header.encode(), self.end_point
        if header.startswith(b"p="):
            if self.first.header != f"p={channel_binding.NAME},," or end_point is None:
                raise ScramError("the connection does not have the channel binding that the client wants")
            return header + end_point
        if header == b"y,," and end_point is not None:  # somebody in between hides it: RFC 5802, section 6
            raise ScramError("the client takes it that the server has no channel binding, and it has")
        return header


def client_key(material: str, salt: bytes, iterations: int = ITERATIONS) -> bytes:
    """What the client proves that it has; a client may keep this instead of the key."""
    return hmac.digest(_salted(material, salt, iterations), b"Client Key", "sha512")


def make_verifier(material: str, salt: bytes, iterations: int = ITERATIONS) -> Verifier:
    """Derive what the server keeps from a key without its id. Slow on purpose, tens of milliseconds."""
    salted = _salted(material, salt, iterations)
    stored_key = hashlib.sha512(hmac.digest(salted, b"Client Key", "sha512")).digest()
    return Verifier(salt, stored_key, hmac.digest(salted, b"Server Key", "sha512"), iterations)


def parse_client_first(text: str) -> ClientFirst:
    """Read a client's first message, such as `n,,n=user:10,r=...`.

    Raises:
        ScramError: not such a message, or it asks for what there is not: acting for another user.
    """
    match = re.fullmatch(r"((?:[ny]|p=[A-Za-z0-9.-]+),,)(n=[^,]+,r=[^,]+)", text)
    if match is None:
        raise ScramError("the client's first message is not n,,n=<user>:<key id>,r=<nonce>, with n, y or p=<binding>")
    parts = _attributes(match[2], "n", "r")
    if re.search(r"=(?!2C|3D)", parts["n"]):
        raise ScramError("the user name is not valid: , and = are written =2C and =3D")
    name = parts["n"].replace("=2C", ",").replace("=3D", "=")
    username, _, number = name.rpartition(":")
    key_id = int(number) if re.fullmatch(r"[1-9][0-9]{0,8}", number, re.ASCII) and username else None
    nonce = _bytes(parts["r"])
    if len(nonce) != NONCE_BYTES:
        raise ScramError(f"the nonce has {len(nonce)} bytes, not {NONCE_BYTES}")
    return ClientFirst(username if key_id is not None else name, key_id, nonce, match[1], match[2])


def _salted(material: str, salt: bytes, iterations: int) -> bytes:
    return hashlib.pbkdf2_hmac("sha512", material.encode("utf-8", "surrogatepass"), salt, iterations)


def _attributes(text: str, *names: str) -> dict[str, str]:
    """The values of `a=...,b=...`, which must come in this order."""
    parts = dict(part.partition("=")[::2] for part in text.split(","))
    if tuple(parts) != names or text.count(",") != len(names) - 1 or not all(parts.values()):
        raise ScramError(f"the message does not consist of {', '.join(names)}")
    return parts


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ScramError("the message has an attribute that is not Base64") from None
