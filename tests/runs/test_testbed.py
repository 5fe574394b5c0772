"""The testbed, simulated and on real sockets: the same handles, the same answers."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from csisim.co.callers import KUBELET, PROVISIONER, GaveUp
from csisim.co.objects import StorageClass
from csisim.co.plans import VolumePlan
from csisim.co.timings import Timings
from csisim.pb import csi_pb2 as csi
from csisim.runs import data
from csisim.runs.classes import classes
from csisim.runs.pace import HURRIED
from csisim.runs.testbed import Testbed, TestbedSettings
from csisim.sim.run import simulate

PLAN = VolumePlan("pvc-1", "nfs", ("node-1",))
Program = Callable[[Testbed], Coroutine[Any, Any, None]]


def run_in(mode: str, program: Program, **settings: Any) -> str:
    """Run in a testbed; gives the trace hash, "" on real sockets."""

    async def main() -> None:
        async with Testbed(TestbedSettings(seed=5, simulated=mode == "sim", **settings)) as testbed:
            await program(testbed)

    if mode == "real":
        asyncio.run(main())
        return ""
    outcome = simulate(main, seed=5)
    if outcome.error is not None:
        raise outcome.error
    assert outcome.leaked == ()
    return outcome.trace_hash


both = pytest.mark.parametrize("mode", ["sim", "real"])


@both
def test_faults_happen_and_are_gone_with_their_block(mode):
    async def program(testbed: Testbed) -> None:
        caller = testbed.caller("somebody")
        with testbed.faults.add("rpc.CreateVolume.before: 2*error(UNAVAILABLE)") as added:
            await caller.call(PROVISIONER, caller.controller.CreateVolume, PLAN.create_request(), "pvc-1")
            assert added.fired == 2
        assert (testbed.faults.fired, testbed.faults.plane.rules) == (2, ())
        kinds = [(event.kind, event.type) for event in testbed.history.since() if event.process == "somebody"]
        assert kinds == [("call", "invoke"), ("call", "info")] * 2 + [("call", "invoke"), ("call", "ok")]
        await caller.close()

    run_in(mode, program, co=False)


@both
def test_times_of_what_has_happened_count_from_the_start(mode):
    async def program(testbed: Testbed) -> None:
        begun_s = asyncio.get_running_loop().time()
        testbed.phase("safety")
        event, noted = testbed.events()[-1], testbed.history.since()[-1]
        assert (event.seq, event.f) == (noted.seq, "phase")
        assert 0 <= event.at_s <= 60 if mode == "real" else event.at_s == noted.at_s
        races = testbed.cluster.injection.trace.races
        assert races.begin_s == pytest.approx(begun_s if mode == "real" else 0.0, abs=60)
        assert noted.at_s - event.at_s == pytest.approx(races.begin_s)

    run_in(mode, program, co=False)


@both
def test_rules_of_the_settings_are_in_force_from_the_start_and_healed_by_heal(mode):
    async def program(testbed: Testbed) -> None:
        caller = testbed.caller("somebody")
        with pytest.raises(GaveUp, match="INVALID_ARGUMENT"):
            await caller.call(PROVISIONER, caller.controller.CreateVolume, PLAN.create_request(), "pvc-1")
        await testbed.heal()
        await caller.call(PROVISIONER, caller.controller.CreateVolume, PLAN.create_request(), "pvc-1")
        assert (await testbed.leftovers())[0] == "NAS: dataset tank/csi/pvc-1"
        await caller.close()

    run_in(mode, program, co=False, rules=("rpc.CreateVolume.before: error(INVALID_ARGUMENT)",))


@both
def test_the_nas_is_asked_crashed_and_its_clock_set(mode):
    async def program(testbed: Testbed) -> None:
        before = testbed.cluster.nas
        await testbed.nas.restart()
        assert testbed.cluster.nas is not before
        assert await testbed.nas.call("pool.query", [["name", "=", "tank"]], {"count": True}) == 1
        now_ms = (await testbed.nas.call("system.info"))["datetime"]["$date"]
        testbed.nas.skew(3600)
        testbed.nas.skew(7200)
        later_ms = (await testbed.nas.call("system.info"))["datetime"]["$date"]
        assert 7_190_000 < later_ms - now_ms < 7_300_000
        testbed.nas.skew(0)
        assert testbed.faults.plane.rules == ()

    run_in(mode, program, co=False)


@both
def test_an_orchestrator_and_nodes_that_reboot(mode):
    async def program(testbed: Testbed) -> None:
        driver = testbed.settings.driver.driver_name
        testbed.co.apply([StorageClass(name="nfs", provisioner=driver, parameters={"protocol": "nfs"})])
        testbed.co.create_claim("data", storage_class="nfs")
        testbed.co.create_pod("web", "data", node="node-2")
        await testbed.settled(300)
        node = testbed.nodes["node-2"]
        (target,) = [each.path for each in node.mounts() if "/pods/" in each.path]
        volume = testbed.co.get("PersistentVolumeClaim", "data").volume_name
        assert await data.write(testbed.history, "tester", node, volume, target, "mine", b"bytes")
        await node.crash()
        await node.reboot()
        assert node.mounts() == ()
        await testbed.settled(300)
        assert await node.read(target, "mine") == b"bytes"
        assert "mine" in await node.names(target)
        await testbed.co.everything_absent(300)
        report = await testbed.check([])
        assert report.verdict == "ok", report.violations
        assert report.looked_at["I1"] > 0

    run_in(mode, program)


def test_a_check_says_what_is_left_unless_that_is_expected_or_nobodys_concern():
    async def program(testbed: Testbed) -> None:
        caller = testbed.caller("somebody", "node-1")
        await caller.call(PROVISIONER, caller.controller.CreateVolume, PLAN.create_request(), "pvc-1")
        await caller.call(KUBELET, caller.node.NodeGetInfo, csi.NodeGetInfoRequest(), "node-1")
        assert (await testbed.check()).verdict == "ok"
        assert (await testbed.check(await testbed.leftovers())).verdict == "ok"
        report = await testbed.check([])
        assert report.invariants["I3"] == "violation"
        assert "tank/csi/pvc-1" in report.violations[0].summary
        await caller.close()

    run_in("sim", program, co=False)


def test_equal_seeds_are_equal_runs():
    async def program(testbed: Testbed) -> None:
        caller = testbed.caller("somebody")
        await caller.call(PROVISIONER, caller.controller.CreateVolume, PLAN.create_request(), "pvc-1")
        await caller.close()

    assert run_in("sim", program) == run_in("sim", program)


async def test_on_real_sockets_the_patient_repeat_as_late_as_in_a_cluster() -> None:
    rule = "rpc.CreateVolume.before: #1 error(UNAVAILABLE)"
    async with Testbed(TestbedSettings(simulated=False, patient=True, rules=(rule,))) as testbed:
        testbed.co.apply(classes(testbed.settings.driver.driver_name, ("nfs",)))
        testbed.co.create_claim("data", storage_class="nfs")
        await testbed.co.settled(60.0)
        failed, repeated = [each for each in testbed.co.calls.attempts if each.rpc == "CreateVolume"]
        assert repeated.started_s - failed.ended_s >= Timings().retry_s > Timings().scaled(HURRIED.co_times).retry_s
