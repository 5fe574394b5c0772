"""One-time passwords from a shared secret and the time (RFC 6238, HMAC-SHA-1 as authenticator apps use it). Pure."""

import base64
import binascii
import hmac
import struct

INTERVAL_S = 30
DIGITS = 6


def parse_secret(text: str) -> bytes:
    """Read a secret in Base32, in either case and with or without its padding.

    Raises:
        ValueError: not Base32, or shorter than the 80 bits that apps expect; the secret is not in the text.
    """
    padded = text.upper().rstrip("=")
    try:
        secret = base64.b32decode(padded + "=" * (-len(padded) % 8))
    except (binascii.Error, ValueError):
        raise ValueError("the one-time password secret is not Base32: letters A to Z and digits 2 to 7") from None
    if len(secret) < 10:
        raise ValueError("the one-time password secret has fewer than 80 bits: give 16 or more Base32 characters")
    return secret


def code(secret: bytes, now: float) -> str:
    """The code of the interval that `now`, seconds since the epoch, falls into."""
    digest = hmac.digest(secret, struct.pack(">Q", int(now // INTERVAL_S)), "sha1")
    start = digest[-1] & 15
    number = int.from_bytes(digest[start : start + 4]) & 0x7FFFFFFF
    return f"{number % 10**DIGITS:0{DIGITS}}"


def matches(secret: bytes, given: str, now: float) -> bool:
    """Whether it is the present code; codes of the intervals around are refused, as with TrueNAS's window of 0."""
    return hmac.compare_digest(code(secret, now).encode(), given.encode("utf-8", "surrogatepass"))
