"""A key and a certificate signed by itself, kept as two files. Imported on demand: needs the extra `tls`."""

import os
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.hazmat.primitives.serialization import load_pem_private_key as load_key
from cryptography.x509.oid import NameOID

CERTIFICATE_FILE: Final = "tls-certificate.pem"
KEY_FILE: Final = "tls-key.pem"
LIFETIME: Final = timedelta(days=825)
"""As long as every client accepts."""

_EARLIER: Final = timedelta(days=1)  # the clocks of clients may be behind


def keep(directory: Path, host: str, now: datetime) -> tuple[Path, Path]:
    """Find the pair in the directory, or make one; gives the certificate's path and the key's, both of mode 0600.

    Args:
        directory: exists.
        host: what the certificate is for, besides localhost, 127.0.0.1 and ::1.
        now: wall time with a zone.

    Raises:
        OSError: a file cannot be read or written.
    """
    certificate, key = directory / CERTIFICATE_FILE, directory / KEY_FILE
    if not _usable(certificate, key, host, now):
        made = make(host, now)
        _write(key, made[1])
        _write(certificate, made[0])
    return certificate, key


def make(host: str, now: datetime) -> tuple[bytes, bytes]:
    """A new certificate and its key, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "fake-truenas")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectAlternativeName(_names(host)), critical=False)
        # A client that is to trust it takes it as an authority.
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    pem = builder.sign(key, SHA256()).public_bytes(Encoding.PEM)
    return pem, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _names(host: str) -> list[x509.GeneralName]:
    """Each once, the listening address first."""
    return [_general_name(text) for text in dict.fromkeys((host, "localhost", "127.0.0.1", "::1"))]


def _general_name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(text.partition("%")[0]))
    except ValueError:
        return x509.DNSName(text.encode("idna").decode())


def _usable(certificate: Path, key: Path, host: str, now: datetime) -> bool:
    try:
        kept = x509.load_pem_x509_certificate(certificate.read_bytes())
        names = kept.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        if load_key(key.read_bytes(), None).public_key() != kept.public_key():
            return False
    except (FileNotFoundError, ValueError, TypeError, x509.ExtensionNotFound):
        return False  # none yet, or one that was damaged
    return kept.not_valid_before_utc <= now < kept.not_valid_after_utc and _general_name(host) in names


def _write(path: Path, content: bytes) -> None:
    """Appears at once and whole, and nobody else ever can read it."""
    beside = path.with_name(f"{path.name}.new")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
