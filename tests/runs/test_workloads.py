"""Workloads by name. What each of them does is in `test_clients.py`, `test_unwind.py` and `test_intents.py`."""

from csisim.runs.intents import CoWorkload
from csisim.runs.plan import WORKLOADS as NAMES
from csisim.runs.plan import RunPlan
from csisim.runs.testbed import Testbed, TestbedSettings
from csisim.runs.workloads import WORKLOADS, ClientsWorkload
from csisim.sim.run import simulate


def test_there_is_one_for_each_name_of_a_plan():
    assert dict(WORKLOADS) == {"clients": ClientsWorkload, "co": CoWorkload}
    assert set(WORKLOADS) == set(NAMES)


def test_clients_without_operations_leave_nothing_to_take_away():
    async def program() -> list[str]:
        async with Testbed(TestbedSettings(co=False)) as testbed:
            workload = ClientsWorkload(testbed, RunPlan(seed=1, operations=0))
            await workload.safety()
            await workload.liveness()
            assert workload.expected(["x"]) == []
            return [event.f for event in testbed.history.since() if event.kind == "call" and event.type == "invoke"]

    assert simulate(program).result == ["ListVolumes", "ListSnapshots"]
