"""TLS for the port: from a certificate's files, or with a key pair made on demand."""

import ssl
import tempfile
from datetime import datetime
from pathlib import Path

from fake_truenas.channel_binding import tls_server_end_point

_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"


class TlsError(ValueError):
    """TLS cannot be served so; says which file is wrong, or what is missing."""


class ServerContext(ssl.SSLContext):
    """A context that knows what logins over it can be bound to; any other one serves TLS too, without that.

    Attributes:
        end_point: the channel binding of its certificate, or None if that has none.
    """

    end_point: bytes | None = None


def from_files(certificate: Path, key: Path) -> ServerContext:
    """What `Nas.serve` takes, from PEM files: the certificate (with its chain) and its key, not encrypted.

    Raises:
        TlsError: a file cannot be read, has something else in it, or the two do not belong together.
    """
    for path, what in ((certificate, "certificate"), (key, "key")):
        try:
            path.read_bytes()
        except OSError as error:
            raise TlsError(f"the TLS {what} {path} cannot be read: {error.strerror}") from None
    context = ServerContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key, password=_refuse_passphrase)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise TlsError(f"the TLS key {key} does not belong to the certificate {certificate}") from None
        wanted = "two PEM files are needed, a certificate and its key"
        raise TlsError(f"{certificate} and {key}: {wanted} ({error.reason or error.args[-1]})") from None
    context.end_point = _end_point(certificate.read_text(encoding="latin-1"))
    return context


def _end_point(text: str) -> bytes | None:
    """Of the first certificate, the one that is shown to clients; those behind it vouch for it."""
    _, begin, rest = text.partition(_BEGIN)
    first, end, _ = rest.partition(_END)
    return tls_server_end_point(ssl.PEM_cert_to_DER_cert(f"{begin}{first}{end}\n")) if end else None


def self_signed(directory: Path | None, host: str, now: datetime) -> ServerContext:
    """What `Nas.serve` takes, with a certificate of our own for `host`, localhost, 127.0.0.1 and ::1.

    Args:
        directory: where the key pair is kept and found again; None keeps it in memory alone.
        host: the address that is listened on.
        now: wall time with a zone. A kept certificate that is not valid then, or not for `host`, is replaced.

    Raises:
        TlsError: the library that makes certificates is not installed.
        OSError: the directory cannot be written to.
    """
    try:
        from fake_truenas import key_pair  # noqa: PLC0415 - needs a library that nothing else needs
    except ModuleNotFoundError as error:
        raise TlsError(f"a self-signed certificate needs the package {error.name}: install csisim[tls]") from None
    if directory is not None:
        return from_files(*key_pair.keep(directory, host, now))
    with tempfile.TemporaryDirectory(prefix="fake-truenas-") as scratch:  # OpenSSL reads files, so they exist briefly
        return from_files(*key_pair.keep(Path(scratch), host, now))


def _refuse_passphrase() -> str:
    # Without this OpenSSL would ask the terminal for one.
    raise TlsError("the TLS key is encrypted: give one without a passphrase")
