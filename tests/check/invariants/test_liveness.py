"""I11 and I16 over histories written by hand."""

from csisim.check.invariants.liveness import MOST_ATTEMPTS, i11, i16
from tests.support.told import Told, summaries


def wanted(*, end: bool = True, reached: bool = False, given_up: bool = False) -> Told:
    told = Told()
    intent = told.begin("intent", "present", "user", object="PersistentVolumeClaim default/data-0")
    if reached:
        told.end(intent)
    if given_up:
        told.end(told.begin("intent", "absent", "user", object="PersistentVolumeClaim default/data-0"))
    if end:
        told.world("phase", phase="end")
    return told


def test_an_intent_that_never_came_true_is_a_violation() -> None:
    [found] = summaries(i11, wanted())
    assert "PersistentVolumeClaim default/data-0 was wanted to be there at 0.100 s, and was not by the end" in found


def test_an_intent_that_came_true_or_was_withdrawn_is_fine() -> None:
    assert summaries(i11, wanted(reached=True)) == []
    assert summaries(i11, wanted(given_up=True)) == []
    assert i11(wanted(end=False).index).violations == ()


def attempts(number: int, gap_s: float, growth: float = 1.0, *, phase: str = "") -> Told:
    told = Told()
    if phase:
        told.world("phase", phase=phase)
    for each in range(number):
        told.add("invoke", "call", "CreateSnapshot", call=f"a{each}", process="snapshotter", tick_s=gap_s)
        told.add("fail", "call", "CreateSnapshot", call=f"a{each}", process="snapshotter",
                 value={"code": "FAILED_PRECONDITION"}, tick_s=0.01)  # fmt: skip
        gap_s = min(gap_s * growth, 0.45) if growth > 1.0 else gap_s
    return told


def test_repeating_without_growing_pauses_is_a_violation() -> None:
    [found] = summaries(i11, attempts(12, 0.15))
    assert "snapshotter called CreateSnapshot 12 times" in found
    assert "without growing pauses" in found


def test_growing_pauses_and_slow_polls_are_fine() -> None:
    assert summaries(i11, attempts(14, 0.01, 2.0)) == []
    assert summaries(i11, attempts(14, 1.0)) == []


def test_too_many_attempts_after_the_faults_have_stopped_are_a_violation() -> None:
    assert (
        "times in vain after the faults had stopped"
        in summaries(i11, attempts(MOST_ATTEMPTS + 1, 60.0, phase="liveness"))[0]
    )
    assert summaries(i11, attempts(MOST_ATTEMPTS + 1, 60.0, phase="safety")) == []


def aborted(duration_s: float, *, once_ok: bool = False) -> Told:
    told = Told()
    told.world("phase", phase="liveness")
    for number in range(5):
        code = "OK" if once_ok and number == 3 else "ABORTED"
        told.add("info", "world", "clock", tick_s=duration_s / 4)
        told.rpc("NodeUnpublishVolume", {"volume_id": "v"}, code)
    return told


def test_a_volume_wedged_on_aborted_is_a_violation() -> None:
    assert "Volume v answered nothing but ABORTED" in summaries(i11, with_calls(900.0))[0]


def with_calls(duration_s: float, *, once_ok: bool = False) -> Told:
    told = aborted(duration_s, once_ok=once_ok)
    intent = told.begin("intent", "absent", "user", object="pod")
    told.end(intent)
    told.world("phase", phase="end")
    return told


def test_a_volume_that_is_busy_for_a_while_is_not_wedged() -> None:
    assert i11(with_calls(300.0).index).violations == ()
    assert i11(with_calls(900.0, once_ok=True).index).violations == ()


def test_a_call_answered_twice_is_a_violation() -> None:
    told = Told()
    call = told.rpc("Probe", {})
    told.end(call)
    assert "ended a second time" in summaries(i16, told)[0]


def test_a_call_that_nobody_ever_answered_is_a_violation_once_the_run_is_over() -> None:
    told = Told()
    told.begin("call", "Probe", "client-1")
    assert summaries(i16, told) == []
    told.world("phase", phase="end")
    assert "nobody ever answered it" in summaries(i16, told)[0]


def test_who_dies_answers_nothing() -> None:
    told = Told()
    told.begin("rpc", "Probe", "node-1")
    told.world("crash", what="driver")
    told.world("phase", phase="end")
    assert summaries(i16, told) == []


def test_a_task_that_died_is_a_violation() -> None:
    told = Told()
    told.world("error", message="Task 'reader' died of KeyError")
    assert "Task 'reader' died of KeyError" in summaries(i16, told)[0]


def test_the_beginning_of_a_cut_history_is_not_missed() -> None:
    told = Told()
    told.end(told.begin("rpc", "Probe", "node-1"))
    told.rpc("Probe", {})
    told.events.pop(0)
    assert i16(told.index).violations == ()


def test_random_callers_that_happen_to_ask_the_same_again_are_no_hot_loop() -> None:
    told = Told()
    for _ in range(20):
        told.end(told.begin("call", "CreateVolume", "client-1", name="v"), "fail", code="ABORTED", message="busy")
    assert i11(told.index).violations == ()
