"""A history in order."""

from csisim.check.index import FOREVER, index
from csisim.events import History
from tests.support.told import Told


def test_calls_have_their_two_events() -> None:
    told = Told()
    first = told.begin("rpc", "Probe", "node-1")
    second = told.begin("rpc", "Probe", "node-1")
    told.end(first)
    ordered = told.index
    one, other = ordered.calls["rpc"]
    assert (one.id, one.events, one.ok, one.code, one.effect) == (first, (1, 3), True, "OK", "yes")
    assert (other.id, other.events, other.end, other.effect) == (second, (2,), FOREVER, "maybe")
    assert one.overlaps(other)
    assert ordered.call("rpc", first) is one


def test_effects_follow_the_codes() -> None:
    told = Told()
    for kind, type_, code in (("rpc", "info", "ABORTED"), ("rpc", "info", "UNAVAILABLE"), ("rpc", "fail", "INTERNAL"),
                              ("call", "fail", "NOT_FOUND"), ("call", "info", "UNKNOWN"), ("nas", "info", "")):  # fmt: skip
        told.end(told.begin(kind, "f"), type_, code=code)
    effects = {kind: [call.effect for call in calls] for kind, calls in told.index.calls.items()}
    assert effects == {"rpc": ["no", "maybe", "maybe"], "call": ["no", "maybe"], "nas": ["maybe"]}


def test_an_answer_that_a_rule_gave_after_the_work_leaves_its_effect_open() -> None:
    told = Told()
    for when in ("before", "after"):
        rpc = told.begin("rpc", "DeleteVolume", "node-1", volume_id="v")
        told.add("info", "fault", f"rpc.DeleteVolume.{when}", parent=rpc, value={"action": "error(NOT_FOUND)"})
        told.answer(rpc, "NOT_FOUND")
    told.delete(code="NOT_FOUND")
    assert [(call.injected, call.effect) for call in told.index.steps] == [(True, "no"), (True, "maybe"), (False, "no")]


def test_phases_and_interruptions() -> None:
    told = Told()
    told.world("phase", phase="safety")
    told.world("crash", what="nas")
    told.world("phase", phase="end")
    ordered = told.index
    assert [(phase.name, phase.begin, phase.end) for phase in ordered.phases] == [("safety", 1, 3), ("end", 3, FOREVER)]
    assert ordered.ended
    assert ordered.interrupted(1, 3)
    assert not ordered.interrupted(1, 3, "driver")
    assert not ordered.interrupted(3, 9)


def test_what_a_call_caused_leads_back_to_it() -> None:
    told = Told()
    rpc = told.begin("rpc", "CreateVolume", "node-1", name="v")
    nas = told.begin("nas", "pool.dataset.create", "nas", rpc)
    told.made("dataset t/v", nas)
    told.made("dataset t/w")
    ordered = told.index
    mine, other = ordered.truth
    assert ordered.rpc_of(mine) is ordered.call("rpc", rpc)
    assert ordered.rpc_of(other) is None


def test_a_call_is_disturbed_by_faults_while_it_is_under_way() -> None:
    told = Told()
    before = told.rpc("Probe", {})
    during = told.begin("rpc", "Probe", "node-1")
    told.add("info", "fault", "mount.umount", value={"action": "error(EBUSY)"})
    told.end(during)
    ordered = told.index
    disturbed = {call.id: ordered.disturbed(call) for call in ordered.steps}
    assert disturbed == {before: False, during: True}


def test_values_are_described_when_they_are_looked_at() -> None:
    looked: list[object] = []
    told = History(lambda: 0.0)
    told.describe = lambda message: looked.append(message) or {"name": "v"}
    told.add("invoke", "rpc", "CreateVolume", call="c1", value="a message")
    call = index(told.since()).steps[0]
    assert looked == []
    assert (call.request, call.request, looked) == ({"name": "v"}, {"name": "v"}, ["a message"])


def test_views_are_made_once() -> None:
    ordered = Told().index
    assert ordered.derived(lambda _: 1) == 1

    def make(_: object) -> list[int]:
        return []

    assert ordered.derived(make) is ordered.derived(make)
