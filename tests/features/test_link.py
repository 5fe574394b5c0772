"""Kinds of fault of the connection between driver and NAS: what bytes arrive at a real peer, and how it ends."""

import asyncio
import socket
import struct
from contextlib import asynccontextmanager

import grpc
import pytest

from csisim.faults.grammar import parse_rule
from csisim.faults.link import Link, linked
from csisim.faults.plane import FaultPlane
from csisim.faults.sites import Catalogue, link_sites
from tests.features.world import OK, create, until, world


class End(asyncio.Protocol):
    """One end of a connection, which remembers what came."""

    def __init__(self):
        self.got = bytearray()
        self.chunks = []
        self.eof = False
        self.lost = None
        self.transport = None

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.got += data
        self.chunks.append(bytes(data))

    def eof_received(self):
        self.eof = True

    def connection_lost(self, exc):
        self.lost = exc or "closed"


class Pair:
    """Driver and NAS as plain protocols, and the plane of the link between them."""

    def __init__(self, plane, driver, nas):
        self.plane, self.driver, self.nas = plane, driver, nas

    def add(self, rule, name=""):
        return self.plane.add(parse_rule(rule, name=name))

    async def arrive(self, end, data):
        await until(lambda: bytes(end.got) == data)


@asynccontextmanager
async def pair(*rules, close=None):
    loop = asyncio.get_running_loop()
    plane = FaultPlane(Catalogue(link_sites()), seed=1, now=loop.time)
    plane.add_all(map(parse_rule, rules))
    link = Link(plane, close)
    ends = []

    def accept():
        ends.append(End())
        return ends[-1]

    server = await loop.create_server(accept, "127.0.0.1", 0)
    _, driver = await loop.create_connection(linked(End, link), *server.sockets[0].getsockname())
    await until(lambda: ends and ends[0].transport)
    try:
        yield Pair(plane, driver, ends[0])
    finally:
        driver.transport.abort()
        ends[0].transport.abort()
        server.close()
        await server.wait_closed()
        await until(lambda: driver.lost and ends[0].lost)


@pytest.mark.parametrize("delay", ["5ms", "1ms..8ms", "exp:2ms", "1us/B", "0"])
async def test_latency_and_jitter_keep_the_order_of_bytes_toxiproxy_latency(delay):
    async with pair(f"link.*: delay({delay})") as p:
        for number in range(30):
            p.driver.transport.write(b"%02d," % number)
            p.nas.transport.write(b"%02d;" % number)
            await asyncio.sleep(0)
        await p.arrive(p.nas, b"".join(b"%02d," % number for number in range(30)))
        await p.arrive(p.driver, b"".join(b"%02d;" % number for number in range(30)))


async def test_latency_of_one_direction_holds_the_other_not_toxiproxy_stream():
    async with pair("link.up: delay(1h)") as p:
        p.driver.transport.write(b"up")
        p.nas.transport.write(b"down")
        await p.arrive(p.driver, b"down")
        assert not p.nas.got
        assert p.driver.transport.get_write_buffer_size() == 2
        p.plane.reset()
        await p.arrive(p.nas, b"up")


async def test_only_what_the_rule_that_is_gone_held_up_goes_on():
    async with pair() as p:
        p.add("link.up: 1*delay(1h)", "a")
        p.driver.transport.write(b"1")
        p.add("link.up: delay(1h)", "b")
        p.driver.transport.write(b"2")
        p.plane.remove("a")
        await p.arrive(p.nas, b"1")
        p.plane.remove("b")
        await p.arrive(p.nas, b"12")


async def test_bytes_that_are_held_up_leave_before_the_connection_is_closed():
    async with pair("link.up: delay(20ms)") as p:
        p.driver.transport.write(b"goodbye")
        p.driver.transport.close()
        assert p.driver.transport.is_closing()
        p.driver.transport.write(b" and more")  # too late
        await until(lambda: p.nas.eof)
        assert bytes(p.nas.got) == b"goodbye"
        await until(lambda: p.driver.lost)


async def test_the_end_of_the_stream_comes_behind_late_bytes():
    async with pair("link.*: delay(20ms)") as p:
        p.driver.transport.write(b"up")
        p.driver.transport.write_eof()
        p.nas.transport.write(b"down")
        p.nas.transport.write_eof()
        await until(lambda: p.nas.eof and p.driver.lost)
        assert (bytes(p.nas.got), bytes(p.driver.got)) == (b"up", b"down")


async def test_the_loss_of_the_connection_comes_behind_late_bytes():
    async with pair("link.down: delay(20ms)") as p:
        p.nas.transport.write(b"last words")
        await asyncio.sleep(0.005)
        reset(p.nas.transport)
        await until(lambda: p.driver.lost)
        assert bytes(p.driver.got) == b"last words"


