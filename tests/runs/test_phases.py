"""The phases come to their end, whatever the workload does."""

import asyncio

from csisim.runs.phases import run_phases
from csisim.runs.testbed import Testbed, TestbedSettings
from csisim.sim.run import simulate


class Idle:
    """A workload that does nothing; `hangs` names the phase that never ends."""

    def __init__(self, hangs: str = "") -> None:
        self.hangs = hangs
        self.log: list[str] = []

    async def safety(self) -> None:
        await self._phase("safety")

    async def liveness(self) -> None:
        await self._phase("liveness")

    async def _phase(self, name: str) -> None:
        self.log.append(name)
        if name == self.hangs:
            await asyncio.get_running_loop().create_future()

    def expected(self, left: list[str]) -> list[str]:
        self.log.append(f"{len(left)} left")
        return left


def phases(workload: Idle) -> tuple[list[str], list[str]]:
    async def program() -> tuple[list[str], list[str]]:
        async with Testbed(TestbedSettings(co=False)) as testbed:
            testbed.faults.add("rpc.*.before: error(ABORTED)")
            result = await run_phases(testbed, workload, testbed.pace)
            assert testbed.faults.plane.rules == ()
            noted = [
                event.f if event.kind == "state" else str(event.value["phase"])  # type: ignore[index]
                for event in testbed.history.since()
                if event.kind == "state" or (event.kind, event.f) == ("world", "phase")
            ]
            return noted, [violation.summary for violation in result.violations]

    outcome = simulate(program)
    assert outcome.error is None
    assert outcome.result is not None
    return outcome.result


def test_each_phase_is_noted_faults_are_healed_and_what_is_left_is_looked_at():
    workload = Idle()
    noted, found = phases(workload)
    assert (noted[:6], found) == (["safety", "heal", "liveness", "end", "left", "locks"], [])
    assert workload.log == ["safety", "liveness", "0 left"]


def test_a_phase_that_does_not_end_is_found_and_the_next_one_comes():
    for name, limit in (("safety", 10000), ("liveness", 1800)):
        workload = Idle(name)
        noted, found = phases(workload)
        assert noted[4:6] == ["left", "locks"]
        assert found == [f"the phase {name} has not ended within {limit} s"]
        assert workload.log[-1] == "0 left"
