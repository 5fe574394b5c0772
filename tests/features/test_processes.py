"""Crashes at a point, and what comes back: seen by callers, by raw peers and in what was durable."""

import asyncio

import grpc
import pytest
from websockets.exceptions import ConnectionClosed

from csisim.pb import csi_pb2 as csi
from tests.features.world import OK, create, until, world

Code = grpc.StatusCode


@pytest.mark.parametrize("state", [False, True], ids=["in memory", "on disk"])
@pytest.mark.parametrize(("step", "done"), [("request", False), ("apply", False), ("reply", True)])
async def test_nas_crash_at_a_point_and_restart_on_durable_state_simloom_crash(tmp_path, step, done, state):
    async with world(tmp_path, state=state) as w:
        await w.create("kept")
        w.add(f"nas.pool.dataset.create.{step}: 1*crash(nas)")
        async with w.raw() as raw:
            await raw.send("pool.dataset.create", {"name": "tank/csi/v"})
            with pytest.raises(ConnectionClosed) as ended:
                await raw.frame()
        assert isinstance(ended.value.__cause__, ConnectionResetError)
        await w.cluster.recovered()
        assert w.datasets() == (["kept", "v"] if done else ["kept"])
        assert (await w.first.retried(w.first.controller.CreateVolume, create("w"))).volume.volume_id == "w"


async def test_what_runs_when_the_nas_crashes_never_happens(tmp_path):
    async with world(tmp_path) as w, w.raw() as raw:
        w.add("nas.pool.dataset.create.apply: hang(gate)")
        await raw.send("pool.dataset.create", {"name": "tank/csi/v"})
        await until(w.plane.barriers.waiting)
        await raw.socket.close()  # its caller is gone before
        await w.cluster.crash("nas")
        w.plane.reset()
        await asyncio.sleep(0.01)
        assert w.datasets() == []


async def test_driver_crash_at_a_point_and_restart_fail_rs_panic(tmp_path):
    async with world(tmp_path, state=True) as w:
        staged = await w.staged()
        w.add("mount.mount.after: 1*crash(driver)")
        code, details = await w.first.ask(w.first.node.NodeStageVolume, staged)
        assert (code, w.mounted()) == (Code.UNAVAILABLE, ["staging-pvc-1"]), details
        await w.cluster.recovered()
        assert w.mounted() == ["staging-pvc-1"]  # nothing of the old life has cleaned up behind itself
        await w.first.retried(w.first.node.NodeStageVolume, staged)
        await w.second.retried(w.second.node.NodeGetInfo, csi.NodeGetInfoRequest())  # the others came back too


async def test_what_runs_when_the_driver_crashes_reaches_neither_nas_nor_machine(tmp_path):
    async with world(tmp_path) as w:
        staged = await w.staged()
        w.add("mount.mount: 1*hang(mount)")
        w.add("nas.pool.dataset.create.request: 1*hang(nas)")
        calls = [
            asyncio.ensure_future(w.first.ask(w.first.node.NodeStageVolume, staged)),
            asyncio.ensure_future(w.first.ask(w.first.controller.CreateVolume, create("v"))),
        ]
        await until(lambda: len(w.plane.barriers.waiting()) == 2)
        await w.cluster.crash("driver")
        assert [(await call)[0] for call in calls] == [Code.UNAVAILABLE] * 2
        w.plane.barriers.release("mount")
        await asyncio.sleep(0.01)
        assert w.mounted() == []
        w.plane.reset()
        await w.life("x")


async def test_node_crash_and_reboot_keep_or_clear_the_mounts_of_that_node_alone(tmp_path):
    async with world(tmp_path) as w:
        staged = await w.staged()
        await w.first.retried(w.first.node.NodeStageVolume, staged)
        w.add("process.node{node=n1}: 1*crash")
        await w.first.ask(w.first.node.NodeGetInfo, csi.NodeGetInfoRequest())
        await w.cluster.recovered()
        assert w.mounted() == ["staging-pvc-1"]
        w.plane.reset()
        w.add("rpc.NodeGetInfo.before{node=n1}: 1*crash(reboot)")
        assert await w.second.code(w.second.node.NodeGetInfo, csi.NodeGetInfoRequest()) is OK
        await w.first.ask(w.first.node.NodeGetInfo, csi.NodeGetInfoRequest())
        await w.cluster.recovered()
        assert w.mounted() == []
        await w.first.retried(w.first.node.NodeStageVolume, staged)
        assert w.mounted() == ["staging-pvc-1"]


async def test_all_calls_that_crash_together_crash_it_once_and_a_crash_may_meet_another(tmp_path):
    async with world(tmp_path, "rpc.CreateVolume.before: crash(driver)", "process.nas: 1*crash") as w:
        codes = await asyncio.gather(
            *(w.first.code(w.first.controller.CreateVolume, create(f"v{number}")) for number in range(6)),
        )
        assert set(codes) == {Code.UNAVAILABLE}
        await asyncio.gather(w.cluster.crash("nas"), w.cluster.crash("node", "n2"), w.cluster.recovered())
        w.plane.reset()
        await w.life("x")


async def test_a_cluster_can_be_stopped_while_something_is_down(tmp_path):
    async with world(tmp_path) as w:
        w.add("process.driver: 1*crash(driver, 1h)")
        await w.first.ask(w.first.controller.CreateVolume, create("v"))
        await until(lambda: not w.plane.rules or w.plane.rules[0].fired)
    async with world(tmp_path) as w:
        down = asyncio.ensure_future(w.cluster.crash("nas", down_s=3600))
        await until(lambda: w.cluster.nas_server is None)
    await down


async def test_a_crash_of_a_node_at_a_call_of_the_nas_takes_no_answer_of_the_others(tmp_path):
    async with world(tmp_path) as w, w.raw() as raw:
        for step in ("request", "apply", "reply"):
            w.add(f"nas.pool.dataset.create.{step}: 1*crash(node)")
            reply = await raw.call("pool.dataset.create", {"name": f"tank/csi/{step}"})
            assert reply["result"]["id"] == f"tank/csi/{step}"
            await w.cluster.recovered()
            await w.first.retried(w.first.node.NodeGetInfo, csi.NodeGetInfoRequest())
        told = [
            event.type for event in w.history.since() if event.f == "pool.dataset.create" and event.type != "invoke"
        ]
        assert told == ["ok"] * 3
