"""The simulated channel and server against grpc.aio over real sockets: one body of tests, the same expectations."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import grpc
import pytest

from csisim.sim.grpc_seam import Exchange, SimChannel, SimGrpcServer
from csisim.sim.run import simulate
from csisim.sim.strategies import Choose, RandomWalk, stalls
from tests.sim.grpc_conformance import Blocked, GrpcConformance, World, request


def simulated(exchange: Exchange) -> World:
    target = "unix:///sim/csi.sock"
    return World(
        lambda interceptors: SimGrpcServer(exchange, interceptors), lambda: SimChannel(target, exchange), target
    )


class TestReal(GrpcConformance):
    @pytest.fixture
    async def world(self, tmp_path: Path) -> AsyncIterator[World]:
        target = f"unix://{tmp_path / 'csi.sock'}"
        world = World(
            lambda interceptors: grpc.aio.server(interceptors=interceptors),
            lambda: grpc.aio.insecure_channel(target),
            target,
        )
        yield world
        await world.close()


class TestSimulated(GrpcConformance):
    """In an ordinary loop: nothing of the seam needs the simulated one."""

    @pytest.fixture
    async def world(self) -> AsyncIterator[World]:
        world = simulated(Exchange())
        async with asyncio.timeout(20):
            yield world
        await world.close()


BODIES = [
    name
    for name in dir(GrpcConformance)
    if name.startswith("test_") and not hasattr(getattr(GrpcConformance, name), "pytestmark")
]


@pytest.mark.parametrize(("strategy", "latency_s"), [(RandomWalk, 0.003), (stalls(0.2, longest_s=0.05), 0.0)])
@pytest.mark.parametrize("name", BODIES)
def test_the_suite_passes_in_virtual_time(name: str, strategy: Choose, latency_s: float) -> None:
    async def program() -> None:
        world = simulated(Exchange((lambda: latency_s) if latency_s else None))
        try:
            await getattr(GrpcConformance(), name)(world)
        finally:
            await world.close()

    outcomes = [simulate(program, seed=5, strategy=strategy) for _ in range(2)]
    for outcome in outcomes:
        if outcome.error is not None:
            raise outcome.error
        assert outcome.leaked == ()
    assert outcomes[0].trace_hash == outcomes[1].trace_hash


def test_callers_that_are_cut_off_hear_unavailable_and_their_handlers_are_cancelled() -> None:
    async def program() -> tuple[grpc.StatusCode, str, bool, int]:
        world, blocked = simulated(Exchange(lambda: 0.01)), Blocked()
        stub = await world.controller(blocked.handle)
        call = stub.CreateVolume(request())
        await blocked.begun.wait()
        server = world.servers[0]
        assert isinstance(server, SimGrpcServer)
        cut = server.disconnect_all()
        await blocked.ended.wait()
        found = await call.code(), await call.details(), blocked.cancelled, cut
        blocked.go_on.set()
        assert (await stub.CreateVolume(request())).volume.volume_id == "late"  # the next call gets through
        await world.close()
        return found

    outcome = simulate(program)
    if outcome.error is not None:
        raise outcome.error
    assert outcome.result == (grpc.StatusCode.UNAVAILABLE, "Socket closed", True, 1)


def silent(then: Callable[[World, Blocked, SimGrpcServer, asyncio.Task[grpc.StatusCode]], Awaitable[None]]) -> None:
    """A call runs whose connection has fallen silent; the task ends with its code."""

    async def program() -> None:
        world, blocked = simulated(Exchange(lambda: 0.01)), Blocked()
        stub = await world.controller(blocked.handle)
        call = stub.CreateVolume(request())
        await blocked.begun.wait()
        server = world.servers[0]
        assert isinstance(server, SimGrpcServer)
        assert server.disconnect(blocked.context.peer(), "blackhole") == 1
        code = asyncio.ensure_future(call.code())
        await then(world, blocked, server, code)
        await asyncio.wait([code])
        await world.close()

    outcome = simulate(program)
    if outcome.error is not None:
        raise outcome.error
    assert outcome.leaked == ()


def test_an_answer_that_was_lost_in_silence_ends_with_it() -> None:
    async def then(
        world: World, blocked: Blocked, server: SimGrpcServer, code: "asyncio.Task[grpc.StatusCode]"
    ) -> None:
        blocked.go_on.set()
        await blocked.ended.wait()
        await asyncio.sleep(100)
        assert not code.done()
        server.heal()
        assert await code is grpc.StatusCode.UNAVAILABLE
        assert not blocked.cancelled

    silent(then)


def test_who_gives_up_in_silence_is_not_heard_until_it_ends() -> None:
    async def then(
        world: World, blocked: Blocked, server: SimGrpcServer, code: "asyncio.Task[grpc.StatusCode]"
    ) -> None:
        code.cancel()
        await asyncio.wait([code])
        await world.channels[0].close()
        await asyncio.sleep(100)
        assert not blocked.ended.is_set()
        server.heal()
        await blocked.ended.wait()
        assert blocked.cancelled

    silent(then)


@pytest.mark.parametrize("grace_s", [0, 10])
def test_silence_ends_with_its_server(grace_s: float) -> None:
    async def then(
        world: World, blocked: Blocked, server: SimGrpcServer, code: "asyncio.Task[grpc.StatusCode]"
    ) -> None:
        stopping = asyncio.ensure_future(server.stop(grace_s))
        blocked.go_on.set()
        await stopping
        assert await code is grpc.StatusCode.UNAVAILABLE
        assert blocked.cancelled is (grace_s == 0)

    silent(then)
