"""Senders that break the rules of the NAS's port: each is answered or cut off, and the others are served meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from fake_truenas import Call, Nas, Proceed, connection
from fake_truenas.server import Server
from tests.fake_truenas.rpc import KEY, Client
from tests.fake_truenas.transport import Raw, dialled, frame, serving

PING = b'{"jsonrpc":"2.0","id":1,"method":"core.ping"}'
PONG = (1, b'{"jsonrpc":"2.0","result":"pong","id":1}')
GREETING = b'{"msg":"connect","version":"1"}'
LOGIN = orjson.dumps({"jsonrpc": "2.0", "id": 1, "method": "auth.login_with_api_key", "params": [KEY]})
UPGRADE = (
    b"GET /api/current HTTP/1.1\r\nHost: nas\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


@pytest.fixture
async def port() -> AsyncIterator[tuple[Nas, Server, Client]]:
    """A NAS, its server, and somebody who behaves and must go on being served."""
    async with serving() as (nas, server), dialled(server.url) as bystander:
        yield nas, server, bystander
        assert await bystander.call("core.ping") == "pong"


async def logged_in(server: Server, **options: Any) -> Raw:
    raw = await Raw.open(server.port, **options)
    raw.send(LOGIN)
    assert orjson.loads((await raw.receive())[1])["result"] is True
    return raw


async def _gone(nas: Nas, left: int = 1) -> None:
    while len(nas.sessions) > left:
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 65536,
        '{"a":' * 13107,
        '{"jsonrpc":"2.0","id":1,"method":"core.ping","params":[' + "[" * 32000 + "]" * 32000 + "]}",
        '{"jsonrpc":"2.0","id":1,"method":"core.ping","params":[1e999]}',
        '{"jsonrpc":"2.0","id":1e999,"method":"core.ping"}',
        '{"jsonrpc":"2.0","id":' + "9" * 60000 + ',"method":"core.ping"}',
        '{"jsonrpc":"2.0","id":1,"method":"core.job_abort","params":[' + "9" * 60000 + "]}",
        '{"jsonrpc":"2.0","id":1,"method":"core.job_abort","params":[-99999999999999999999999]}',
        '{"jsonrpc":"2.0","id":1,"method":"\\ud800"}',
        '{"jsonrpc":"2.0","id":1,"method":"' + "a." * 32000 + '"}',
        '{"jsonrpc":"2.0","id":1,"method":"core.ping","params":' + "[[]," * 15000 + "]}",
        '{"jsonrpc":"2.0","id":1,"method":"core.subscribe","params":["\\u0000"]}',
        '{"jsonrpc":"2.0","id":1,"method":"core.ping","params":[{"$date":99999999999999999}]}',
        '{"id":1,' + ",".join(f'"{number}":0' for number in range(6000)) + "}",
        "\ufeff{}",
    ],
)
async def test_texts_are_answered_once_and_the_connection_stays(port: tuple[Nas, Server, Client], text: str) -> None:
    raw = await logged_in(port[1])
    raw.send(text.encode())
    opcode, payload = await raw.receive()
    reply = orjson.loads(payload)
    assert (opcode, reply["jsonrpc"], ("error" in reply) is not ("result" in reply)) == (1, "2.0", True)
    raw.send(PING)
    assert await raw.receive() == PONG
    await raw.close()


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (frame(b'{"id":"\xff\xfe"}'), 1007),
        (frame(b"\xc3", fin=False) + frame(b"\x28", opcode=0), 1007),
        (frame(b"x" * 126, opcode=9), 1002),
        (frame(b"", opcode=9, fin=False), 1002),
        (frame(b"x", opcode=0), 1002),
        (frame(b"x", opcode=3), 1002),
        (frame(b"x", fin=False) + frame(b"y"), 1002),
        (bytes([0xC1]) + frame(b"x")[1:], 1002),
        (b"\x81\x02{}", 1002),
        (frame(b"\x03", opcode=8), 1002),
        (frame(b"\x03\xed", opcode=8), 1002),
        (frame(b"{}", opcode=2), 1003),
        (b"\x81\xff" + (1 << 62).to_bytes(8, "big") + bytes(4), 1009),
        (b"\x81\xff" + ((4 << 20) + 1).to_bytes(8, "big") + bytes(4), 1009),
    ],
)
@pytest.mark.parametrize("path", ["/api/current", "/websocket"])
async def test_frames_that_are_not_allowed_end_the_connection(
    port: tuple[Nas, Server, Client], path: str, sent: bytes, code: int
) -> None:
    nas, server, _ = port
    raw = await Raw.open(server.port, path)
    raw.writer.write(sent)
    assert await raw.ended() == code
    await _gone(nas)
    await raw.close()


@pytest.mark.parametrize("sent", [frame(b"x", opcode=3), frame(b"", opcode=8)])
async def test_who_is_told_to_go_and_stays_is_cut_off(port: tuple[Nas, Server, Client], sent: bytes) -> None:
    nas, server, _ = port
    raw = await Raw.open(server.port)
    peer = list(nas.sessions.values())[-1].connection
    assert peer is not None
    peer._socket.close_timeout = 0.02
    raw.writer.write(sent)
    while len(nas.sessions) > 1:
        await asyncio.sleep(0.001)
    await raw.close()


async def test_a_message_whose_fragments_never_end_is_cut_at_4_mib(port: tuple[Nas, Server, Client]) -> None:
    nas, server, _ = port
    raw = await Raw.open(server.port)
    end = asyncio.create_task(raw.ended())
    opcode, sent = 1, 0
    while not end.done() and sent < 8 << 20:
        raw.send(b"x" * 65536, opcode=opcode, fin=False)
        opcode, sent = 0, sent + 65536
        await asyncio.sleep(0)
    assert await end in {1009, None}  # None: what was still under way made the system reset the connection
    assert sent <= 5 << 20
    await _gone(nas)
    await raw.close()


async def test_empty_fragments_without_end_are_cut_off(
    port: tuple[Nas, Server, Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    nas, server, bystander = port
    monkeypatch.setattr(connection, "MAX_FRAGMENTS", 500)
    raw = await Raw.open(server.port)
    for _ in range(2):  # pieces of one message, not of all of them
        raw.writer.write(frame(b"", fin=False) + frame(b"", opcode=0, fin=False) * 400 + frame(PING, opcode=0))
        assert await raw.receive() == PONG
    raw.send(b"", fin=False)
    sent = 1
    while len(nas.sessions) > 1:
        raw.writer.write(frame(b"", opcode=0, fin=False) * 100)
        sent += 100
        assert await bystander.call("core.ping") == "pong"
        assert sent < 10_000, "not cut off"
    await raw.close()


async def test_a_byte_at_a_time_is_served_in_the_end(port: tuple[Nas, Server, Client]) -> None:
    _, server, bystander = port
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    for number, byte in enumerate(UPGRADE + frame(PING)):
        writer.write(bytes([byte]))
        await writer.drain()
        if number % 8 == 0:
            assert await bystander.call("core.ping") == "pong"
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
    raw = Raw(reader, writer)
    assert await raw.receive() == PONG
    await raw.close()


async def test_a_thousand_silent_connections_keep_nobody_from_being_served(port: tuple[Nas, Server, Client]) -> None:
    nas, server, bystander = port
    silent = [raw for _ in range(10) for raw in await asyncio.gather(*(Raw.open(server.port) for _ in range(100)))]
    assert len(nas.sessions) == 1001
    assert await bystander.call("core.ping") == "pong"
    silent[-1].send(PING)
    assert await silent[-1].receive() == PONG
    for raw in silent:
        raw.writer.transport.abort()
    await _gone(nas)


async def test_connections_that_never_finish_their_handshake_are_no_sessions(port: tuple[Nas, Server, Client]) -> None:
    nas, server, bystander = port
    opened = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(50)]
    for number, (_, writer) in enumerate(opened):
        writer.write(UPGRADE[: number * 3])
    assert await bystander.call("core.ping") == "pong"
    assert len(nas.sessions) == 1
    for _, writer in opened:
        writer.transport.abort()


@pytest.mark.parametrize(
    "head",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\n" * 300,  # TLS on a plain port
        b"GET /api/current\r\n\r\n",
        b"POST /api/current HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
        UPGRADE[:-2] + b"".join(b"X-%d: 1\r\n" % number for number in range(1000)) + b"\r\n",
        UPGRADE[:-2] + b"X: " + b"a" * 100_000 + b"\r\n\r\n",
        UPGRADE.replace(b"Version: 13", b"Version: 8"),
        UPGRADE.replace(b"AAAAAAAAAAAAAAAAAAAAAA==", b"short"),
        UPGRADE.replace(b"Upgrade: websocket", b"Upgrade: h2c"),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\0" * 70_000,
    ],
)
async def test_what_is_no_handshake_is_refused_or_cut(port: tuple[Nas, Server, Client], head: bytes) -> None:
    nas, server, _ = port
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(head)
    try:
        answer = await reader.read()
    except ConnectionError:
        answer = b""
    assert not answer.startswith(b"HTTP/1.1 101 ")
    assert len(nas.sessions) == 1
    writer.transport.abort()


@pytest.mark.parametrize(
    ("path", "greeting", "message"),
    [
        ("/api/current", None, frame(PING)),
        ("/websocket", GREETING, frame(b'{"msg":"method","id":1,"method":"core.ping"}')),
        ("/api/current", None, frame(b"x" * 125, opcode=9) * 4000),
        ("/websocket", GREETING, frame(b'{"msg":"ping","id":"' + b"x" * 8000 + b'"}') * 50),
    ],
)
async def test_who_never_reads_is_cut_off_once_too_much_waits_for_him(
    port: tuple[Nas, Server, Client],
    path: str,
    greeting: bytes | None,
    message: bytes,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    nas, server, bystander = port
    assert connection.MAX_UNSENT_BYTES == 64 << 20
    monkeypatch.setattr(connection, "MAX_UNSENT_BYTES", 1 << 20)

    async def large(call: Call, proceed: Proceed) -> Any:
        return await proceed() if call.session.authenticated else "x" * (1 << 20)

    nas.intercept = large
    raw = await Raw.open(server.port, path, receive_buffer_bytes=4096)
    if greeting is not None:
        raw.send(greeting)
        assert (await raw.receive())[0] == 1
    served = 0
    while len(nas.sessions) > 1:
        if raw.writer.transport.get_write_buffer_size() == 0:
            raw.writer.write(message)
        assert await bystander.call("core.ping") == "pong"
        served += 1
        assert served < 100, "not cut off"
    assert "does not read: cut off" in caplog.text
    await raw.close()


async def test_who_never_reads_does_not_keep_the_server_from_closing() -> None:
    async def large(call: Call, proceed: Proceed) -> Any:
        return "x" * (1 << 20)

    async with serving() as (nas, server):
        nas.intercept = large
        raw = await Raw.open(server.port, receive_buffer_bytes=4096)
        (session,) = nas.sessions.values()
        assert session.connection is not None
        session.connection._socket.close_timeout = 0.05
        transport = session.connection._socket.transport
        while transport.get_write_buffer_size() < 10 << 20:
            raw.send(PING)
            await asyncio.sleep(0)
        await server.close()
        assert nas.sessions == {}
        await raw.close()


async def test_a_peer_that_closed_only_its_sending_side_is_no_session_any_more(
    port: tuple[Nas, Server, Client],
) -> None:
    nas, server, _ = port
    raw = await Raw.open(server.port)
    raw.send(PING)
    assert await raw.receive() == PONG
    raw.writer.write_eof()
    assert await raw.ended() is None
    await _gone(nas)
    await raw.close()


async def test_between_the_messages_of_a_flood_others_get_their_turn(
    port: tuple[Nas, Server, Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    nas, server, _ = port
    raw = await Raw.open(server.port)
    peer = list(nas.sessions.values())[-1].connection
    assert peer is not None
    read, at_once = 0, [0]

    def count(text: str, genuine: Any = peer._framing.read) -> Any:
        nonlocal read
        read += 1
        return genuine(text)

    monkeypatch.setattr(peer._framing, "read", count)
    raw.writer.write(frame(b"{}") * 3000)
    while read < 3000:
        before = read
        await asyncio.sleep(0)
        at_once.append(read - before)
    assert max(at_once) <= 64
    await raw.close()


async def test_a_flood_of_calls_is_refused_and_the_others_are_served(port: tuple[Nas, Server, Client]) -> None:
    nas, server, bystander = port
    gate = asyncio.Event()

    async def hold(call: Call, proceed: Proceed) -> Any:
        if not call.session.authenticated:
            await gate.wait()
        return await proceed()

    nas.intercept = hold
    raw = await Raw.open(server.port)
    raw.writer.write(frame(PING) * 3000)
    assert await bystander.call("core.ping") == "pong"
    refused = [orjson.loads((await raw.receive())[1]) for _ in range(2980)]
    assert {reply["error"]["code"] for reply in refused} == {-32000}
    gate.set()
    assert [await raw.receive() for _ in range(20)] == [PONG] * 20
    await raw.close()
