"""What values of events may look like."""

from typing import Any

import pytest

from csisim.check.values import wrong_member
from csisim.events import Event, Kind, Type
from csisim.runs.plan import RunPlan
from csisim.runs.run import run_plan
from csisim.secrets import STRIPPED


def event(kind: Kind, f: str, type_: Type, **value: Any) -> Event:
    return Event(1, 0.0, type_, kind, f, value=value)


@pytest.mark.parametrize("workload", ["clients", "co"])
def test_whatever_a_run_writes_has_the_form(workload: str) -> None:
    events = run_plan(RunPlan(seed=3, workload=workload, clients=2, operations=6), keep_events=True).events
    assert len(events) > 50
    assert [wrong for each in events if (wrong := wrong_member(each))] == []


@pytest.mark.parametrize(
    ("damaged", "told"),
    [
        (event("rpc", "CreateVolume", "invoke", name=["v"]), "name: ['v'] is not a text"),
        (event("call", "CreateVolume", "invoke", capacity_range={"required_bytes": "1"}),
         "capacity_range.required_bytes: '1' is not a whole number"),
        (event("call", "CreateVolume", "invoke", parameters={"a": 1}), "parameters: {'a': 1} is not an object"),
        (event("call", "CreateVolume", "invoke", volume_capabilities=[{}, 3]),
         "volume_capabilities[1]: 3 is not an object"),
        (event("call", "ListVolumes", "ok", entries={}), "entries: {} is not a list"),
        (event("call", "ListVolumes", "ok", entries=[{"volume": {"capacity_bytes": True}}]),
         "entries[0].volume.capacity_bytes: True is not a whole number"),
        (event("call", "Probe", "ok", ready=1), "ready: 1 is not an object"),
        (event("call", "Probe", "fail", code=5), "code: 5 is not a text"),
        (event("data", "write", "invoke", volume="v", sha=None), "sha: None is not a text"),
        (event("world", "crash", "info", down_s="long"), "down_s: 'long' is not a number"),
        (event("state", "path", "info", exists=0), "exists: 0 is not true or false"),
        (event("state", "left", "info", objects="x" * 100), f"objects: '{'x' * 59}... is not a list"),
    ],
)  # fmt: skip
def test_the_first_member_of_another_form_is_told(damaged: Event, told: str) -> None:
    assert wrong_member(damaged) == told


def test_secrets_and_what_is_not_known_are_passed_over() -> None:
    assert wrong_member(event("call", "CreateVolume", "invoke", secrets=STRIPPED, new_field=7)) == ""
    assert wrong_member(event("call", "MakeCoffee", "invoke", name=7, code="x")) == ""
    assert wrong_member(event("world", "phase", "info", phase="end", more=[])) == ""
