"""Taking everything away again, whatever is known of it."""

from csisim.co.plans import GIB
from csisim.runs import requests
from csisim.runs.clients import Desk
from csisim.runs.plan import RunPlan
from csisim.runs.testbed import Testbed, TestbedSettings
from csisim.runs.unwind import Unwinding
from csisim.sim.run import simulate

PLAN = RunPlan(seed=2, volumes=2, protocols=("iscsi",))


def test_what_may_have_been_created_is_created_once_more_and_then_deleted():
    async def program() -> tuple[list[str], list[str]]:
        async with Testbed(TestbedSettings(seed=2, co=False)) as testbed:
            desk = Desk(testbed, PLAN)
            lost, never = desk.ledger.volumes.values()
            lost.requests.append(lost.plan.create_request())
            lost.alive.there, lost.alive.begun[True] = None, 1
            await testbed.caller("other").controller.CreateVolume(lost.plan.create_request(), timeout=10)
            testbed.faults.add("rpc.CreateVolume.before: 2*error(UNAVAILABLE)\nrpc.DeleteVolume.after: 1*drop")
            await Unwinding(desk).run()
            await desk.close()
            calls = [event.f for event in testbed.history.since() if event.kind == "call" and event.type == "invoke"]
            assert never.alive.begun[True] == 0
            return calls, await testbed.leftovers()

    outcome = simulate(program, seed=2)
    assert outcome.error is None
    assert outcome.result == (["CreateVolume"] * 3 + ["DeleteVolume"] * 2 + ["ListVolumes", "ListSnapshots"], [])


def test_a_volume_that_was_refused_for_good_is_not_waited_for():
    async def program() -> list[str]:
        async with Testbed(TestbedSettings(seed=2, co=False)) as testbed:
            desk = Desk(testbed, PLAN)
            lost = desk.ledger.volumes["pvc-1"]
            request = lost.plan.create_request()
            request.parameters["protocol"] = "smb"
            lost.requests.append(request)
            lost.alive.there, lost.alive.begun[True] = None, 1
            await Unwinding(desk).run()
            await desk.close()
            return [event.f for event in testbed.history.since() if (event.kind, event.type) == ("intent", "ok")]

    assert simulate(program, seed=2).result == ["absent"]


def test_a_volume_that_has_outgrown_its_request_is_deleted_all_the_same():
    async def program() -> list[str]:
        async with Testbed(TestbedSettings(seed=2, co=False)) as testbed:
            desk = Desk(testbed, PLAN)
            lost = desk.ledger.volumes["pvc-1"]
            request = requests.create(lost, "", size_bytes=GIB)
            lost.requests.append(request)
            controller = testbed.caller("other").controller
            lost.id = (await controller.CreateVolume(request, timeout=10)).volume.volume_id
            await controller.ControllerExpandVolume(requests.expand(lost, 2 * GIB), timeout=10)
            lost.alive.there, lost.alive.begun[True] = None, 1
            await Unwinding(desk).run()
            await desk.close()
            return await testbed.leftovers()

    assert simulate(program, seed=2).result == []
