"""The command `fake-truenas`, also `python -m fake_truenas`: one fake NAS on a websocket, until SIGTERM or SIGINT."""

import asyncio
import logging
import random
import re
import secrets
import signal
import sys
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from fake_truenas.config import NasConfig, Pool
from fake_truenas.nas import Nas
from fake_truenas.passwords import Account
from fake_truenas.properties import parse_size
from fake_truenas.rate_limit import RateLimit
from fake_truenas.store import StoreError


class LogLevel(StrEnum):
    """Names of the logging levels."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


app = typer.Typer(add_completion=False)


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


@app.command()
def serve(
    listen: Annotated[str, typer.Option(help="Address and port; port 0 takes a free one.")] = "127.0.0.1:6000",
    pool: Annotated[
        list[str] | None, typer.Option(help="Pool as NAME:SIZE; may be repeated.  [default: tank:1TiB]")
    ] = None,
    api_key: Annotated[
        str, typer.Option(envvar="FAKE_TRUENAS_API_KEY", help="The key that may log in; made up and printed if absent.")
    ] = "",
    user: Annotated[
        str, typer.Option(envvar="FAKE_TRUENAS_USER", help="NAME:PASSWORD that may log in besides the key.")
    ] = "",
    data_dir: Annotated[Path | None, typer.Option(help="Keep the state here; in memory without it.")] = None,
    rate_limit: Annotated[
        bool, typer.Option("--rate-limit/--no-rate-limit", help="Refuse the 21st call of a minute before a login.")
    ] = False,
    idle_timeout: Annotated[
        float, typer.Option(help="Seconds without a byte from the server until a connection is cut; 0 never cuts.")
    ] = 60.0,
    log_level: Annotated[LogLevel, typer.Option(help="What goes to stderr.")] = LogLevel.WARNING,
) -> None:
    """Run a fake TrueNAS until SIGTERM or SIGINT. Prints a line on stdout when it is ready."""
    logging.basicConfig(level=log_level.value.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("websockets").setLevel(
        max(logging.INFO, logging.getLogger().level)
    )  # its debug log shows secrets
    try:
        host, port = parse_listen(listen)
        pools = tuple(parse_pool(text) for text in pool or ["tank:1TiB"])
        if not api_key:
            api_key = f"1-{secrets.token_urlsafe(48)}"
            print(f"API key: {api_key}", flush=True)  # noqa: T201 - the one place where the key is shown
        config = NasConfig(
            pools=pools,
            api_key=api_key,
            accounts=(parse_user(user, secrets.token_bytes(16)),) if user else (),
            data_dir=data_dir,
            rate_limit=RateLimit() if rate_limit else None,
            idle_timeout_s=idle_timeout or None,
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_serve(config, host, port))
    except (StoreError, OSError) as error:
        print(f"fake_truenas: {error}", file=sys.stderr)  # noqa: T201 - the command line's error output
        raise typer.Exit(1) from None


def _loop_factory() -> "type[asyncio.AbstractEventLoop] | None":
    if sys.platform != "linux":
        return None
    import uvloop  # noqa: PLC0415 - not installed on other systems

    return uvloop.Loop


async def _serve(config: NasConfig, host: str, port: int) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    nas = Nas(config, rng=random.Random(secrets.randbits(64)), clock=lambda: datetime.now(UTC).timestamp())  # noqa: S311 - not for secrets
    try:
        server = await nas.serve(host, port)
        print(f"fake_truenas ready on {server.url}", flush=True)  # noqa: T201 - callers wait for this line
        await stop.wait()
        await server.close()
    finally:
        nas.close()


def main() -> None:
    """Entry point of the console script."""
    app()


if __name__ == "__main__":
    main()
