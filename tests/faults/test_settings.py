import asyncio

import pytest

from csisim.faults.grammar import parse_rule
from csisim.faults.plane import Passing
from csisim.faults.settings import FaultSettings, recorded_plane
from csisim.faults.sites import rpc_sites

RULE = parse_rule("rpc.CreateVolume.before{vol=pvc-*}: error(ABORTED)")


async def test_every_firing_is_in_the_history_with_its_call():
    now = asyncio.get_running_loop().time
    plane, history = recorded_plane(FaultSettings(rules=(RULE,), seed=3), rpc_sites(local=False), now)

    await plane.meet(Passing("rpc.CreateVolume.before", vol="pvc-1", node="n1", call_id="c7"))
    await plane.meet(Passing("rpc.CreateVolume.before", vol="other"))

    assert plane.seed == 3
    (event,) = history.since()
    told = event.to_json()
    assert (told["type"], told["kind"], told["f"], told["parent"], told["process"]) == (
        "info", "fault", "rpc.CreateVolume.before", "c7", "n1",
    )  # fmt: skip
    assert (told["value"]["rule"], told["value"]["action"], told["value"]["vol"]) == (
        "rule-1", "error(ABORTED)", "pvc-1",
    )  # fmt: skip


def test_the_history_has_the_length_that_was_asked_for():
    _, history = recorded_plane(FaultSettings(history_limit=2), rpc_sites(local=False), lambda: 0.0)
    for number in range(5):
        history.add("info", "rpc", str(number))

    assert [event.f for event in history.since()] == ["3", "4"]


def test_a_rule_for_another_place_is_refused():
    wrong = parse_rule("mount.umount: error(EBUSY)")

    with pytest.raises(ValueError, match="there is no site"):
        recorded_plane(FaultSettings(rules=(wrong,)), rpc_sites(local=False), lambda: 0.0)
