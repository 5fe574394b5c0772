"""The flags of `fake-truenas`: spelling, help, and what their texts mean."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from ssl import SSLContext
from typing import Annotated

import typer

from fake_truenas import totp
from fake_truenas.config import DEFAULT_USERNAME, Pool
from fake_truenas.latency import PROFILES, LatencyRule, parse_rule
from fake_truenas.passwords import Account
from fake_truenas.persona import TRAINS, persona
from fake_truenas.properties import parse_size
from fake_truenas.tls import from_files


class LogLevel(StrEnum):
    """Names of the logging levels."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


Listen = Annotated[str, typer.Option(help="Address and port; port 0 takes a free one.")]
Pools = Annotated[list[str] | None, typer.Option(help="Pool as NAME:SIZE; may be repeated.", show_default="tank:1TiB")]
ApiKey = Annotated[
    str, typer.Option(envvar="FAKE_TRUENAS_API_KEY", help="The key that may log in; made up and printed if absent.")
]
User = Annotated[str, typer.Option(envvar="FAKE_TRUENAS_USER", help="NAME:PASSWORD that may log in besides the key.")]
Roles = Annotated[
    list[str] | None,
    typer.Option(
        "--role",
        help="NAME=ROLE,ROLE that a user has, such as READONLY_ADMIN; the key's is truenas_admin; may be repeated.",
        show_default="FULL_ADMIN",
    ),
]
OtpSecret = Annotated[
    str,
    typer.Option(
        envvar="FAKE_TRUENAS_OTP_SECRET",
        help="NAME=SECRET: that user's password needs a one-time password too, of this secret in Base32.",
    ),
]
InsecureKeys = Annotated[
    bool,
    typer.Option(
        "--insecure-keys",
        help="Take keys over a plain connection from another machine; they are revoked for good without this.",
    ),
]
DataDir = Annotated[Path | None, typer.Option(help="Keep the state here; in memory without it.")]
Version = Annotated[
    str, typer.Option(help=f"The TrueNAS to be: a release, or one of {', '.join(TRAINS)} for its latest one.")
]
RateLimited = Annotated[
    bool, typer.Option("--rate-limit/--no-rate-limit", help="Refuse the 21st call of a minute before a login.")
]
IdleTimeout = Annotated[
    float | None,
    typer.Option(
        help="Seconds without a byte from the server until a connection is cut; 0 never cuts.",
        show_default="60, from 26.0 on 3600",
    ),
]
TlsCertificate = Annotated[
    Path | None, typer.Option("--tls-cert", help="Serve wss:// with this certificate, a PEM file; needs --tls-key.")
]
TlsKey = Annotated[Path | None, typer.Option("--tls-key", help="Its key, a PEM file without a passphrase.")]
TlsSelfSigned = Annotated[
    bool,
    typer.Option(
        "--tls-self-signed",
        help="Serve wss:// with a certificate made for the purpose; kept in the data directory if there is one.",
    ),
]
Allow = Annotated[
    list[str] | None,
    typer.Option(help="Address or network that clients may come from; may be repeated.", show_default="everywhere"),
]
Latency = Annotated[
    list[str] | None,
    typer.Option(
        help="METHOD=TIME: how long calls take. METHOD is a name or a pattern (pool.dataset.*), TIME is 50ms, 20ms..2s"
        " or exp:100ms. May be repeated; the last one for a method counts."
    ),
]
LatencyProfile = Annotated[
    str, typer.Option(help=f"Times for all methods, which --latency changes: {', '.join(PROFILES)}.")
]
Level = Annotated[LogLevel, typer.Option(help="What goes to stderr.")]


def parse_listen(text: str) -> tuple[str, int]:
    """Split HOST:PORT or [IPV6]:PORT.

    Raises:
        ValueError: it is not such a pair.
    """
    host, _, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not host or (":" in host and not bracketed) or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"{text!r} is not HOST:PORT, for example 127.0.0.1:6000 (port 0 takes a free one)")
    return host.strip("[]"), int(port)


