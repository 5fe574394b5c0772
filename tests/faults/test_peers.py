"""Cutting callers of a real gRPC server below it."""

import asyncio
from pathlib import Path

import grpc
import pytest

from csisim.faults.grammar import parse_rule
from csisim.faults.matching import RuleState
from csisim.faults.peers import Peers

_OPTIONS = (("grpc.use_local_subchannel_pool", 1), ("grpc.min_reconnect_backoff_ms", 20))


def open_files():
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


class Served:
    """A server with one method, which cuts its caller off if it is told how."""

    def __init__(self, peers):
        self.peers = peers
        self.cancelled = asyncio.Event()
        self.cut = []

    async def handle(self, request, context):
        if request:
            self.cut.append(self.peers.disconnect(context.peer(), request.decode()))
            try:
                await asyncio.Event().wait()
            finally:
                self.cancelled.set()
        return b"x"


@pytest.fixture(params=["unix", "tcp"])
async def served(request, tmp_path):
    path = str(tmp_path / "s.sock") if request.param == "unix" else ""
    made = Served(Peers(path))
    server = grpc.aio.server()
    methods = {"C": grpc.unary_unary_rpc_method_handler(made.handle)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("a.B", methods),))
    port = server.add_insecure_port(f"unix:{path}" if path else "127.0.0.1:0")
    made.peers.port = 0 if path else port
    made.target = f"unix:{path}" if path else f"127.0.0.1:{port}"
    await server.start()
    yield made
    made.peers.heal()
    await server.stop(None)


def channel(served):
    return grpc.aio.insecure_channel(served.target, options=_OPTIONS)


async def ask(channel, how=b"", timeout_s=10):
    try:
        return await channel.unary_unary("/a.B/C")(how, timeout=timeout_s, wait_for_ready=not how)
    except grpc.aio.AioRpcError as error:
        return error.code()


@pytest.mark.parametrize("how", ["fin", "rst"])
async def test_both_sides_notice_at_once_and_no_descriptor_is_left(served, how):
    async with channel(served) as caller:
        assert await ask(caller) == b"x"
        before = open_files()
        for _ in range(3):
            served.cancelled.clear()
            assert await ask(caller, how.encode()) is grpc.StatusCode.UNAVAILABLE
            await asyncio.wait_for(served.cancelled.wait(), 10)
            while await ask(caller) != b"x":
                pass
        # Later on there may be one more, which gRPC's own threads have not closed yet.
        assert served.cut[0] == 1
        assert min(served.cut) >= 1
        assert open_files() <= before + 1


async def test_a_black_hole_lasts_until_its_rule_is_gone(served):
    def gone(text):
        return RuleState(parse_rule(text, name="r"), "", frozenset(), 0.0)

    async with channel(served) as caller:
        assert await ask(caller, b"blackhole", 0.2) is grpc.StatusCode.DEADLINE_EXCEEDED
        served.peers.heal(gone("mount.umount: error(EBUSY)"))
        assert await ask(caller, timeout_s=0.1) is grpc.StatusCode.DEADLINE_EXCEEDED
        served.peers.heal(gone("rpc.Probe.before: disconnect(blackhole)"))
        await asyncio.wait_for(served.cancelled.wait(), 10)
        while await ask(caller) != b"x":
            pass


async def test_all_callers_of_this_address_are_cut_off_at_once(served):
    async with channel(served) as one, channel(served) as two:
        assert [await ask(one), await ask(two)] == [b"x", b"x"]
        assert served.peers.disconnect_all() == 2
        assert Peers("/nowhere").disconnect_all() == Peers("", 1).disconnect_all() == 0
        assert Peers().disconnect_all() == 0


async def test_a_caller_that_is_not_there_is_not_cut(served):
    async with channel(served) as caller:
        assert await ask(caller) == b"x"
        assert served.peers.disconnect("ipv4:127.0.0.1:1", "rst") == 0
        assert await ask(caller) == b"x"
