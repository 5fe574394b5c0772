"""The pair of key and certificate: what it is for, who can read it, and when it is made anew."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509

from fake_truenas.key_pair import LIFETIME, keep, make

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def certificate_of(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


@pytest.mark.parametrize(
    ("host", "names", "addresses"),
    [
        ("127.0.0.1", ["localhost"], ["127.0.0.1", "::1"]),
        ("::1", ["localhost"], ["127.0.0.1", "::1"]),
        ("localhost", ["localhost"], ["127.0.0.1", "::1"]),
        ("192.0.2.7", ["localhost"], ["127.0.0.1", "192.0.2.7", "::1"]),
        ("fe80::1%eth0", ["localhost"], ["127.0.0.1", "::1", "fe80::1"]),
        ("nas.example", ["localhost", "nas.example"], ["127.0.0.1", "::1"]),
        ("münchen.example", ["localhost", "xn--mnchen-3ya.example"], ["127.0.0.1", "::1"]),
    ],
)
def test_it_is_for_the_address_and_for_the_loopback(host: str, names: list[str], addresses: list[str]) -> None:
    found = x509.load_pem_x509_certificate(make(host, NOW)[0])
    value = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert sorted(value.get_values_for_type(x509.DNSName)) == names
    assert sorted(str(one) for one in value.get_values_for_type(x509.IPAddress)) == addresses
    assert found.not_valid_before_utc < NOW < found.not_valid_after_utc


def test_it_is_kept_and_nobody_else_can_read_it(tmp_path: Path) -> None:
    paths = keep(tmp_path, "127.0.0.1", NOW)
    assert [path.stat().st_mode & 0o777 for path in paths] == [0o600, 0o600]
    before = [path.read_bytes() for path in paths]
    assert keep(tmp_path, "127.0.0.1", NOW + timedelta(days=800)) == paths
    assert keep(tmp_path, "localhost", NOW) == paths
    assert [path.read_bytes() for path in paths] == before
    assert sorted(tmp_path.iterdir()) == sorted(paths)


def test_it_is_made_anew_when_it_no_longer_serves(tmp_path: Path) -> None:
    certificate, key = keep(tmp_path, "127.0.0.1", NOW)

    def changes(host: str, now: datetime) -> bool:
        before = certificate.read_bytes()
        keep(tmp_path, host, now)
        return certificate.read_bytes() != before

    assert changes("192.0.2.7", NOW)
    assert changes("192.0.2.7", NOW + LIFETIME)
    assert changes("192.0.2.7", NOW - timedelta(days=400))
    certificate.write_bytes(b"")
    assert changes("192.0.2.7", NOW)
    key.unlink()
    assert changes("192.0.2.7", NOW)
    key.write_bytes(make("192.0.2.7", NOW)[1])
    assert changes("192.0.2.7", NOW)
    (tmp_path / "tls-key.pem.new").write_text("left over from a crash")
    key.write_bytes(b"damaged")
    assert changes("192.0.2.7", NOW)
    assert not changes("192.0.2.7", NOW)
    found = certificate_of(certificate).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert ip_address("192.0.2.7") in found.get_values_for_type(x509.IPAddress)


def test_a_directory_that_cannot_be_written_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        keep(tmp_path / "missing", "127.0.0.1", NOW)