def parse_pool(text: str) -> Pool:
    """Read NAME:SIZE, for example tank:1TiB.

    Raises:
        ValueError: it is not such a pair, or not a pool that can be made.
    """
    name, colon, size = text.rpartition(":")
    if not colon:
        raise ValueError(f"{text!r} is not NAME:SIZE, for example tank:1TiB")
    return Pool(name, parse_size(re.sub(r"(?i)(?<=[KMGTPE])iB$", "", size)))


def parse_network(text: str) -> IPv4Network | IPv6Network:
    """Read an address or a network, for example 192.0.2.7 or 192.0.2.0/24.

    Raises:
        ValueError: it is neither.
    """
    try:
        return ip_network(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is not an address or a network, for example 192.0.2.0/24: {error}") from None


def parse_latency(profile: str, rules: list[str] | None) -> tuple[LatencyRule, ...]:
    """The rules of a profile ("" for none), then those given as METHOD=TIME.

    Raises:
        ValueError: there is no such profile, or a rule is not METHOD=TIME.
    """
    if profile and profile not in PROFILES:
        raise ValueError(f"latency profile {profile!r}: there are {', '.join(PROFILES)}")
    return (*PROFILES.get(profile, ()), *(parse_rule(text) for text in rules or ()))


def read_tls(certificate: Path | None, key: Path | None, self_signed: bool) -> SSLContext | None:
    """What the two files are for; None without them.

    Raises:
        ValueError: one file without the other, or a file is wrong, or both and a self-signed certificate.
    """
    if (certificate is None) != (key is None):
        raise ValueError("--tls-cert and --tls-key go together: give both or neither")
    if certificate is None or key is None:
        return None
    if self_signed:
        raise ValueError("--tls-self-signed makes a certificate: leave out --tls-cert and --tls-key, or it")
    return from_files(certificate, key)


def idle_timeout_s(given: float | None, version: str) -> float | None:
    """The seconds asked for, or else what this release has; None (given as 0) is for ever.

    Raises:
        ValueError: there is no such release.
    """
    return (persona(version).idle_timeout_s if given is None else given) or None


def parse_accounts(user: str, roles: Sequence[str], otp_secret: str, salt: bytes) -> tuple[Account, ...]:
    """Read what the flags say of users: NAME:PASSWORD, NAME=ROLE,ROLE, and NAME=SECRET in Base32.

    Raises:
        ValueError: not in this form, for a user that there is not, or not a role; no text shows a secret.
    """
    accounts = [parse_user(user, salt)] if user else []
    owner = DEFAULT_USERNAME
    if all(account.name != owner for account in accounts):
        accounts.append(Account(owner))
    by_name = {account.name: account for account in accounts}
    for text in roles:
        name, equals, names = text.partition("=")
        if not equals:
            raise ValueError(f"role {text!r} is not NAME=ROLE,ROLE, for example {owner}=READONLY_ADMIN")
        granted = tuple(role.strip() for role in names.split(",") if role.strip())
        by_name[name] = replace(_known(name, by_name), roles=granted)
    if otp_secret:
        name, equals, secret = otp_secret.partition("=")
        if not equals:
            raise ValueError("the one-time password secret is not NAME=SECRET, for example ada=JBSWY3DPEHPK3PXP")
        if name not in by_name:  # not shown: it may be the beginning of the secret
            raise ValueError(f"the one-time password secret is for none of the users {', '.join(by_name)}")
        account = by_name[name]
        if not account.password_hash:
            raise ValueError(f"user {name} has no password: a one-time password would never be asked for")
        by_name[name] = replace(account, otp_secret=totp.parse_secret(secret))
    return tuple(by_name.values())


def _known(name: str, accounts: Mapping[str, Account]) -> Account:
    if name not in accounts:
        raise ValueError(f"there is no user {name!r:.40}: {', '.join(accounts)}; --user makes one")
    return accounts[name]


def parse_user(text: str, salt: bytes) -> Account:
    """Read NAME:PASSWORD; the password may have colons in it.

    Raises:
        ValueError: it is not such a pair; the text does not show the password.
    """
    name, colon, password = text.partition(":")
    if not colon:
        raise ValueError("the user is not NAME:PASSWORD, for example root:secret")
    return Account.with_password(name, password, salt)
