"""Kinds of fault of the NAS, seen by a raw websocket peer and by the driver's callers."""

import asyncio
import json

import grpc
import pytest
from websockets.exceptions import ConnectionClosed

from csisim.pb import csi_pb2 as csi
from tests.features.world import OK, create, until, world

Code = grpc.StatusCode
PING = {"jsonrpc": "2.0", "result": "pong"}


async def test_nas_error_by_errno_before_and_after_the_effect_fis_api_error(tmp_path):
    async with world(tmp_path) as w, w.raw() as raw:
        for step, done in (("request", False), ("apply", False), ("reply", True)):
            w.add(f"nas.pool.dataset.create.{step}: 1*error(EBUSY, no way)")
            reply = await raw.call("pool.dataset.create", {"name": f"tank/csi/{step}"})
            assert (reply["error"]["data"]["errname"], reply["error"]["data"]["reason"]) == ("EBUSY", "[EBUSY] no way")
            assert (step in w.datasets()) == done


async def test_session_loss_on_a_live_socket(tmp_path):
    async with world(tmp_path, "nas.pool.dataset.create.request: 1*error(ENOTAUTHENTICATED)") as w:
        assert await w.first.code(w.first.controller.CreateVolume, create("v")) is OK  # it has logged in again
        (state,) = w.plane.rules
        assert state.fired == 1


async def test_duplicated_and_reordered_replies_simloom_udp(tmp_path):
    async with world(tmp_path) as w, w.raw() as raw:
        w.add("nas.core.ping.reply: 1*dup")
        number = await raw.send("core.ping")
        assert [await raw.reply(), await raw.reply()] == [PING | {"id": number}] * 2
        w.plane.reset()
        w.add("nas.core.ping.reply: 1*reorder(2)")
        sent = [await raw.send("core.ping") for _ in range(4)]
        got = [(await raw.reply())["id"] for _ in range(4)]
        assert got == [sent[1], sent[2], sent[0], sent[3]]


async def test_duplicated_reordered_and_lost_notifications_simloom_udp(tmp_path):
    async with world(tmp_path) as w, w.raw() as raw:
        await raw.call("core.subscribe", "sharing.nfs.query")
        await raw.call("pool.dataset.create", {"name": "tank/csi/v"})
        seen = []

        async def share(fault):
            w.plane.reset()
            w.add(f"event.nas: 1*{fault}")
            for method, *params in (
                ("sharing.nfs.create", {"path": "/mnt/tank/csi/v"}),
                ("core.ping",),
                ("sharing.nfs.delete", None),
            ):
                number = await raw.send(method, *(params if params != [None] else [seen[-1]]))
                frames = []
                while True:
                    frame = await raw.reply()
                    frames.append("event" if "method" in frame else "reply")
                    if frame.get("id") == number:
                        if method == "sharing.nfs.create":
                            seen.append(frame["result"]["id"])
                        break
                yield frames

        assert [frames async for frames in share("off")] == [["event", "reply"], ["reply"], ["event", "reply"]]
        assert [frames async for frames in share("dup")] == [["event", "event", "reply"], ["reply"], ["event", "reply"]]
        assert [frames async for frames in share("drop")] == [["reply"], ["reply"], ["event", "reply"]]
        # It leaves behind the second frame after it.
        assert [frames async for frames in share("reorder(2)")] == [["reply"], ["reply"], ["event", "event", "reply"]]


async def test_malformed_truncated_and_oversized_replies_mockserver(tmp_path):
    async with world(tmp_path) as w, w.raw() as raw:
        w.add("nas.core.ping.reply: 1*truncate(9B)->1*oversize(100KiB)->corrupt")
        await raw.send("core.ping")
        assert await raw.frame() == '{"jsonrpc'
        await raw.send("core.ping")
        big = await raw.frame()
        assert (len(big), json.loads(big)["result"]) == (100 << 10, "pong")
        await raw.send("core.ping")
        assert "\ufffd" in await raw.frame()


