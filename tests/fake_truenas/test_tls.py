"""TLS contexts: from files, from our own pair, and what is said when there can be none."""

import asyncio
import builtins
import ssl
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from fake_truenas.key_pair import make
from fake_truenas.tls import TlsError, from_files, self_signed

NOW = datetime.now(UTC)
PEM, KEY = make("127.0.0.1", NOW)


def files(directory: Path, certificate: bytes, key: bytes) -> tuple[Path, Path]:
    (directory / "c.pem").write_bytes(certificate)
    (directory / "k.pem").write_bytes(key)
    return directory / "c.pem", directory / "k.pem"


async def served(context: ssl.SSLContext, trusted: bytes, name: str) -> bytes:
    """One line over TLS to a client that verifies the certificate for `name`."""

    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello\n")
        await writer.drain()
        writer.close()

    verifying = ssl.create_default_context(cadata=trusted.decode())
    async with await asyncio.start_server(greet, "127.0.0.1", 0, ssl=context) as server:
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=verifying, server_hostname=name)
        line = await reader.readline()
        writer.close()
        await writer.wait_closed()
    return line


async def test_files_are_served(tmp_path: Path) -> None:
    context = from_files(*files(tmp_path, PEM, KEY))
    assert await served(context, PEM, "localhost") == b"hello\n"
    with pytest.raises(ssl.SSLCertVerificationError):
        await served(context, PEM, "elsewhere.example")


def test_wrong_files_are_named(tmp_path: Path) -> None:
    certificate, key = files(tmp_path, PEM, KEY)
    with pytest.raises(TlsError, match=r"the TLS certificate .*/none\.pem cannot be read: No such file"):
        from_files(tmp_path / "none.pem", key)
    with pytest.raises(TlsError, match=r"the TLS key .* cannot be read: Is a directory"):
        from_files(certificate, tmp_path)
    with pytest.raises(TlsError, match=r"c\.pem and .*k\.pem: two PEM files are needed"):
        from_files(*files(tmp_path, b"no certificate", KEY))
    with pytest.raises(TlsError, match=r"c\.pem and .*k\.pem: two PEM files are needed"):
        from_files(*files(tmp_path, KEY, PEM))
    with pytest.raises(TlsError, match=r"the TLS key .*k\.pem does not belong to the certificate .*c\.pem"):
        from_files(*files(tmp_path, PEM, make("127.0.0.1", NOW)[1]))


def test_an_encrypted_key_is_refused_without_asking_the_terminal(tmp_path: Path) -> None:
    encrypted = load_pem_private_key(KEY, None).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
    )
    with pytest.raises(TlsError, match="is encrypted: give one without a passphrase"):
        from_files(*files(tmp_path, PEM, encrypted))


async def test_our_own_certificate_is_kept_in_the_directory(tmp_path: Path) -> None:
    first = self_signed(tmp_path, "127.0.0.1", NOW)
    trusted = (tmp_path / "tls-certificate.pem").read_bytes()
    assert await served(first, trusted, "127.0.0.1") == b"hello\n"
    again = self_signed(tmp_path, "127.0.0.1", NOW)
    assert await served(again, trusted, "localhost") == b"hello\n"


def test_without_a_directory_no_file_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert isinstance(self_signed(None, "127.0.0.1", NOW), ssl.SSLContext)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_library_is_named_with_the_extra_that_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    real_import = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.partition(".")[0] == "cryptography":
            raise ModuleNotFoundError("No module named 'cryptography'", name="cryptography")
        return real_import(name, *rest)

    import fake_truenas

    monkeypatch.delitem(sys.modules, "fake_truenas.key_pair")
    monkeypatch.delattr(fake_truenas, "key_pair")
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(TlsError, match=r"needs the package cryptography: install csisim\[tls\]"):
        self_signed(None, "127.0.0.1", NOW)