async def test_an_abort_ends_it_at_once_whatever_is_held_up():
    async with pair("link.*: disconnect(blackhole)") as p:
        p.driver.transport.write(b"never")
        p.nas.transport.write(b"never")
        reset(p.nas.transport)
        await asyncio.sleep(0.01)
        assert p.driver.lost is None  # a reset does not come through a black hole
        p.driver.transport.abort()
        await until(lambda: p.driver.lost)
        assert not p.nas.got


def reset(transport):
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def test_bandwidth_toxiproxy():
    async with pair("link.up: throttle(1MiB/s)") as p:
        began = asyncio.get_running_loop().time()
        p.driver.transport.write(bytes(100_000))
        p.driver.transport.write(bytes(100_000))
        await until(lambda: p.nas.got)
        assert len(p.nas.got) < 200_000  # in portions, not all at the end
        await p.arrive(p.nas, bytes(200_000))
        assert asyncio.get_running_loop().time() - began >= 200_000 / (1 << 20)  # never faster than that


async def test_slicer_toxiproxy():
    async with pair("link.down: slice(3B, 2ms)") as p:
        p.nas.transport.write(b"0123456789")
        await p.arrive(p.driver, b"0123456789")
        assert p.driver.chunks == [b"012", b"345", b"678", b"9"]


async def test_limit_data_toxiproxy():
    async with pair() as p:
        p.driver.transport.write(b"before the rule")
        await p.arrive(p.nas, b"before the rule")
        p.add("link.up: limit(10B)")
        p.driver.transport.write(b"0123456")
        p.driver.transport.write(b"789abc")
        await until(lambda: p.nas.eof and p.driver.lost)
        assert bytes(p.nas.got) == b"before the rule0123456789"


@pytest.mark.parametrize("way", ["up", "down"])
async def test_disconnect_by_fin_toxiproxy_down(way):
    async with pair(f"link.{way}: #2 disconnect(fin)") as p:
        sender, receiver = (p.driver, p.nas) if way == "up" else (p.nas, p.driver)
        sender.transport.write(b"1")
        await p.arrive(receiver, b"1")
        sender.transport.write(b"2")
        await until(lambda: p.nas.eof and p.driver.lost)
        assert (p.nas.lost, p.driver.lost) == ("closed", "closed")
        assert bytes(receiver.got) == b"1"


@pytest.mark.parametrize("way", ["up", "down"])
async def test_disconnect_by_reset_toxiproxy_reset_peer(way):
    async with pair(f"link.{way}: disconnect(rst)") as p:
        (p.driver if way == "up" else p.nas).transport.write(b"1")
        await until(lambda: p.nas.lost and p.driver.lost)
        assert isinstance(p.nas.lost, ConnectionResetError)
        assert isinstance(p.driver.lost, ConnectionResetError)
        assert not p.nas.eof


async def test_half_open_holds_one_direction_chaos_mesh_partition():
    async with pair("link.up: disconnect(half)") as p:
        p.driver.transport.write(b"lost?")
        p.nas.transport.write(b"down")
        await p.arrive(p.driver, b"down")
        assert not p.nas.got
        p.plane.reset()
        await p.arrive(p.nas, b"lost?")


async def test_black_hole_holds_both_toxiproxy_timeout():
    async with pair("link.up: 1*disconnect(blackhole)") as p:
        p.driver.transport.write(b"up")
        p.nas.transport.write(b"down")
        p.nas.transport.write_eof()
        await asyncio.sleep(0.02)
        assert (p.nas.got, p.driver.got, p.driver.eof) == (b"", b"", False)
        p.plane.reset()
        await p.arrive(p.nas, b"up")
        await until(lambda: p.driver.lost)
        assert bytes(p.driver.got) == b"down"


async def test_a_black_hole_ends_with_its_window_and_a_disconnect_comes_in_its_time():
    async with pair("link.down: t[0,30ms) disconnect(blackhole)") as p:
        p.nas.transport.write(b"late")
        await p.arrive(p.driver, b"late")
    async with pair("link.down: disconnect(rst, 20ms)") as p:
        p.nas.transport.write(b"never")
        await until(lambda: p.driver.lost)
        assert isinstance(p.nas.lost or await gone(p.nas), ConnectionResetError)
        assert not p.driver.got


async def gone(end):
    await until(lambda: end.lost)
    return end.lost


async def test_close_codes_of_the_nas():
    closed = []
    async with pair("link.up: disconnect(1012)", close=closed.append) as p:
        p.driver.transport.write(b"x")
        await until(lambda: closed == [1012])


