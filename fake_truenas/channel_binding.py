"""The channel binding `tls-server-end-point` (RFC 5929, section 4), which ties a login to a certificate. Pure.

It is the hash of the certificate, by the hash function of its signature. A client computes it from what the server has
shown, so a login that somebody in between passes on does not fit.
"""

import hashlib
from typing import Final

NAME: Final = "tls-server-end-point"

_SEQUENCE, _OBJECT_IDENTIFIER = 0x30, 0x06
_RSA, _ECDSA = bytes.fromhex("2a864886f70d0101"), bytes.fromhex("2a8648ce3d04")
_HASHES: Final = {
    # MD5 and SHA-1 count as SHA-256.
    _RSA + b"\x04": "sha256",
    _RSA + b"\x05": "sha256",
    _RSA + b"\x0e": "sha224",
    _RSA + b"\x0b": "sha256",
    _RSA + b"\x0c": "sha384",
    _RSA + b"\x0d": "sha512",
    _ECDSA + b"\x01": "sha256",
    _ECDSA + b"\x03\x01": "sha224",
    _ECDSA + b"\x03\x02": "sha256",
    _ECDSA + b"\x03\x03": "sha384",
    _ECDSA + b"\x03\x04": "sha512",
}
"""By the signature algorithm's object identifier, encoded."""


def tls_server_end_point(certificate: bytes) -> bytes | None:
    """The binding of a certificate in DER; None for signatures without one hash function (Ed25519, RSASSA-PSS).

    Raises:
        ValueError: not a certificate.
    """
    inside, _ = _element(certificate, 0, _SEQUENCE)
    _, signed_end = _element(certificate, inside, _SEQUENCE)
    algorithm, _ = _element(certificate, signed_end, _SEQUENCE)
    start, end = _element(certificate, algorithm, _OBJECT_IDENTIFIER)
    name = _HASHES.get(certificate[start:end])
    return None if name is None else hashlib.new(name, certificate).digest()


def _element(der: bytes, offset: int, tag: int) -> tuple[int, int]:
    """Where the content of the element at `offset` begins and ends."""
    head = der[offset : offset + 2]
    if len(head) < 2 or head[0] != tag:
        raise ValueError("not a certificate")
    start, length = offset + 2, head[1]
    if length & 0x80:  # the length itself is so many bytes long
        start += length & 0x7F
        length = int.from_bytes(der[offset + 2 : start], "big")
    if start + length > len(der):
        raise ValueError("not a certificate")
    return start, start + length
