"""Kinds of fault around CSI calls, seen by a real gRPC client. The names end with who is known for the feature."""

import asyncio
import socket
import struct

import grpc
import pytest

from csisim.faults.codes import GRPC_CODES
from csisim.pb import csi_pb2 as csi
from tests.features.world import OK, create, until, world

Code = grpc.StatusCode


@pytest.mark.parametrize("when", ["before", "after"])
async def test_rpc_error_with_each_of_the_sixteen_codes_grpc_a33(tmp_path, when):
    async with world(tmp_path) as w:
        for number, code in enumerate(GRPC_CODES):
            w.add(
                f'rpc.CreateVolume.{when}{{vol=v{number}}}: 1*error({code}, "no, ""really"": {code}")'.replace(
                    '""', '\\"'
                )
            )
            got = await w.first.ask(w.first.controller.CreateVolume, create(f"v{number}"))
            assert got == (Code[code], f'no, "really": {code}')
            assert (f"v{number}" in w.datasets()) == (when == "after")
            assert await w.first.code(w.first.controller.CreateVolume, create(f"v{number}")) is OK


async def test_fixed_jittered_exponential_and_per_byte_delay_toxiproxy(tmp_path):
    async with world(tmp_path) as w:
        for delay in ("5ms", "1ms..5ms", "exp:2ms", "100us/B"):
            state = w.add(f"rpc.CreateVolume.*: delay({delay})")
            assert await w.first.code(w.first.controller.CreateVolume, create("v")) is OK
            assert state.fired == 2
            w.plane.reset()
        state = w.add("rpc.CreateVolume.before{vol=slow}: delay(1h)")
        slow = asyncio.ensure_future(w.first.ask(w.first.controller.CreateVolume, create("slow")))
        await until(lambda: state.fired)
        assert await w.first.code(w.first.controller.CreateVolume, create("quick")) is OK
        assert not slow.done()
        assert "slow" not in w.datasets()
        w.plane.remove(state.rule.name)
        assert (await slow)[0] is OK


async def test_hang_until_released_failpoint_pause(tmp_path):
    async with world(tmp_path) as w:
        w.add("rpc.CreateVolume.after: hang(gate)")
        calls = [asyncio.ensure_future(w.first.ask(w.first.controller.CreateVolume, create(f"v{n}"))) for n in range(3)]
        await until(lambda: w.plane.barriers.waiting() == {"gate": 3})
        assert w.datasets() == ["v0", "v1", "v2"]
        assert not any(call.done() for call in calls)
        assert w.plane.barriers.release("gate") == 3
        assert [(await call)[0] for call in calls] == [OK] * 3


async def test_a_stalled_call_is_overtaken_jepsen_pause(tmp_path):
    async with world(tmp_path) as w:
        state = w.add("rpc.CreateVolume.before{vol=a}: stall(1h)")
        a = asyncio.ensure_future(w.first.ask(w.first.controller.CreateVolume, create("a")))
        await until(lambda: state.fired)
        await w.create("b")
        assert w.datasets() == ["b"]
        w.plane.reset()
        assert (await a)[0] is OK


