"""A test inside of a testbed; tests/test_pytest_plugin.py has what pytest makes of it."""

import asyncio

import pytest

from csisim.runs import under_test
from csisim.runs.under_test import BadOption, LeftRunning, StillRunning, run_inside

BED = under_test.testbed_of


def test_options_become_settings() -> None:
    bed = BED(7, simulated=True, options={"nodes": 1, "faults": ("nas.core.ping.request: off",), "nas_s": (0.0, 0.0)})
    assert (bed.seed, bed.settings.node_ids, bed.settings.nas_s) == (7, ("node-1",), (0.0, 0.0))


@pytest.mark.parametrize("options", [{"nodez": 1}, {"strategy": "pct:0"}, {"nodes": ("a", "a")}])
def test_options_that_make_no_testbed_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(BadOption):
        BED(1, simulated=True, options=options)


def test_an_error_of_the_test_is_raised_as_it_is() -> None:
    async def test() -> None:
        raise LookupError("this one")

    with pytest.raises(LookupError, match="this one"):
        run_inside(BED(1, simulated=True, options={}), test)


def test_what_waits_in_vain_is_ended_with_a_report() -> None:
    async def test() -> None:
        await asyncio.Event().wait()

    with pytest.raises(StillRunning, match=r"within 50 s; every task then:\n(.|\n)*waits for an asyncio.Event"):
        run_inside(BED(1, simulated=True, options={}), test, limit_s=50)
    with pytest.raises(StillRunning, match=r"within 0.05 s"):
        run_inside(BED(1, simulated=False, options={}), test, limit_s=0.05)


def test_tasks_that_outlive_the_testbed_are_named() -> None:
    kept = []

    async def test() -> None:
        kept.append(asyncio.create_task(asyncio.sleep(1e6), name="the forgotten one"))

    with pytest.raises(LeftRunning, match="the forgotten one"):
        run_inside(BED(1, simulated=True, options={}), test)