@pytest.mark.parametrize("fault", ["truncate(20B)", "corrupt", "dup", "reorder(1)", "delay(20ms)"])
async def test_the_driver_gets_over_a_spoilt_reply_to_a_query(tmp_path, fault):
    async with world(tmp_path) as w:
        await w.create("v")
        w.add(f"nas.pool.dataset.query.reply: 1*{fault}")
        request = csi.ControllerGetVolumeRequest(volume_id="v")
        code = await w.first.code(w.first.controller.ControllerGetVolume, request, timeout_s=0.5)
        assert code in {OK, Code.DEADLINE_EXCEEDED, Code.UNAVAILABLE}
        w.plane.reset()
        assert (await w.first.retried(w.first.controller.ControllerGetVolume, request)).volume.volume_id == "v"


@pytest.mark.parametrize(("how", "seen"), [("rst", "reset"), ("fin", 1006), ("1011", 1011), ("4000", 4000)])
async def test_disconnect_of_a_nas_client_by_reset_fin_and_close_code_toxiproxy(tmp_path, how, seen):
    async with world(tmp_path, f"nas.core.ping.reply: disconnect({how})") as w, w.raw() as raw, w.raw() as other:
        await raw.send("core.ping")
        with pytest.raises(ConnectionClosed) as ended:
            await raw.frame()
        if seen == "reset":
            assert isinstance(ended.value.__cause__, ConnectionResetError)
        else:
            got = 1006 if ended.value.rcvd is None else ended.value.rcvd.code
            assert got == seen
            assert not isinstance(ended.value.__cause__, ConnectionResetError)
        assert (await other.call("system.version"))["id"]


async def test_a_nas_that_falls_silent_and_is_healed_toxiproxy_timeout(tmp_path):
    async with world(tmp_path, "nas.core.ping.request: disconnect(blackhole)") as w, w.raw() as raw:
        await raw.send("core.ping")
        await until(lambda: w.plane.fired["nas.core.ping.request"])
        pong = await raw.socket.ping()
        await raw.send("system.version")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await raw.frame()
        assert not pong.done()
        w.plane.reset()
        with pytest.raises(ConnectionClosed):
            await raw.frame()


async def test_a_silent_peer_is_healed_by_its_own_rule_alone(tmp_path):
    async with world(tmp_path) as w, w.raw() as raw:
        w.add("nas.core.ping.request: 1*disconnect(blackhole)", "hole")
        w.add("mount.umount: error(EBUSY)", "other")
        await raw.send("core.ping")
        await until(lambda: w.plane.fired["nas.core.ping.request"])
        w.plane.remove("other")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await raw.frame()
        w.plane.remove("hole")
        with pytest.raises(ConnectionClosed):
            await raw.frame()


async def test_a_lie_says_done_and_nothing_was_csi_mock_pre(tmp_path):
    lies = "nas.pool.dataset.create.apply: 1*lie(ok)", "nas.pool.dataset.delete.apply: 1*lie(ok)"
    async with world(tmp_path, *lies) as w, w.raw() as raw:
        reply = await raw.call("pool.dataset.create", {"name": "tank/csi/v"})
        assert reply["result"]["id"] == "tank/csi/v"
        assert w.datasets() == []
        await raw.call("pool.dataset.create", {"name": "tank/csi/v"})
        share = await raw.call("sharing.nfs.create", {"path": "/mnt/tank/csi/v"})
        assert (await raw.call("pool.dataset.delete", "tank/csi/v"))["result"] is True
        assert w.datasets() == ["v"]  # and what shares it, which a real delete takes off first, is there too
        assert (await raw.call("sharing.nfs.get_instance", share["result"]["id"]))["result"]["enabled"]
        assert (await raw.call("pool.dataset.delete", "tank/csi/v"))["result"] is True
        assert w.datasets() == []


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ("nas.pool.dataset.create.apply: exhaust(pool)", "out of space"),
        ("nas.pool.dataset.create.apply: exhaust(quota)", "disk quota exceeded"),
    ],
)
async def test_pool_full_and_quota_linux_fail_page_alloc(tmp_path, rule, reason):
    async with world(tmp_path, rule) as w, w.raw() as raw:
        reply = await raw.call("pool.dataset.create", {"name": "tank/csi/v"})
        assert reply["error"]["data"]["reason"].endswith(
            f"Failed to create dataset: cannot create 'tank/csi/v': {reason}"
        )
        code, details = await w.first.ask(w.first.controller.CreateVolume, create("v"))
        assert (code, w.datasets()) == (Code.RESOURCE_EXHAUSTED, []), details


