"""Section 1 of the contract: the transport."""

import asyncio
from datetime import UTC, datetime
from http import HTTPStatus
from ipaddress import ip_network
from pathlib import Path
from ssl import SSLContext, create_default_context
from typing import Any

import orjson
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

from fake_truenas import Call, Nas, Proceed
from fake_truenas.connection import Socket
from fake_truenas.key_pair import CERTIFICATE_FILE
from fake_truenas.persona import TRAINS, persona
from fake_truenas.server import Server
from fake_truenas.tls import self_signed
from tests.fake_truenas.rpc import Client
from tests.fake_truenas.transport import LegacyClient, Raw, address, dialled, get, legacy, serving

PING = '{"jsonrpc":"2.0","id":1,"method":"core.ping"}'
PONG = {"jsonrpc": "2.0", "result": "pong", "id": 1}
V25_04 = ["v25.04.0", "v25.04.1", "v25.04.2"]
V25_10 = ["v25.10.0", "v25.10.1", "v25.10.2", "v25.10.3", "v25.10.4", "v25.10.5"]
VERSIONS = {
    "24.10": [],
    "25.04": ["v24.10", *V25_04],
    "25.10": ["v24.10", *V25_04, *V25_10],
    "26.0": [*V25_04, *V25_10, "v26.0.0"],
}


async def status_of(url: str) -> int:
    with pytest.raises(InvalidStatus) as caught:
        await connect(url, proxy=None)
    return caught.value.response.status_code


async def pings(url: str, **options: Any) -> ClientConnection:
    async with connect(url, proxy=None, **options) as ws:
        await ws.send(PING)
        assert orjson.loads(await ws.recv()) == PONG
    return ws


@pytest.mark.row("12 /api/current JSON-RPC")
@pytest.mark.parametrize("version", TRAINS)
async def test_json_rpc_is_at_current_and_at_the_path_of_each_version_from_25_04_on(version: str) -> None:
    every = sorted({name for names in VERSIONS.values() for name in names})
    async with serving(version=version) as (_, server):
        for path in ["/api/current", *(f"/api/{name}" for name in every)]:
            if version != "24.10" and path.removeprefix("/api/") in ["current", *VERSIONS[version]]:
                await pings(address(server, path))
            else:
                assert await status_of(address(server, path)) == 404
        async with legacy(server) as client:
            assert await client.call("core.ping") == "pong"


@pytest.mark.parametrize("path", ["/api/v1.0", "/api", "/", "/websocket2", "/api/v2.0/pool", "/_upload", "/_shell"])
async def test_unknown_paths_are_404_at_the_upgrade(server: Server, path: str) -> None:
    assert await status_of(address(server, path)) == 404
    assert (await get(server, path))[0] == 404


@pytest.mark.row("1 Discovery")
@pytest.mark.parametrize("version", ["25.04", "25.10", "26.0"])
async def test_versions_and_boot_id_are_json_over_plain_http(version: str) -> None:
    async with serving(version=version) as (nas, server):
        for path, expected in (("/api/versions", VERSIONS[version]), ("/api/boot_id", nas.boot_id)):
            status, headers, body = await get(server, path)
            assert (status, headers["content-type"], orjson.loads(body)) == (200, "application/json", expected)
        async with dialled(server.url) as client:
            assert await client.call("system.boot_id") == nas.boot_id


@pytest.mark.row("1 Stack")
async def test_a_ping_is_answered_with_its_payload_and_none_is_ever_sent(server: Server, nas: Nas) -> None:
    raw = await Raw.open(server.port)
    for payload in (b"", b"x" * 125):
        raw.send(payload, opcode=9)
        assert await raw.receive() == (10, payload)
    (session,) = nas.sessions.values()
    assert session.connection is not None
    socket = session.connection._socket
    assert (socket.ping_interval, socket.keepalive_task) == (None, None)
    await raw.close()


