"""Connections over which the server says nothing: when they are cut, and how a client sees it."""

import random
from collections.abc import Callable
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError

from fake_truenas import Nas, NasConfig
from fake_truenas.idle_cut import IdleCut
from tests.fake_truenas.rpc import KEY, Clock


def nas_with(**settings: Any) -> Nas:
    config = NasConfig(api_key=KEY, login_failure_delay_s=(0.0, 0.0), **settings)
    return Nas(config, rng=random.Random(7), clock=Clock())


class Timer:
    def __init__(self, when: float, callback: Callable[[], None]) -> None:
        self.when, self.callback, self.cancelled = when, callback, False

    def cancel(self) -> None:
        self.cancelled = True


class Loop:
    """Time that moves when told, from timer to timer."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timers: list[Timer] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], None], /) -> Timer:
        self.timers.append(Timer(when, callback))
        return self.timers[-1]

    def advance(self, to: float) -> None:
        while due := [timer for timer in self.timers if not timer.cancelled and timer.when <= to]:
            first = min(due, key=lambda timer: timer.when)
            self.timers.remove(first)
            self.now = max(self.now, first.when)
            first.callback()
        self.now = to


def test_silence_is_cut_at_the_timeout_and_once() -> None:
    loop, cuts = Loop(), []
    IdleCut(loop, 60.0, lambda: cuts.append(loop.now))
    loop.advance(159.9)
    assert cuts == []
    loop.advance(1000.0)
    assert cuts == [160.0]


def test_every_write_begins_the_time_anew_with_one_timer() -> None:
    loop, cuts = Loop(), []
    idle = IdleCut(loop, 60.0, lambda: cuts.append(loop.now))
    for moment in (110.0, 150.0, 205.0):
        loop.advance(moment)
        idle.written()
        assert len(loop.timers) == 1
    loop.advance(264.9)
    assert cuts == []
    loop.advance(300.0)
    assert cuts == [265.0]


def test_an_ended_connection_is_not_cut() -> None:
    loop, cuts = Loop(), []
    idle = IdleCut(loop, 60.0, lambda: cuts.append(loop.now))
    idle.stop()
    idle.stop()
    loop.advance(1000.0)
    assert cuts == []


async def test_a_client_sees_the_end_of_the_stream_without_a_close_frame() -> None:
    nas = nas_with(idle_timeout_s=0.05)
    server = await nas.serve("127.0.0.1", 0)
    async with connect(server.url, proxy=None, ping_interval=None) as socket:
        with pytest.raises(ConnectionClosedError) as caught:
            await socket.recv()
    assert (caught.value.rcvd, caught.value.sent) == (None, None)
    await server.close()
    assert nas.sessions == {}
    nas.close()


async def test_replies_events_and_pongs_count_as_written() -> None:
    nas = nas_with(idle_timeout_s=3600.0)
    server = await nas.serve("127.0.0.1", 0)
    async with connect(server.url, proxy=None, ping_interval=None) as socket:
        (session,) = nas.sessions.values()
        idle = session.connection._socket.idle
        idle._written_at = 0.0
        await (await socket.ping())
        assert idle._written_at > 0
        idle._written_at = 0.0
        await socket.send('{"jsonrpc":"2.0","id":1,"method":"core.ping"}')
        await socket.recv()
        assert idle._written_at > 0
        idle._written_at = 0.0
        session.connection.notify("collection_update", {})
        await socket.recv()
        assert idle._written_at > 0
    await server.close()
    assert idle._timer is None
    nas.close()


async def test_a_nas_inside_of_a_process_cuts_nothing() -> None:
    nas = nas_with()
    server = await nas.serve("127.0.0.1", 0)
    async with connect(server.url, proxy=None):
        (session,) = nas.sessions.values()
        assert session.connection._socket.idle is None
    await server.close()
    nas.close()