async def test_a_pool_that_fills_up_while_a_volume_grows(tmp_path):
    async with world(tmp_path, "nas.pool.dataset.update.apply: exhaust(pool)") as w:
        await w.create("v")
        request = csi.ControllerExpandVolumeRequest(
            volume_id="v", capacity_range=csi.CapacityRange(required_bytes=3 << 30)
        )
        code, details = await w.first.ask(w.first.controller.ControllerExpandVolume, request)
        assert code in {Code.OUT_OF_RANGE, Code.RESOURCE_EXHAUSTED}, details


async def test_a_rate_limit_of_the_nas(tmp_path):
    async with world(tmp_path, "nas.core.ping.request: 1*exhaust(rate)") as w, w.raw() as raw:
        reply = await raw.call("core.ping")
        assert reply["error"]["data"]["reason"] == "[EBUSY] Rate Limit Exceeded"
        assert (await raw.call("core.ping"))["result"] == "pong"


async def test_clock_skew_and_jump_jepsen_clock_nemesis(tmp_path):
    async with world(tmp_path) as w:
        await w.create("v")

        async def taken_at(name):
            request = csi.CreateSnapshotRequest(source_volume_id="v", name=name)
            return (await w.first.controller.CreateSnapshot(request, timeout=10)).snapshot.creation_time.seconds

        before = await taken_at("a")
        w.add("clock.nas: skew(1h)", "ahead")
        ahead = await taken_at("b")
        w.plane.remove("ahead")
        w.add("clock.nas: skew(-24h)")
        behind = await taken_at("c")
        w.plane.reset()
        after = await taken_at("d")
        assert 3600 <= ahead - before < 3700
        assert 86300 < after - behind <= 86500
        assert 0 <= after - before < 100


async def test_a_lost_answer_of_the_nas_linux_sunrpc(tmp_path):
    lost = "nas.pool.dataset.create.reply: 1*drop", "nas.core.ping.request: 1*drop"
    async with world(tmp_path, *lost) as w, w.raw() as raw:
        first = await raw.send("pool.dataset.create", {"name": "tank/csi/v"})
        await raw.send("core.ping")
        found = await raw.call("core.ping")
        assert found["id"] == first + 2
        assert w.datasets() == ["v"]  # the effect is there


async def test_a_late_answer_is_overtaken_chaos_mesh_netem(tmp_path):
    async with world(tmp_path) as w, w.raw() as raw:
        w.add("nas.core.ping.reply: 1*delay(1h)", "late")
        late = await raw.send("core.ping")
        early = await raw.send("core.ping")
        assert (await raw.reply())["id"] == early
        w.plane.remove("late")
        assert (await raw.reply())["id"] == late


async def test_what_the_history_says_of_a_call_that_lied_or_was_denied(tmp_path):
    async with world(tmp_path) as w, w.raw() as raw:
        told = []
        for rule in (
            "nas.pool.dataset.create.apply: error(EIO)",
            "nas.pool.dataset.create.apply: lie(ok)",
            "nas.pool.dataset.create.reply: error(EIO)",
        ):
            w.plane.reset()
            w.add(rule)
            await raw.call("pool.dataset.create", {"name": "tank/csi/v"})
            told += [(each.type, each.call) for each in w.history.since() if each.f == "pool.dataset.create"][-1:]
            fault = [each for each in w.history.since() if each.kind == "fault"][-1]
            assert fault.parent == told[-1][1]  # the call that it hit
        assert [kind for kind, _ in told] == ["fail", "info", "info"]


async def test_a_refusal_that_is_told_twice_is_a_refusal_in_the_history_too(tmp_path):
    async with world(tmp_path, "nas.pool.dataset.create.reply: 1*dup") as w, w.raw() as raw:
        assert "error" in await raw.call("pool.dataset.create", {"name": "tank/none/v"})
        (done,) = [each for each in w.history.since() if each.f == "pool.dataset.create" and each.type != "invoke"]
        assert done.type == "fail"
        assert "tank/none" in done.value["reason"]