@pytest.mark.row("1 Idle cut", "12 idle cut")
@pytest.mark.parametrize(("version", "seconds"), [("24.10", 60), ("25.04", 60), ("25.10", 60), ("26.0", 3600)])
async def test_a_connection_is_cut_after_that_long_without_a_byte_from_the_server(version: str, seconds: int) -> None:
    async with (
        serving(version=version, idle_timeout_s=persona(version).idle_timeout_s) as (nas, server),
        connect(address(server, "/websocket"), proxy=None, ping_interval=None) as ws,
    ):
        client = LegacyClient(ws)
        assert (await client.ask(msg="connect", version="1"))["msg"] == "connected"
        (session,) = nas.sessions.values()
        assert session.connection is not None
        idle = session.connection._socket.idle
        assert idle is not None

        def wait(elapsed: float) -> None:
            idle._written_at = asyncio.get_running_loop().time() - elapsed
            assert idle._timer is not None
            idle._timer.cancel()
            idle._look()

        wait(seconds - 0.5)  # not yet, and a reply, an event or a pong begins the time anew
        await client.ask(msg="ping")
        assert asyncio.get_running_loop().time() - idle._written_at < seconds / 2
        wait(seconds - 0.5)
        session.connection.notify("collection_update", {"msg": "changed", "collection": "a.b", "id": 1})
        assert (await client.hear())["msg"] == "changed"
        assert asyncio.get_running_loop().time() - idle._written_at < seconds / 2
        wait(seconds - 0.5)
        await (await ws.ping())
        assert asyncio.get_running_loop().time() - idle._written_at < seconds / 2
        await client.say(msg="nothing that is answered")  # what the client sends does not count
        wait(seconds)
        await ws.wait_closed()
        assert (ws.close_code, ws.protocol.close_rcvd) == (1006, None)


@pytest.mark.row("1 Middleware down")
async def test_while_the_middleware_is_down_the_proxy_answers_502_or_504(server: Server, client: Client) -> None:
    server.middleware_down = True
    assert [await status_of(address(server, path)) for path in ("/api/current", "/websocket")] == [502, 502]
    assert (await get(server, "/api/versions"))[0] == 502
    server.middleware_down = HTTPStatus.GATEWAY_TIMEOUT
    assert await status_of(server.url) == 504
    assert await client.call("core.ping") == "pong"  # sockets that exist are another matter
    server.middleware_down = False
    await pings(server.url)


@pytest.mark.row("1 Frames")
@pytest.mark.parametrize("path", ["/api/current", "/websocket"])
async def test_frames_are_text_and_never_compressed(server: Server, path: str) -> None:
    async with connect(address(server, path), proxy=None, extensions=[ClientPerMessageDeflateFactory()]) as ws:
        assert ws.protocol.extensions == []
        await ws.send('{"msg":"connect","version":"1"}' if path == "/websocket" else PING)
        assert isinstance(await ws.recv(), str)
        await ws.send(b"{}")
        await ws.wait_closed()
        assert ws.close_code == 1003


@pytest.mark.row("1 Origin / UA")
async def test_neither_origin_nor_user_agent_matter(server: Server) -> None:
    await pings(server.url, user_agent_header=None)
    await pings(server.url, user_agent_header="Go-http-client/1.1", origin="http://elsewhere.example")


@pytest.mark.row("1 Message size in")
@pytest.mark.parametrize("path", ["/api/current", "/websocket"])
@pytest.mark.parametrize(
    ("login", "limit", "code", "reason"),
    [
        (False, 8192, 1007, "Anonymous connection max message length is 8 kB"),
        (True, 65536, 1009, "Max message length is 64 kB"),
    ],
)
async def test_messages_are_limited_in_characters(
    server: Server, path: str, login: bool, limit: int, code: int, reason: str
) -> None:
    async def exchange(ws: ClientConnection, method: str, length: int) -> Any:
        head = f'{{"jsonrpc":"2.0","msg":"method","id":"x","method":"{method}","params":[],"more":"'
        await ws.send(head + "ä" * (length - len(head) - 2) + '"}')
        return orjson.loads(await ws.recv())

    opened = legacy(server, login=login) if path == "/websocket" else dialled(server.url, login=login)
    async with opened as client:
        ws = client.ws if isinstance(client, LegacyClient) else client.socket
        if isinstance(client, Client):
            client._reader.cancel()
            await asyncio.gather(client._reader, return_exceptions=True)
        assert (await exchange(ws, "core.ping", limit))["result"] == "pong"
        if login:  # files are longer
            assert (await exchange(ws, "filesystem.file_receive", 2 << 20))["id"] == "x"
            assert (await exchange(ws, "failover.datastore.sql", limit + 1))["id"] == "x"
        await ws.send(orjson.dumps({"msg": "method", "method": "core.ping", "more": "x" * limit}).decode())
        await ws.wait_closed()
        assert (ws.close_code, ws.close_reason) == (code, reason)


async def test_a_file_longer_than_2_mib_closes_the_connection_too(dial: Any) -> None:
    client, length = await dial(), (2 << 20) + 1
    head = '{"jsonrpc":"2.0","id":1,"method":"filesystem.file_receive","params":["'
    await client.socket.send(head + "x" * (length - len(head) - 3) + '"]}')
    await client.socket.wait_closed()
    assert client.socket.close_code == 1009


@pytest.mark.row("1 Message size out")
@pytest.mark.parametrize("size", [1 << 20, 20 << 20])
async def test_replies_have_no_limit(nas: Nas, client: Client, size: int) -> None:
    async def large(call: Call, proceed: Proceed) -> Any:
        return "x" * size

    nas.intercept = large
    assert len(await client.call("core.ping")) == size


