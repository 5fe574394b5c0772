"""tls-server-end-point: the hash of a certificate by the hash function of its signature."""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from fake_truenas.channel_binding import tls_server_end_point

EC = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(65537, 1024)  # noqa: S505 - protects nothing
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def certificate(key: Any, algorithm: Any, more: int = 0, **options: Any) -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "nas")])
    builder = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(NOW).not_valid_after(NOW + timedelta(days=1))
    )  # fmt: skip
    if more:
        names = [x509.DNSName(f"{number}.example") for number in range(more)]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(key, algorithm, **options).public_bytes(Encoding.DER)


@pytest.mark.parametrize("key", [EC, RSA], ids=["ecdsa", "rsa"])
@pytest.mark.parametrize("name", ["sha224", "sha256", "sha384", "sha512"])
def test_the_hash_is_that_of_the_signature(key: Any, name: str) -> None:
    der = certificate(key, getattr(hashes, name.upper())())
    assert tls_server_end_point(der) == hashlib.new(name, der).digest()


@pytest.mark.parametrize("more", [1, 20, 9000])  # lengths of one, two and three bytes
def test_certificates_of_any_length_are_read(more: int) -> None:
    der = certificate(EC, hashes.SHA384(), more)
    assert tls_server_end_point(der) == hashlib.sha384(der).digest()


def test_sha_1_and_md5_count_as_sha_256() -> None:
    der = certificate(RSA, hashes.SHA256())
    oid = bytes.fromhex("2a864886f70d01010b")
    for weak in (b"\x04", b"\x05"):
        weaker = der.replace(oid, oid[:-1] + weak)
        assert tls_server_end_point(weaker) == hashlib.sha256(weaker).digest()


def test_signatures_without_one_hash_function_have_none() -> None:
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    assert tls_server_end_point(certificate(RSA, hashes.SHA256(), rsa_padding=pss)) is None
    assert tls_server_end_point(certificate(ed25519.Ed25519PrivateKey.generate(), None)) is None


@pytest.mark.parametrize(
    "der",
    [b"", b"0", b"0\x82", b"0\x05abc", b"\x02\x01\x00", certificate(EC, hashes.SHA256())[:99]],
    ids=[
        "nothing",
        "a tag",
        "half a length",
        "too short",
        "a number",
        "half a certificate",
    ],  # signatures differ per process
)
def test_what_is_no_certificate_is_refused(der: bytes) -> None:
    with pytest.raises(ValueError, match="not a certificate"):
        tls_server_end_point(der)
