"""TCP's rules on the simulated network; and the same programs on real sockets where those can show them."""

import asyncio
import errno
import random
import socket
import struct
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, ClassVar

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosedError

from csisim.sim.errors import Deadlock
from csisim.sim.loop import SimLoop
from csisim.sim.network import Conditions, Network, on_host
from csisim.sim.run import simulate
from csisim.sim.strategies import RandomWalk

NAS = "10.0.0.5"


# A real kernel buffers megabytes at each end.
MORE_THAN_FITS_BYTES = {False: 12 << 20, True: 1 << 20}


def is_simulated() -> bool:
    return isinstance(asyncio.get_running_loop(), SimLoop)


def network() -> Network:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SimLoop)
    return loop.network


class Recorder(asyncio.Protocol):
    """Writes down what a connection tells it."""

    opened: ClassVar[list[asyncio.Transport]] = []

    def __init__(self) -> None:
        self.log: list[Any] = []
        self.received = b""
        self.lost: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        self.transport: Any = None
        self.keep_open = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.opened.append(transport)
        self.log.append("made")

    def data_received(self, data: bytes) -> None:
        self.received += data

    def eof_received(self) -> bool:
        self.log.append("eof")
        return self.keep_open

    def pause_writing(self) -> None:
        self.log.append("pause")

    def resume_writing(self) -> None:
        self.log.append("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self.log.append("lost" if exc is None else f"lost {type(exc).__name__}")
        if not self.lost.done():
            self.lost.set_result(exc)


async def pair(host: str = "127.0.0.1") -> tuple[Recorder, Recorder]:
    """A client and a server, connected."""
    loop = asyncio.get_running_loop()
    accepted: list[Recorder] = []

    def accept() -> Recorder:
        accepted.append(Recorder())
        return accepted[-1]

    server = await loop.create_server(accept, host, 0)
    _, client = await loop.create_connection(Recorder, host, server.sockets[0].getsockname()[1])
    while not accepted or accepted[0].transport is None:
        await asyncio.sleep(0.001)
    server.close()
    return client, accepted[0]


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it did not come to pass in 10 s")


def run(program: Callable[[], Coroutine[Any, Any, Any]], **options: Any) -> Any:
    outcome = simulate(program, **options)
    if outcome.error is not None:
        raise outcome.error
    return outcome.result


# On both


async def order_is_kept() -> None:
    client, server = await pair()
    sent = b""
    for number in range(500):
        piece = b"%d," % number
        sent += piece
        client.transport.write(piece)
    server.transport.writelines([b"a", b"b"])
    await until(lambda: server.received == sent and client.received == b"ab")
    client.transport.close()
    await client.lost
    await server.lost
    assert client.log == ["made", "lost"]
    assert server.log == ["made", "eof", "lost"]


async def half_close() -> None:
    client, server = await pair()
    server.keep_open = True
    client.transport.write(b"question")
    assert client.transport.can_write_eof()
    client.transport.write_eof()
    with pytest.raises(RuntimeError, match="after write_eof"):
        client.transport.write(b"more")
    await until(lambda: "eof" in server.log)
    assert server.received == b"question"
    server.transport.write(b"answer")
    await until(lambda: client.received == b"answer")
    assert "lost" not in client.log
    server.transport.close()
    await client.lost
    await server.lost


async def reset() -> None:
    client, server = await pair()
    client.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.transport.abort()
    assert isinstance(await server.lost, ConnectionResetError)
    assert await client.lost is None
    client.transport.write(b"into nowhere")
    assert server.received == b""


async def writing_to_who_has_closed() -> None:
    client, server = await pair()
    client.keep_open = True
    server.transport.close()
    await server.lost
    await until(lambda: "eof" in client.log)
    client.transport.write(b"answered with a reset")
    await asyncio.sleep(0.05)
    assert not client.lost.done()
    client.transport.write(b"refused")
    client.transport.write(b"goes nowhere")
    assert isinstance(await client.lost, BrokenPipeError)
    client.transport.write(b"neither")


async def backpressure() -> None:
    client, server = await pair()
    server.transport.pause_reading()
    assert not server.transport.is_reading()
    sent = random.Random(1).randbytes(MORE_THAN_FITS_BYTES[is_simulated()])
    client.transport.write(sent)
    assert client.log == ["made", "pause"]
    assert client.transport.get_write_buffer_size() > 64 << 10
    server.transport.resume_reading()
    assert server.transport.is_reading()
    await until(lambda: len(server.received) == len(sent))
    assert server.received == sent
    await until(lambda: client.log[-1] == "resume")
    assert client.transport.get_write_buffer_size() == 0


async def closing_flushes() -> None:
    client, server = await pair()
    sent = bytes(MORE_THAN_FITS_BYTES[is_simulated()])
    client.transport.write(sent)
    client.transport.close()
    assert client.transport.is_closing()
    await server.lost
    assert len(server.received) == len(sent)
    assert await client.lost is None


async def unread_bytes_make_a_reset() -> None:
    client, server = await pair()
    server.transport.pause_reading()
    client.transport.write(b"never read")
    await asyncio.sleep(0.05)
    server.transport.close()
    assert isinstance(await client.lost, ConnectionResetError)


async def nobody_listens() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Recorder, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(OSError, match="in use") as taken:
        await loop.create_server(Recorder, "127.0.0.1", port)
    assert taken.value.errno == errno.EADDRINUSE
    server.close()
    with pytest.raises(ConnectionRefusedError):
        await loop.create_connection(Recorder, "127.0.0.1", port)
    with pytest.raises(FileNotFoundError):
        await loop.create_unix_connection(Recorder, "/nonexistent/csi.sock")
    with pytest.raises(ValueError, match="host and port"):
        await loop.create_connection(Recorder)


async def streams() -> None:
    async def serve_upper(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.read()).upper())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve_upper, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    assert writer.get_extra_info("peername") == server.sockets[0].getsockname()
    assert writer.get_extra_info("sockname")[0] == "127.0.0.1"
    assert writer.get_extra_info("socket").family == socket.AF_INET
    writer.write(b"csi")
    writer.write_eof()
    assert await reader.read() == b"CSI"
    writer.close()
    await writer.wait_closed()
    server.close()
    await server.wait_closed()


