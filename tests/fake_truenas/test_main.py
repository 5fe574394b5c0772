"""The command: ready line, signals, refusals, and what survives kill -9."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from ssl import create_default_context

import pytest
from typer.testing import CliRunner
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidMessage

from fake_truenas import NasConfig, totp
from fake_truenas.__main__ import app
from fake_truenas.key_pair import keep
from fake_truenas.latency import parse_rule
from fake_truenas.rate_limit import RateLimit
from tests.fake_truenas.rpc import KEY, Client, make_nas


@asynccontextmanager
async def process(*args: str, **env: str) -> AsyncIterator[asyncio.subprocess.Process]:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "fake_truenas", "--listen", "127.0.0.1:0", *args,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env={**os.environ, **env},
    )  # fmt: skip
    try:
        yield child
    finally:
        if child.returncode is None:
            child.kill()
        await child.communicate()


async def ready(child: asyncio.subprocess.Process, scheme: str = "ws") -> str:
    assert child.stdout is not None
    line = (await child.stdout.readline()).decode()
    match = re.fullmatch(rf"fake_truenas ready on ({scheme}://127\.0\.0\.1:\d+/api/current)\n", line)
    assert match, line
    return match[1]


async def login(url: str, key: str = KEY) -> Client:
    client = Client(await connect(url, proxy=None))
    assert await client.call("auth.login_with_api_key", key) is True
    return client


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_says_when_it_is_ready_and_ends_with_0_on_a_signal(number: signal.Signals) -> None:
    async with process("--pool", "tank:2TiB", "--pool", "flash:16G", FAKE_TRUENAS_API_KEY=KEY) as child:
        client = await login(await ready(child))
        pools = await client.call("pool.query", [], {"select": ["name", "size"]})
        assert pools == [{"name": "tank", "size": 2 << 40}, {"name": "flash", "size": 16 << 30}]
        child.send_signal(number)
        assert await child.wait() == 0
        await client.close()
        out, err = await child.communicate()
        assert (out, err) == (b"", b"")


async def test_without_a_key_it_makes_one_up_and_prints_it_once() -> None:
    async with process(FAKE_TRUENAS_API_KEY="") as child:
        assert child.stdout is not None
        first = (await child.stdout.readline()).decode()
        match = re.fullmatch(r"API key: (1-[\w-]{64})\n", first)
        assert match, first
        client = await login(await ready(child), match[1])
        await client.close()


@pytest.mark.parametrize(
    ("flags", "member", "expected"),
    [
        ((), "rate_limit", RateLimit()),
        (("--no-rate-limit",), "rate_limit", None),
        (("--version", "26.0"), "version", "26.0"),
        ((), "version", "25.10.5"),
        ((), "idle_timeout_s", 60.0),
        (("--version", "26.0"), "idle_timeout_s", 3600.0),
        (("--idle-timeout", "0.05"), "idle_timeout_s", 0.05),
        (("--idle-timeout", "0"), "idle_timeout_s", None),
        (("--insecure-keys",), "insecure_keys", True),
        (("--latency", "core.*=20ms"), "latency", (parse_rule("core.*=20ms"),)),
    ],
)
def test_flags_make_the_configuration(
    flags: tuple[str, ...], member: str, expected: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[NasConfig] = []
    monkeypatch.setattr("fake_truenas.__main__._run", lambda config, *_: made.append(config))
    result = CliRunner().invoke(app, ["--api-key", KEY, *flags])
    assert (result.exit_code, result.output) == (0, "")
    assert getattr(made[0], member) == expected


def test_the_help_says_what_happens_without_a_flag() -> None:
    shown = " ".join(CliRunner().invoke(app, ["--help"], env={"COLUMNS": "400"}).output.split())
    for default in (
        "127.0.0.1:6000",
        "25.10.5",
        "(tank:1TiB)",
        "(FULL_ADMIN)",
        "(60, from 26.0 on 3600)",
        "(everywhere)",
    ):
        assert f"[default: {default}]" in shown, default


@pytest.mark.parametrize(
    ("flags", "said"), [(("--idle-timeout", "-1"), "idle timeout"), (("--version", "27.0"), "'27.0' is not known")]
)
def test_flags_that_cannot_be_are_refused(flags: tuple[str, ...], said: str) -> None:
    result = CliRunner().invoke(app, ["--api-key", "1-x", *flags])
    assert (result.exit_code, said in " ".join(result.output.split())) == (2, True)


async def test_a_user_logs_in_and_no_secret_reaches_the_log() -> None:
    user = "ada:pass:word one"
    async with process("--log-level", "debug", FAKE_TRUENAS_API_KEY=KEY, FAKE_TRUENAS_USER=user) as child:
        client = Client(await connect(await ready(child), proxy=None))
        assert await client.call("auth.login", "ada", "pass:word one") is True
        token = await client.call("auth.generate_token")
        assert await client.call("auth.login_with_token", token) is True
        assert await client.call("auth.login_with_api_key", KEY) is True
        await client.close()
        child.send_signal(signal.SIGTERM)
        out, err = await child.communicate()
    assert not any(secret in out + err for secret in (b"word one", token.encode(), KEY.encode()))


async def test_roles_and_a_second_factor_are_given_by_flags() -> None:
    flags = ("--version", "25.04", "--user", "ada:pw", "--role", "ada=DATASET_READ",
             "--role", "truenas_admin=READONLY_ADMIN")  # fmt: skip
    async with process(*flags, FAKE_TRUENAS_API_KEY=KEY, FAKE_TRUENAS_OTP_SECRET="ada=JBSWY3DPEHPK3PXP") as child:
        client = await login(await ready(child))
        assert await client.call("system.version") == "TrueNAS-25.04.2"
        assert (await client.refused("pool.dataset.create", {"name": "tank/x"})).data["error"] == 13
        assert await client.call("auth.login", "ada", "pw", None) is False
        secret, now = totp.parse_secret("JBSWY3DPEHPK3PXP"), datetime.now(UTC).timestamp()
        # The second try is for an interval that has just ended.
        codes = [totp.code(secret, now), totp.code(secret, now + totp.INTERVAL_S)]
        given = [await client.call("auth.login", "ada", "pw", codes[0])]
        assert given == [True] or await client.call("auth.login", "ada", "pw", codes[1])
        assert (await client.refused("pool.query")).data["error"] == 13
        await client.close()
    result = CliRunner().invoke(app, ["--api-key", "1-x", "--role", "eve=FULL_ADMIN"])
    assert (result.exit_code, "there is no user 'eve'" in " ".join(result.output.split())) == (2, True)


@pytest.mark.parametrize("text", ["hunter2", "root:", ":hunter2", "ro ot:hunter2", "1a:hunter2", "r" * 33 + ":hunter2"])
def test_wrong_users_are_refused_without_showing_the_password(text: str) -> None:
    result = CliRunner().invoke(app, ["--api-key", "1-x", "--user", text])
    assert result.exit_code == 2
    assert "user" in result.output
    assert "hunter2" not in result.output


async def test_a_certificate_of_its_own_is_made_and_found_again(tmp_path: Path) -> None:
    found = []
    for _ in range(2):
        flags = ("--tls-self-signed", "--data-dir", str(tmp_path))
        async with process(*flags, FAKE_TRUENAS_API_KEY=KEY) as child:
            url = await ready(child, scheme="wss")
            trusted = create_default_context(cafile=str(tmp_path / "tls-certificate.pem"))
            client = Client(await connect(url, proxy=None, ssl=trusted))
            assert await client.call("auth.login_with_api_key", KEY) is True
            with pytest.raises((InvalidMessage, OSError)):  # somebody who has not heard of TLS
                await connect(url.replace("wss://", "ws://"), proxy=None)
            child.send_signal(signal.SIGTERM)
            assert await child.wait() == 0
            await client.socket.wait_closed()
            assert client.socket.close_code == 1001
            await client.close()
            assert await child.communicate() == (b"", b"")
        found.append((tmp_path / "tls-key.pem").read_bytes())
    assert found[0] == found[1]


async def test_a_given_certificate_is_served_to_the_networks_that_are_allowed(tmp_path: Path) -> None:
    certificate, key = (str(path) for path in keep(tmp_path, "127.0.0.1", datetime.now(UTC)))
    flags = ("--tls-cert", certificate, "--tls-key", key, "--allow", "192.0.2.0/24", "--allow", "2001:db8::1")
    async with process(*flags, FAKE_TRUENAS_API_KEY=KEY) as child:
        trusted = create_default_context(cafile=certificate)
        socket = await connect(await ready(child, scheme="wss"), proxy=None, ssl=trusted)
        await socket.wait_closed()
        assert (socket.close_code, socket.close_reason) == (1008, "You are not allowed to access this resource")


async def test_a_directory_in_use_is_refused_with_a_clear_message(tmp_path: Path) -> None:
    nas = make_nas(tmp_path)
    async with process("--data-dir", str(tmp_path), FAKE_TRUENAS_API_KEY=KEY) as child:
        _, err = await child.communicate()
        assert child.returncode == 1
        assert f"fake_truenas: {tmp_path} is in use by another fake_truenas process" in err.decode()
    nas.close()


async def test_nothing_acknowledged_is_lost_by_kill_9_under_load(tmp_path: Path) -> None:
    acknowledged: list[tuple[str, str]] = []
    sent: set[str] = set()
    enough = asyncio.Event()

    async def load(client: Client, lane: int) -> None:
        for number in range(10_000):
            name = f"tank/l{lane}-{number:05}"
            sent.add(name)
            await client.call("pool.dataset.create", {"name": name, "user_properties": [{"key": "a:n", "value": name}]})
            acknowledged.append(("created", name))
            if number % 3 == 0:
                await client.call("pool.dataset.delete", name)
                acknowledged.append(("deleted", name))
            if len(acknowledged) > 400:
                enough.set()

    async with process("--data-dir", str(tmp_path), FAKE_TRUENAS_API_KEY=KEY) as child:
        client = await login(await ready(child))
        lanes = [asyncio.create_task(load(client, lane)) for lane in range(8)]
        await enough.wait()
        child.kill()
        await child.wait()
        for lane in lanes:
            lane.cancel()
        await asyncio.gather(*lanes, return_exceptions=True)
        await client.close()
    nas = make_nas(tmp_path)
    rows = nas.call_direct("pool.dataset.query", [["id", "^", "tank/"]])
    present = {row["id"]: row["user_properties"]["a:n"]["value"] for row in rows}
    last = dict.fromkeys((name for _, name in acknowledged), "")
    last.update((name, what) for what, name in acknowledged)
    assert len(acknowledged) > 400
    # A name whose delete was sent but not acknowledged may be either there or gone.
    lost = [name for name, what in last.items() if what == "created" and name not in present and int(name[-5:]) % 3]
    revived = [name for name, what in last.items() if what == "deleted" and name in present]
    assert (lost, revived) == ([], [])
    assert all(name == value for name, value in present.items())
    assert set(present) <= sent
    assert nas.db.value("pragma integrity_check") == "ok"
    assert nas.db.rows("pragma foreign_key_check") == []
    nas.close()