@pytest.mark.row("1 Allow-list refusal")
@pytest.mark.parametrize("path", ["/api/current", "/websocket"])
async def test_who_is_not_on_the_list_is_upgraded_and_sent_away(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    allow = (ip_network("192.0.2.0/24"), ip_network("2001:db8::/32"))
    async with serving(allow=allow) as (nas, server), connect(address(server, path), proxy=None) as ws:
        await ws.wait_closed()
        assert (ws.close_code, ws.close_reason) == (1008, "You are not allowed to access this resource")
        assert nas.sessions == {}
        for peer in ("192.0.2.9", "2001:db8::1"):
            monkeypatch.setattr(Socket, "remote_address", property(lambda _, peer=peer: (peer, 4711)))
            await pings(server.url)
    async with serving(allow=(ip_network("192.0.2.0/24"), ip_network("127.0.0.1"))) as (_, server):
        monkeypatch.undo()
        await pings(server.url)


@pytest.mark.row("1 Handler crash")
async def test_a_handler_that_fails_on_a_message_closes_with_1011(
    server: Server, nas: Nas, client: Client, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (session,) = nas.sessions.values()
    assert session.connection is not None

    def fail(text: str) -> Any:
        raise ZeroDivisionError("ä" * 100)

    monkeypatch.setattr(session.connection._framing, "read", fail)
    await client.socket.send(PING)
    await client.socket.wait_closed()
    assert (client.socket.close_code, client.socket.close_reason) == (1011, "ä" * 61)
    assert "a message could not be handled" in caplog.text
    await pings(server.url)


@pytest.mark.row("1 Handler crash")
async def test_a_server_that_stops_closes_with_1001_and_one_that_dies_just_drops() -> None:
    async with serving() as (_, server), dialled(server.url) as first, legacy(server) as second:
        await server.drop_connections()
        await asyncio.gather(first.socket.wait_closed(), second.ws.wait_closed())
        assert (first.socket.close_code, second.ws.close_code) == (1006, 1006)
        async with dialled(server.url) as third, legacy(server) as fourth:
            await server.close()
            await asyncio.gather(third.socket.wait_closed(), fourth.ws.wait_closed())
            assert (third.socket.close_code, fourth.ws.close_code) == (1001, 1001)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[SSLContext, Path]:
    directory = tmp_path_factory.mktemp("tls")
    return self_signed(directory, "127.0.0.1", datetime.now(UTC)), directory / CERTIFICATE_FILE


@pytest.mark.row("1 TLS")
async def test_tls_and_plain_ports_serve_the_same_nas(certificate: tuple[SSLContext, Path]) -> None:
    context, trusted = certificate
    async with serving(ssl=context) as (nas, server):
        plain = await nas.serve("127.0.0.1", 0)
        assert (server.url[:6], plain.url[:5]) == ("wss://", "ws://")
        verifying = create_default_context(cafile=str(trusted))
        async with dialled(server.url, ssl=verifying) as over_tls, dialled(plain.url) as over_tcp:
            assert await over_tls.call("pool.dataset.create", {"name": "tank/tls"})
            assert (await over_tcp.call("pool.dataset.get_instance", "tank/tls"))["id"] == "tank/tls"
            assert [session.secure for session in nas.sessions.values()] == [True, True]
            for session in list(nas.sessions.values()):  # a reset works over TLS too
                assert session.connection is not None
                session.connection.abort()
            await asyncio.gather(over_tls.socket.wait_closed(), over_tcp.socket.wait_closed())
            assert (over_tls.socket.close_code, over_tcp.socket.close_code) == (1006, 1006)
        await plain.close()


@pytest.mark.row("1 TLS")
@pytest.mark.parametrize(
    ("peer", "encrypted", "secure"),
    [
        ("192.0.2.7", False, False),
        ("192.0.2.7", True, True),
        ("2001:db8::7", False, False),
        ("127.0.0.9", False, True),
        ("::1", False, True),
    ],
)
async def test_a_session_is_secure_over_tls_or_from_the_loopback(
    peer: str, encrypted: bool, secure: bool, certificate: tuple[SSLContext, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Socket, "remote_address", property(lambda _: (peer, 4711)))
    client_side = create_default_context(cafile=str(certificate[1])) if encrypted else None
    async with (
        serving(ssl=certificate[0] if encrypted else None) as (nas, server),
        connect(server.url, proxy=None, ssl=client_side) as ws,
    ):
        await ws.send(PING)
        await ws.recv()
        (session,) = nas.sessions.values()
        assert (session.address, session.secure) == (peer, secure)