BOTH = [
    order_is_kept, half_close, reset, writing_to_who_has_closed, backpressure, closing_flushes,
    unread_bytes_make_a_reset, nobody_listens, streams,
]  # fmt: skip


@pytest.mark.parametrize("program", BOTH)
def test_simulated(program: Callable[[], Coroutine[Any, Any, None]]) -> None:
    for seed in range(2):
        run(program, seed=seed, strategy=RandomWalk, conditions=Conditions(latency_s=(0.0001, 0.01), split=0.3))


@pytest.mark.parametrize("program", BOTH)
async def test_real(program: Callable[[], Awaitable[None]]) -> None:
    Recorder.opened.clear()
    try:
        await program()
    finally:
        for transport in Recorder.opened:
            if not transport.is_closing():
                transport.abort()
        for _ in range(3):
            await asyncio.sleep(0)


# Only here: what goes wrong


def test_a_partition_holds_bytes_up_and_healing_delivers_them() -> None:
    async def program() -> None:
        client, server = await pair(NAS)
        network().partition("127.0.0.1", NAS)
        client.transport.write(b"held")
        server.transport.write(b"through")
        await asyncio.sleep(60)
        assert client.received == b"through"
        assert server.received == b""
        client.transport.write(b" up")
        network().heal()
        await asyncio.sleep(1)
        assert server.received == b"held up"

    run(program)


def test_who_is_never_acknowledged_gives_up() -> None:
    async def program() -> None:
        client, server = await pair(NAS)
        network().partition("127.0.0.1", NAS)
        began = asyncio.get_running_loop().time()
        client.transport.write(b"anybody?")
        error = await client.lost
        assert isinstance(error, TimeoutError)
        assert error.errno == errno.ETIMEDOUT
        assert asyncio.get_running_loop().time() - began == pytest.approx(924.6)
        assert not server.lost.done()  # half-open: the other end knows nothing
        network().heal()
        server.transport.write(b"still there?")
        assert isinstance(await server.lost, ConnectionResetError)

    run(program)


def test_a_link_swallows_in_one_direction_or_is_reset() -> None:
    async def program() -> None:
        client, server = await pair()
        (link,) = network().links
        link.hold(up=False)
        client.transport.write(b"up")
        server.transport.write(b"down")
        await asyncio.sleep(1)
        assert (server.received, client.received) == (b"up", b"")
        link.heal()
        await asyncio.sleep(1)
        assert client.received == b"down"
        link.reset()
        assert isinstance(await client.lost, ConnectionResetError)
        assert isinstance(await server.lost, ConnectionResetError)
        assert network().links == []

    run(program)


def test_connecting_through_a_partition_times_out_or_waits_for_it_to_heal() -> None:
    async def program() -> list[float]:
        loop = asyncio.get_running_loop()
        await loop.create_server(Recorder, NAS, 443)
        network().partition(NAS, "127.0.0.1")
        took = []
        with pytest.raises(TimeoutError) as raised:
            await loop.create_connection(Recorder, NAS, 443)
        assert raised.value.errno == errno.ETIMEDOUT
        took.append(loop.time())
        loop.call_later(10, network().heal)
        _, client = await loop.create_connection(Recorder, NAS, 443)
        assert client.log == ["made"]
        took.append(loop.time() - took[0])
        return took

    timed_out, healed = run(program)
    assert timed_out == pytest.approx(127, abs=0.1)
    assert healed == pytest.approx(10, abs=0.1)