class RawPeer:
    """A TCP client that speaks no more HTTP/2 than it must, so that it sees how its connection ends."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setblocking(False)
        self.loop = asyncio.get_running_loop()

    async def call(self, path, message=b""):
        """Send one request."""

        def frame(kind, flags, stream, payload):
            return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload

        def literal(name, value):
            return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value

        headers = (
            literal(b":method", b"POST") + literal(b":scheme", b"http") + literal(b":path", path)
            + literal(b":authority", b"x") + literal(b"content-type", b"application/grpc") + literal(b"te", b"trailers")
        )  # fmt: skip
        body = b"\x00" + struct.pack(">I", len(message)) + message
        await self.loop.sock_sendall(
            self.socket,
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"") + frame(1, 4, 1, headers) + frame(0, 1, 1, body),
        )

    async def end(self):
        """How the connection ends: eof or reset."""
        try:
            async with asyncio.timeout(10):
                while await self.loop.sock_recv(self.socket, 65536):
                    pass
        except ConnectionResetError:
            return "reset"
        finally:
            self.socket.close()
        return "eof"


@pytest.mark.parametrize(("how", "seen"), [("fin", "eof"), ("rst", "reset")])
async def test_disconnect_of_the_caller_by_fin_and_by_reset_toxiproxy(tmp_path, how, seen):
    async with world(tmp_path, f"rpc.GetPluginInfo.before: disconnect({how})", tcp=True) as w:
        peer, other = RawPeer(w.cluster.endpoint.port), RawPeer(w.cluster.endpoint.port)
        await other.call(b"/csi.v1.Identity/Probe")
        await peer.call(b"/csi.v1.Identity/GetPluginInfo")
        assert await peer.end() == seen
        await other.call(b"/csi.v1.Identity/Probe")  # who is on another connection is not cut off
        w.plane.reset()
        other.socket.close()


@pytest.mark.parametrize("tcp", [True, False], ids=["tcp", "unix"])
async def test_disconnect_of_the_caller_by_a_black_hole_that_heals_chaos_mesh(tmp_path, tcp):
    async with world(tmp_path, tcp=tcp) as w:
        assert await w.first.code(w.first.controller.CreateVolume, create("a")) is OK
        w.add("rpc.CreateVolume.before: 1*disconnect(blackhole)")
        got = await w.first.code(w.first.controller.CreateVolume, create("b"), timeout_s=0.3)
        assert got is Code.DEADLINE_EXCEEDED  # silence: no end of the connection, no status
        assert await w.first.code(w.first.controller.CreateVolume, create("c"), timeout_s=0.3) is Code.DEADLINE_EXCEEDED
        w.plane.reset()
        assert (await w.first.retried(w.first.controller.CreateVolume, create("b"))).volume.volume_id == "b"


@pytest.mark.parametrize("fault", ["drop", "disconnect(fin)", "disconnect(rst)", "error(UNAVAILABLE)"])
async def test_effect_applied_answer_lost_csi_mock_post(tmp_path, fault):
    async with world(tmp_path, f"rpc.CreateVolume.after: 1*{fault}") as w:
        code = await w.first.code(w.first.controller.CreateVolume, create("v"), timeout_s=0.5)
        assert code in {Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED}
        assert w.datasets() == ["v"]
        assert (await w.first.retried(w.first.controller.CreateVolume, create("v"))).volume.volume_id == "v"
        assert w.datasets() == ["v"]


async def test_effect_not_applied_where_the_call_is_lost_before(tmp_path):
    async with world(tmp_path, "rpc.CreateVolume.before: 1*drop") as w:
        code = await w.first.code(w.first.controller.CreateVolume, create("v"), timeout_s=0.3)
        assert (code, w.datasets()) == (Code.DEADLINE_EXCEEDED, [])


async def test_attach_limit_and_rate_limit_csi_mock(tmp_path):
    async with world(tmp_path) as w:
        staged = await w.staged("v")
        publish = csi.ControllerPublishVolumeRequest(
            volume_id="v", node_id="n2", volume_capability=staged.volume_capability
        )
        w.add("rpc.ControllerPublishVolume.before{node=n2}: 1*exhaust(attach)")
        w.add("rpc.CreateVolume.before: 2*exhaust(rate)")
        got = await w.first.ask(w.first.controller.ControllerPublishVolume, publish)
        assert got == (Code.RESOURCE_EXHAUSTED, "no attachment slot is left on this node")
        codes = [await w.first.code(w.first.controller.CreateVolume, create("x")) for _ in range(3)]
        assert codes == [Code.RESOURCE_EXHAUSTED, Code.RESOURCE_EXHAUSTED, OK]


async def test_ready_on_the_third_poll_and_after_a_time_moto(tmp_path):
    async with world(tmp_path) as w:
        await w.create("v")
        stub = w.first.controller.CreateSnapshot

        async def ready(name):
            request = csi.CreateSnapshotRequest(source_volume_id="v", name=name)
            return (await stub(request, timeout=10)).snapshot.ready_to_use

        w.add("rpc.CreateSnapshot.after: ready(3)")
        assert [await ready("s1") for _ in range(4)] == [False, False, True, True]
        assert await ready("s2") is False  # each snapshot has polls of its own
        w.plane.reset()
        w.add("rpc.CreateSnapshot.after: ready(1h)")
        assert [await ready("s3"), await ready("s3")] == [False, False]
        w.plane.reset()
        w.add("rpc.CreateSnapshot.after: ready(1us)")
        await ready("s3")
        assert await ready("s3")
