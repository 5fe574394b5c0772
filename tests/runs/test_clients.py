"""The clients' workload: it reaches everything, gets in its own way, and keeps to an orchestrator's rules."""

import functools
from collections import Counter
from dataclasses import replace

from csisim.events import Event
from csisim.runs.plan import RunPlan
from csisim.runs.run import run_plan


@functools.cache
def histories() -> list[tuple[Event, ...]]:
    plans = [RunPlan(seed=seed, clients=8, operations=24, volumes=3, faults=("none",)) for seed in (2, 4)]
    return [run_plan(plan, keep_events=True).events for plan in plans]


def test_clients_make_every_call_and_are_answered_in_every_way():
    codes: Counter[tuple[str, str]] = Counter()
    data: Counter[tuple[str, str]] = Counter()
    for events in histories():
        for event in events:
            if event.kind == "call" and event.type != "invoke" and event.process.startswith("client-"):
                codes[event.f, event.value.get("code", "OK")] += 1  # type: ignore[union-attr]
            if event.kind == "data":
                data[event.f, event.type] += 1
    succeeded = {rpc for rpc, code in codes if code == "OK"}
    assert succeeded >= {
        "CreateVolume", "DeleteVolume", "ControllerPublishVolume", "ControllerUnpublishVolume", "NodeStageVolume",
        "NodeUnstageVolume", "NodePublishVolume", "NodeUnpublishVolume", "ControllerExpandVolume", "CreateSnapshot",
        "DeleteSnapshot", "ControllerModifyVolume", "ListVolumes", "ListSnapshots", "GetCapacity",
    }  # fmt: skip
    assert {code for _, code in codes} >= {"OK", "ABORTED", "FAILED_PRECONDITION", "DEADLINE_EXCEEDED", "CANCELLED"}
    assert data["write", "ok"] > 5
    assert data["read", "ok"] > 5


def test_lists_are_walked_to_their_end_and_tokens_of_nobody_refused():
    given: dict[str, str] = {}
    followed, refused = 0, 0
    for events in histories():
        for event in events:
            value = event.value
            if event.kind != "call" or event.f not in {"ListVolumes", "ListSnapshots"} or not isinstance(value, dict):
                continue
            token = value.get("starting_token", "")
            followed += event.type == "invoke" and given.get(event.process) == token != ""
            refused += event.type == "fail" and value["code"] == "ABORTED"
            given[event.process] = value.get("next_token", "") if event.type == "ok" else given.get(event.process, "")
    assert followed
    assert refused


def test_nothing_is_detached_while_it_may_be_staged():
    for events in histories():
        staged: dict[tuple[str, str], int] = {}
        for event in events:
            value = event.value
            assert isinstance(value, dict)
            if event.kind == "truth" and event.f in {"mount", "login"}:
                staged[event.process, value["dataset"]] = event.seq
            elif event.kind == "truth" and event.f in {"umount", "logout"} and "globalmount" in str(value):
                staged.pop((event.process, value["dataset"]), None)
            elif (event.kind, event.f, event.type) == ("call", "ControllerUnpublishVolume", "invoke"):
                where = value["node_id"], f"tank/csi/{value['volume_id']}"
                assert where not in staged or is_logged_out(events, *where, event.seq)


def is_logged_out(events: tuple[Event, ...], node: str, dataset: str, before: int) -> bool:
    last = [
        event.f
        for event in events
        if event.seq < before
        and (event.kind, event.process) == ("truth", node)
        and event.f in {"login", "logout"}
        and event.value["dataset"] == dataset  # type: ignore[index]
    ]
    return bool(last) and last[-1] == "logout"


def test_operations_that_are_left_out_shift_nothing_of_what_the_others_draw():
    plan = RunPlan(seed=4, clients=2, operations=6, volumes=1, nodes=1, faults=("none",))
    first = asked(replace(plan, only=("1.1",)))
    both = asked(replace(plan, only=("1.1", "1.4")))
    assert {who for who, _ in both} == {"client-1"}
    assert len(first) == 1
    assert both[: len(first)] == first
    assert {who for who, _ in asked(plan)} == {"client-1", "client-2"}


def asked(plan: RunPlan) -> list[tuple[str, str]]:
    """Who called what, in order, while the run was at work."""
    events = run_plan(plan, keep_events=True).events
    return [(each.process, each.f) for each in events
            if each.kind == "call" and each.type == "invoke" and each.process.startswith("client-")]  # fmt: skip
