"""The command `fake-truenas`, also `python -m fake_truenas`: one fake NAS on a websocket, until SIGTERM or SIGINT."""

import asyncio
import logging
import random
import secrets
import signal
import sys
from datetime import UTC, datetime

import typer

from fake_truenas.config import NasConfig
from fake_truenas.nas import Nas
from fake_truenas.options import (
    ApiKey,
    DataDir,
    IdleTimeout,
    Level,
    Listen,
    LogLevel,
    Pools,
    RateLimited,
    User,
    Version,
    parse_listen,
    parse_pool,
    parse_user,
)
from fake_truenas.persona import DEFAULT_VERSION, persona
from fake_truenas.rate_limit import RateLimit
from fake_truenas.store import StoreError

app = typer.Typer(add_completion=False)


@app.command()
def serve(  # noqa: PLR0917 - typer takes flags so
    listen: Listen = "127.0.0.1:6000",
    pool: Pools = None,
    api_key: ApiKey = "",
    user: User = "",
    data_dir: DataDir = None,
    version: Version = DEFAULT_VERSION,
    rate_limit: RateLimited = False,
    idle_timeout: IdleTimeout = None,
    log_level: Level = LogLevel.WARNING,
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
            version=version,
            rate_limit=RateLimit() if rate_limit else None,
            idle_timeout_s=(persona(version).idle_timeout_s if idle_timeout is None else idle_timeout) or None,
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
