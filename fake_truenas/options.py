"""The flags of `fake-truenas`: spelling, help, and what their texts mean."""

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from fake_truenas.config import Pool
from fake_truenas.passwords import Account
from fake_truenas.persona import TRAINS
from fake_truenas.properties import parse_size


class LogLevel(StrEnum):
    """Names of the logging levels."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


Listen = Annotated[str, typer.Option(help="Address and port; port 0 takes a free one.")]
Pools = Annotated[list[str] | None, typer.Option(help="Pool as NAME:SIZE; may be repeated.  [default: tank:1TiB]")]
ApiKey = Annotated[
    str, typer.Option(envvar="FAKE_TRUENAS_API_KEY", help="The key that may log in; made up and printed if absent.")
]
User = Annotated[str, typer.Option(envvar="FAKE_TRUENAS_USER", help="NAME:PASSWORD that may log in besides the key.")]
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
        help="Seconds without a byte from the server until a connection is cut; 0 never cuts."
        "  [default: 60, from 26.0 on 3600]"
    ),
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


def parse_user(text: str, salt: bytes) -> Account:
    """Read NAME:PASSWORD; the password may have colons in it.

    Raises:
        ValueError: it is not such a pair; the text does not show the password.
    """
    name, colon, password = text.partition(":")
    if not colon:
        raise ValueError("the user is not NAME:PASSWORD, for example root:secret")
    return Account.with_password(name, password, salt)
