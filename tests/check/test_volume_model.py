"""Whole histories through `check_volumes`; single rules are in test_volume_rules.py and test_volume_refusals.py."""

from csisim.check.volume_model import check_volumes
from csisim.runs.plan import RunPlan
from csisim.runs.run import run_plan
from tests.support.calls import (
    SHARED,
    Script,
    bind,
    create,
    created,
    cut,
    delete,
    destroy,
    expand,
    expanded,
    get,
    got,
    publish,
    stage,
    stats,
    unbind,
    unpublish,
)

KUBELET = "kubelet n1"


def test_a_volumes_life_with_idempotent_repeats_is_linearizable() -> None:
    script = Script()
    for _ in range(2):
        script.call(create(), created())
    for _ in range(2):
        script.call(publish())
    script.call(stage(), process=KUBELET)
    script.call(get(), got("n1"))
    script.call(expand(2), expanded(2))
    for _ in range(2):
        script.call(unpublish())
    for _ in range(2):
        script.call(delete())
    script.call(get(), "NOT_FOUND")
    found = check_volumes(script.events)
    assert (found.check, found.verdict, found.looked_at) == ("linearizability", "ok", 12)


def test_a_volume_that_comes_back_by_itself_is_told_with_what_contradicts_it() -> None:
    script = Script()
    script.call(create(), created())
    script.call(delete())
    script.call(get(), got(), process="client-2")
    (violation,) = check_volumes(script.events).violations
    assert violation.summary == (
        "Volume pvc-1: ControllerGetVolume by client-2 was answered OK pvc-1 1073741824 bytes published on no node, at 6 s, "
        "but it does not exist."
    )
    assert violation.events == (5, 6)
    assert violation.at_s == 6.0
    assert "state after it: the volume does not exist" in violation.detail


def test_a_lost_deletion_may_happen_at_any_later_time_but_only_once() -> None:
    script = Script()
    script.call(create(), created())
    script.call(delete(), "DEADLINE_EXCEEDED")
    script.call(get(), got())
    script.call(get(), "NOT_FOUND")
    assert check_volumes(script.events).verdict == "ok"
    script.call(create(), created())
    script.call(get(), "NOT_FOUND")
    assert check_volumes(script.events).verdict == "violation"


def test_each_volume_without_an_order_is_a_violation_of_its_own() -> None:
    script = Script()
    for name in ("a", "b", "c"):
        script.call(create(name), created(name))
        script.call(get(name), "NOT_FOUND" if name != "b" else got(volume_id="b"))
    found = check_volumes(script.events)
    assert [each.summary.split(":")[0] for each in found.violations] == ["Volume a", "Volume c"]
    assert {each.detail.split(":")[0] for each in found.violations} == {"a", "c"}


def test_a_volume_that_nobody_creates_is_passed_over() -> None:
    script = Script()
    script.call(get("old"), got(volume_id="old"))
    script.call(delete("old"))
    assert (check_volumes(script.events).verdict, check_volumes(script.events).looked_at) == ("ok", 0)


def test_without_its_beginning_a_history_is_not_judged() -> None:
    script = Script()
    script.call(create(), created())
    script.call(get(), "NOT_FOUND")
    found = check_volumes(script.events[1:])
    assert found.verdict == "unknown"
    assert "beginning" in found.unknown


def test_a_budget_that_runs_out_is_unknown_and_names_the_volume() -> None:
    script = Script()
    begun = [script.begin(create(size=size, limit=size)) for size in (1, 2, 3, 4)]
    for call in begun:
        script.end(call, "UNAVAILABLE")
    script.call(get(), got(size=9))
    assert check_volumes(script.events).verdict == "violation"
    found = check_volumes(script.events, budget=2)
    assert (found.verdict, found.unknown) == ("unknown", "more than 2 steps for 1 volumes: pvc-1")


def outage(sees: str) -> Script:
    """Eight clients ask a NAS that is away for the same things; what is seen afterwards needs one effect of each."""
    script = Script()
    script.call(create(), created())
    script.call(publish(mode=SHARED))
    script.call(stage(), process=KUBELET)
    for number in range(8):
        for request in (
            expand(2),
            publish("n2", mode=SHARED),
            cut(),
            unpublish("n2"),
            destroy(),
            bind(sees),
            unbind(sees),
        ):
            process = KUBELET if request.DESCRIPTOR.name.startswith("Node") else f"client-{number}"
            script.call(request, "DEADLINE_EXCEEDED", process=process)
    script.call(bind("/pod"), process=KUBELET)
    for _ in range(3):
        script.call(get(), got("n1", size=2))
        script.call(get(), got("n1", "n2", size=2))
    script.call(delete(), "FAILED_PRECONDITION")
    script.call(stats("/pod"), process=KUBELET)
    script.call(stats("/other"), process=KUBELET)
    return script


def test_what_follows_on_many_calls_that_nobody_answered_is_decided() -> None:
    found = check_volumes(outage("/other").events, budget=2000)
    assert (found.verdict, found.looked_at) == ("ok", 69)
    (violation,) = check_volumes(outage("/third").events, budget=2000).violations
    assert "it is not on n1 at /other" in violation.summary


def test_a_refused_creation_may_take_back_what_an_interrupted_one_had_left() -> None:
    script = Script()
    script.call(create(), "DEADLINE_EXCEEDED")
    script.call(get(), got())
    script.call(create(), "RESOURCE_EXHAUSTED")
    script.call(get(), "NOT_FOUND")
    assert check_volumes(script.events).verdict == "ok"


def test_a_refused_creation_may_not_take_back_what_was_answered_with_success() -> None:
    script = Script()
    script.call(create(), created())
    script.call(create(), "RESOURCE_EXHAUSTED")
    script.call(get(), "NOT_FOUND")
    assert check_volumes(script.events).verdict == "violation"


def test_a_simulated_run_with_faults_has_an_order_and_not_once_an_answer_is_forged() -> None:
    events = run_plan(RunPlan(seed=5, clients=4, operations=10), keep_events=True).events
    found = check_volumes(events)
    assert (found.verdict, found.looked_at > 20) == ("ok", True)
    script = Script()
    script.call(create(), created())
    last = events[-1].seq
    shifted = [_later(event, last) for event in script.events]
    script.call(get(), "NOT_FOUND")
    forged = [_later(event, last) for event in script.events]
    assert check_volumes([*events, *shifted]).verdict == "ok"
    assert check_volumes([*events, *forged]).verdict == "violation"


def _later(event, by):
    from dataclasses import replace

    return replace(event, seq=event.seq + by, at_s=event.at_s + 10_000, call=f"late {event.call}")
