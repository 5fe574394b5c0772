"""What the texts of the flags mean."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from fake_truenas.__main__ import app
from fake_truenas.config import Pool
from fake_truenas.latency import PROFILES, parse_rule
from fake_truenas.options import (
    idle_timeout_s,
    parse_accounts,
    parse_latency,
    parse_listen,
    parse_network,
    parse_pool,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("127.0.0.1:0", ("127.0.0.1", 0)), ("[::1]:6000", ("::1", 6000)), ("nas.example:65535", ("nas.example", 65535))],
)
def test_listen_addresses(text: str, expected: tuple[str, int]) -> None:
    assert parse_listen(text) == expected


@pytest.mark.parametrize(
    "text", ["", "6000", ":6000", "host:", "host:x", "host:65536", "::1:6000", "host:-1", "host:\u0661"]
)
def test_wrong_listen_addresses_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not HOST:PORT"):
        parse_listen(text)


@pytest.mark.parametrize(
    ("text", "pool"),
    [
        ("tank:1TiB", Pool("tank", 1 << 40)),
        ("a-b:64MiB", Pool("a-b", 1 << 26)),
        ("p:1073741824", Pool("p", 1 << 30)),
        ("p:2T", Pool("p", 2 << 40)),
    ],
)
def test_pools(text: str, pool: Pool) -> None:
    assert parse_pool(text) == pool


@pytest.mark.parametrize(
    "text", ["tank", "tank:", ":1TiB", "tank:big", "1tank:1TiB", "tank/x:1TiB", "tank:1KiB", "mirror:1TiB", "tank:-1"]
)
def test_wrong_pools_are_refused_by_the_command_too(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not NAME:SIZE|is not a size|pool name|64 MiB or more"):
        parse_pool(text)
    result = CliRunner().invoke(app, ["--pool", text, "--api-key", "1-x"])
    assert result.exit_code == 2


@pytest.mark.parametrize(
    ("text", "network"),
    [("192.0.2.7", "192.0.2.7/32"), ("192.0.2.0/24", "192.0.2.0/24"), ("2001:db8::/32", "2001:db8::/32")],
)
def test_networks(text: str, network: str) -> None:
    assert str(parse_network(text)) == network


@pytest.mark.parametrize("text", ["", "nas.example", "192.0.2.7/24", "192.0.2.0/33", "192.0.2", "fe80::1%eth0/64"])
def test_wrong_networks_are_refused_by_the_command_too(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not an address or a network, for example 192\.0\.2\.0/24"):
        parse_network(text)
    result = CliRunner().invoke(app, ["--allow", text, "--api-key", "1-x"])
    assert (result.exit_code, "is not an address" in result.output) == (2, True)


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (["--tls-cert", "c.pem"], "go together: give both"),
        (["--tls-key", "k.pem"], "go together: give both"),
        (["--tls-cert", "c.pem", "--tls-key", "k.pem", "--tls-self-signed"], "makes a certificate"),
        (["--tls-cert", "c.pem", "--tls-key", "k.pem"], "c.pem cannot be read: No such file"),
    ],
)
def test_flags_for_tls_that_do_not_go_together_are_refused(
    flags: list[str], text: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner(env={"COLUMNS": "200"}).invoke(app, [*flags, "--api-key", "1-x"])
    assert (result.exit_code, text in result.output) == (2, True), result.output


def test_the_idle_timeout_is_the_releases_own_unless_given() -> None:
    assert [idle_timeout_s(None, version) for version in ("24.10", "25.10.5", "26.0")] == [60.0, 60.0, 3600.0]
    assert [idle_timeout_s(given, "26.0") for given in (5.0, 0.0)] == [5.0, None]


def test_users_get_roles_and_a_second_factor() -> None:
    (admin,) = parse_accounts("", [], "", b"salt")
    assert (admin.name, admin.roles, admin.matches("")) == ("truenas_admin", ("FULL_ADMIN",), False)
    ada, admin = parse_accounts(
        "ada:p:w", ["ada=DATASET_READ, SNAPSHOT_WRITE", "truenas_admin="], "ada=JBSWY3DPEHPK3PXP", b"salt"
    )
    assert (ada.roles, ada.matches("p:w"), admin.roles) == (("DATASET_READ", "SNAPSHOT_WRITE"), True, ())
    assert ada.otp_secret == b"Hello!\xde\xad\xbe\xef"
    (owner,) = parse_accounts("truenas_admin:pw", ["truenas_admin=READONLY_ADMIN"], "", b"salt")
    assert (owner.matches("pw"), owner.roles) == (True, ("READONLY_ADMIN",))


@pytest.mark.parametrize(
    ("roles", "otp_secret", "said"),
    [
        (["READONLY_ADMIN"], "", "is not NAME=ROLE,ROLE"),
        (["eve=READONLY_ADMIN"], "", "there is no user 'eve': ada, truenas_admin"),
        (["ada=readonly_admin"], "", "role 'readonly_admin' does not exist"),
        ([], "JBSWY3DPEHPK3PXP", "is not NAME=SECRET"),
        ([], "eve=JBSWY3DPEHPK3PX1", "is for none of the users ada, truenas_admin"),
        ([], "JBSWY3DPEHPK3PX1====", "is for none of the users"),
        ([], "truenas_admin=JBSWY3DPEHPK3PXP", "has no password"),
        ([], "ada=JBSWY3DPEHPK3PX1", "is not Base32"),
    ],
)
def test_wrong_users_are_refused_without_showing_a_secret(roles: list[str], otp_secret: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        parse_accounts("ada:pw", roles, otp_secret, b"salt")
    assert "JBSWY3DPEHPK3PX1" not in str(caught.value)


def test_latency_is_that_of_the_profile_and_then_of_the_rules() -> None:
    assert parse_latency("", None) == ()
    rule = "pool.query=5ms"
    assert parse_latency("truenas", [rule]) == (*PROFILES["truenas"], parse_rule(rule))


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (["--latency-profile", "fast"], "latency profile 'fast': there are truenas"),
        (["--latency", "pool.query"], "'pool.query' is not METHOD=TIME"),
        (["--latency", "pool.query=5"], "'5' is not a time"),
        (["--latency", "pool.qery=5ms"], "latency for 'pool.qery': no such method in this release"),
    ],
)
def test_a_wrong_latency_ends_the_program_at_its_start(args: list[str], text: str) -> None:
    result = CliRunner().invoke(app, ["--api-key", "1-key", "--listen", "127.0.0.1:0", *args], env={"COLUMNS": "300"})
    assert result.exit_code != 0
    assert text in result.stderr