def test_a_host_that_loses_power_tells_nobody_and_resets_old_connections_when_it_is_back() -> None:
    async def program() -> None:
        loop = asyncio.get_running_loop()
        client, server = await pair(NAS)
        await loop.create_server(Recorder, NAS, 443)
        network().crash(NAS)
        client.transport.write(b"are you there?")
        await asyncio.sleep(60)
        assert client.log == ["made"]
        assert server.log == ["made"]
        network().restart(NAS)
        assert isinstance(await client.lost, ConnectionResetError)
        with pytest.raises(ConnectionRefusedError):
            await loop.create_connection(Recorder, NAS, 443)
        await loop.create_server(Recorder, NAS, 443)

    run(program)


def test_hosts_have_names_and_code_runs_on_one_of_them() -> None:
    async def program() -> None:
        loop = asyncio.get_running_loop()
        network().names["nas.example"] = NAS
        client, server = await pair("nas.example")
        assert server.transport.get_extra_info("sockname")[0] == NAS
        with on_host("10.0.0.9"):
            other, _ = await pair("nas.example")
        assert other.transport.get_extra_info("sockname")[0] == "10.0.0.9"
        network().partition("10.0.0.9", NAS)
        client.transport.write(b"a")
        other.transport.write(b"b")
        await asyncio.sleep(1)
        assert server.received == b"a"
        with pytest.raises(socket.gaierror):
            await loop.create_connection(Recorder, "elsewhere.example", 1)
        found = await loop.getaddrinfo("nas.example", 443)
        assert found[0][4] == (NAS, 443)
        assert await loop.getnameinfo((NAS, 443)) == (NAS, "443")

    run(program)


def test_a_slow_link_takes_its_time() -> None:
    async def program() -> float:
        loop = asyncio.get_running_loop()
        network().set_conditions("127.0.0.1", NAS, Conditions(latency_s=(0.5, 0.5), bytes_per_s=1000))
        client, server = await pair(NAS)
        began = loop.time()
        client.transport.write(bytes(2000))
        client.transport.write(b"!")
        await until(lambda: server.received.endswith(b"!"))
        return loop.time() - began

    assert run(program) == pytest.approx(0.5 + 2.001, abs=0.01)


@pytest.mark.parametrize("wrong", [{"latency_s": (2, 1)}, {"split": 2}, {"window_bytes": 0}, {"bytes_per_s": 0}])
def test_conditions_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"latency_s|split"):
        Conditions(**wrong)


def test_nothing_but_bytes_passes_from_one_end_to_the_other() -> None:
    import contextvars

    secret = contextvars.ContextVar("secret", default="none")
    seen: list[str] = []

    async def program() -> None:
        class Looks(Recorder):
            def connection_made(self, transport: Any) -> None:
                seen.append(secret.get())

            def data_received(self, data: bytes) -> None:
                seen.append(secret.get())

            def connection_lost(self, exc: Exception | None) -> None:
                seen.append(secret.get())

        loop = asyncio.get_running_loop()
        server = await loop.create_server(Looks, "127.0.0.1", 4000)
        secret.set("the client's")
        transport, client = await loop.create_connection(Recorder, "127.0.0.1", 4000)
        transport.write(b"x")
        transport.close()
        await client.lost
        await asyncio.sleep(1)
        server.close()

    run(program)
    assert seen == ["none"] * 3


def test_unmodified_websockets_ping_close_and_notice_silence() -> None:
    async def program() -> list[str]:
        log = []

        async def echo(websocket: Any) -> None:
            async for message in websocket:
                await websocket.send(message)

        async with serve(echo, "localhost", 8080, ping_interval=None):
            async with connect("ws://localhost:8080", proxy=None) as websocket:
                for message in ("text", b"bytes", "x" * 300_000):
                    await websocket.send(message)
                    assert await websocket.recv() == message
                await (await websocket.ping())
            log.append(f"closed {websocket.close_code}")
            async with connect("ws://localhost:8080", proxy=None, ping_interval=20, ping_timeout=20) as websocket:
                network().links[0].hold()
                began = asyncio.get_running_loop().time()
                with pytest.raises(ConnectionClosedError):
                    await websocket.recv()
                log.append(f"silence noticed after {asyncio.get_running_loop().time() - began:.0f} s")
        return log

    assert run(program) == ["closed 1000", "silence noticed after 50 s"]


def test_a_server_lists_its_sockets_and_is_served_until_it_is_closed() -> None:
    async def program() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Recorder, ["127.0.0.1", NAS], 5000)
        assert [each.getsockname() for each in server.sockets] == [("127.0.0.1", 5000), (NAS, 5000)]
        assert server.is_serving()
        serving = asyncio.create_task(server.serve_forever())
        await asyncio.sleep(0)
        _, client = await loop.create_connection(Recorder, NAS, 5000)
        server.close()
        with pytest.raises(asyncio.CancelledError):
            await serving
        assert not server.is_serving()
        assert server.sockets == ()
        server.close_clients()  # type: ignore[attr-defined]
        assert await client.lost is None

    run(program)


def test_waiting_for_bytes_that_nobody_sends_is_a_deadlock() -> None:
    async def program() -> None:
        client, _server = await pair()
        await client.lost

    assert isinstance(simulate(program).error, Deadlock)
