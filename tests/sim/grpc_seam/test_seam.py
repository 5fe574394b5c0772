"""The simulated channel and server against grpc.aio over real sockets: one body of tests, the same expectations."""

import asyncio
from collections.abc import AsyncIterator
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
