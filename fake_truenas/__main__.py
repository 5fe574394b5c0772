"""The command `fake-truenas`, also `python -m fake_truenas`: one fake NAS on a websocket, until SIGTERM or SIGINT."""

import asyncio
import gc
import logging
import random
import secrets
import signal
import sys
from datetime import UTC, datetime
from ssl import SSLContext

import typer

from fake_truenas import tls
from fake_truenas.config import NasConfig
from fake_truenas.latency import UnknownMethod
from fake_truenas.nas import Nas
from fake_truenas.options import (
    Allow,
    ApiKey,
    DataDir,
    IdleTimeout,
    InsecureKeys,
    Latency,
    LatencyProfile,
    Level,
    Listen,
    LogLevel,
    OtpSecret,
    Pools,
    RateLimited,
    Roles,
    TlsCertificate,
    TlsKey,
    TlsSelfSigned,
    User,
    Version,
    idle_timeout_s,
    parse_accounts,
    parse_latency,
    parse_listen,
    parse_network,
    parse_pool,
    read_tls,
)
from fake_truenas.persona import DEFAULT_VERSION
from fake_truenas.rate_limit import RateLimit
from fake_truenas.store import StoreError

app = typer.Typer(add_completion=False)


@app.command()
def serve(  # noqa: PLR0917 - typer takes flags so
    listen: Listen = "127.0.0.1:6000",
    pool: Pools = None,
    api_key: ApiKey = "",
    user: User = "",
    role: Roles = None,
    otp_secret: OtpSecret = "",
    insecure_keys: InsecureKeys = False,
    data_dir: DataDir = None,
    version: Version = DEFAULT_VERSION,
    rate_limit: RateLimited = True,
    idle_timeout: IdleTimeout = None,
    tls_cert: TlsCertificate = None,
    tls_key: TlsKey = None,
    tls_self_signed: TlsSelfSigned = False,
    allow: Allow = None,
    latency: Latency = None,
    latency_profile: LatencyProfile = "",
    log_level: Level = LogLevel.WARNING,
) -> None:
    """Run a fake TrueNAS until SIGTERM or SIGINT. Prints a line on stdout when it is ready."""
    logging.basicConfig(level=log_level.value.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # Its debug log shows secrets.
    logging.getLogger("websockets").setLevel(max(logging.INFO, logging.getLogger().level))
    try:
        host, port = parse_listen(listen)
        context = read_tls(tls_cert, tls_key, tls_self_signed)
        pools = tuple(parse_pool(text) for text in pool or ["tank:1TiB"])
        if not api_key:
            api_key = f"1-{secrets.token_urlsafe(48)}"
            print(f"API key: {api_key}", flush=True)  # noqa: T201 - the one place where the key is shown
        config = NasConfig(
            pools=pools,
            api_key=api_key,
            accounts=parse_accounts(user, role or (), otp_secret, secrets.token_bytes(16)),
            insecure_keys=insecure_keys,
            data_dir=data_dir,
            version=version,
            rate_limit=RateLimit() if rate_limit else None,
            idle_timeout_s=idle_timeout_s(idle_timeout, version),
            allow=tuple(parse_network(text) for text in allow or ()),
            latency=parse_latency(latency_profile, latency),
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    _run(config, host, port, context, tls_self_signed)


def _run(config: NasConfig, host: str, port: int, context: SSLContext | None, self_signed: bool) -> None:
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_serve(config, host, port, context, self_signed))
    except (StoreError, OSError, UnknownMethod, tls.TlsError) as error:
        print(f"fake_truenas: {error}", file=sys.stderr)  # noqa: T201 - the command line's error output
        raise typer.Exit(1) from None


def _loop_factory() -> "type[asyncio.AbstractEventLoop] | None":
    if sys.platform != "linux":
        return None
    import uvloop  # noqa: PLC0415 - not installed on other systems

    return uvloop.Loop


async def _serve(config: NasConfig, host: str, port: int, context: SSLContext | None, self_signed: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    nas = Nas(config, rng=random.Random(secrets.randbits(64)), clock=lambda: datetime.now(UTC).timestamp())  # noqa: S311 - not for secrets
    try:
        if self_signed:  # not before the data directory is ours
            context = tls.self_signed(config.data_dir, host, datetime.now(UTC))
        server = await nas.serve(host, port, context)
        gc.freeze()  # what is loaded now stays: without it, going through it again and again delays some calls by 20 ms
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