async def test_hang_of_a_link_until_released_failpoint_pause():
    async with pair("link.up: 1*hang(gate)", "link.up: 1*hang(other)") as p:
        p.driver.transport.write(b"1")
        p.driver.transport.write(b"2")
        await until(lambda: len(p.plane.barriers.waiting()) == 2)
        p.plane.barriers.release("gate")
        await asyncio.sleep(0.01)
        assert not p.nas.got  # the other one still holds it
        p.plane.barriers.release("other")
        await p.arrive(p.nas, b"12")


async def test_corrupted_truncated_and_dropped_bytes_chaos_mesh_netem():
    async with pair("link.up: 1*corrupt->1*truncate(2B)->1*drop") as p:
        for text in (b"abcd", b"efgh", b"ijkl", b"mnop"):
            p.driver.transport.write(text)
        await until(lambda: p.nas.got.endswith(b"mnop"))
        assert len(p.nas.got) == 10
        flipped = [a ^ b for a, b in zip(p.nas.got[:4], b"abcd", strict=True)]
        assert sum(each.bit_count() for each in flipped) == 1
        assert p.nas.got[4:] == b"efmnop"


async def test_nothing_corrupts_what_was_truncated_to_nothing():
    async with pair("link.up: truncate(0B)", "link.up: corrupt") as p:
        p.driver.transport.write(b"abcd")
        p.plane.reset()
        p.driver.transport.write(b"e")
        await p.arrive(p.nas, b"e")


async def test_slow_close_toxiproxy():
    async with pair("fin.*: delay(1h)") as p:
        p.driver.transport.write(b"up")
        p.driver.transport.close()
        await p.arrive(p.nas, b"up")
        assert not p.nas.eof
        p.plane.reset()
        await until(lambda: p.nas.eof and p.driver.lost)


async def test_an_end_that_is_never_told_leaves_the_peer_half_open():
    async with pair("fin.down: drop") as p:
        p.nas.transport.write(b"last")
        p.nas.transport.write_eof()
        await p.arrive(p.driver, b"last")
        p.driver.transport.write(b"more")
        await p.arrive(p.nas, b"more")
        assert (p.driver.eof, p.driver.lost) == (False, None)


async def test_a_protocol_that_does_not_read_is_given_nothing_and_what_is_held_up_stops_the_peer():
    async with pair("link.down: delay(1ms)") as p:
        p.driver.transport.pause_reading()
        p.nas.transport.write(bytes(8 << 20))
        await until(p.nas.transport.get_write_buffer_size)
        await asyncio.sleep(0.02)
        assert not p.driver.got
        assert p.nas.transport.get_write_buffer_size()  # the kernel's buffers and ours are full
        p.driver.transport.resume_reading()
        await p.arrive(p.driver, bytes(8 << 20))


@pytest.mark.parametrize(
    "rule",
    ["link.up: 1*disconnect(rst)", "link.down: 1*disconnect(fin)", "link.*: delay(1ms..3ms)", "link.up: slice(7B)",
     "link.down: throttle(200KiB/s)", "link.down: 1*corrupt", "link.up: 1*disconnect(1012)"],
)  # fmt: skip
async def test_a_call_of_the_driver_gets_through_a_bad_link(tmp_path, rule):
    async with world(tmp_path, rule) as w:
        assert (await w.first.retried(w.first.controller.CreateVolume, create("v"))).volume.volume_id == "v"
        assert w.datasets() == ["v"]
        assert sum(state.fired for state in w.plane.rules)


async def test_connecting_refused_and_late_toxiproxy_disabled(tmp_path):
    async with world(tmp_path) as w:
        await w.create("a")
        w.add("connect.nas: 2*error(ECONNREFUSED)->1*delay(5ms)")
        w.add("link.up: 1*disconnect(rst)")
        assert (await w.first.retried(w.first.controller.CreateVolume, create("b"))).volume.volume_id == "b"
        assert w.plane.fired["connect.nas"] == 3


async def test_a_driver_behind_a_black_hole_says_unavailable_in_time_and_gets_over_it(tmp_path):
    async with world(tmp_path) as w:
        await w.create("a")
        w.add("link.*: disconnect(blackhole)")
        code = await w.first.code(w.first.controller.CreateVolume, create("b"), timeout_s=0.4)
        assert code in {grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE}
        w.plane.reset()
        assert (await w.first.retried(w.first.controller.CreateVolume, create("b"))).volume.volume_id == "b"
        assert await w.first.code(w.first.controller.CreateVolume, create("b")) is OK
