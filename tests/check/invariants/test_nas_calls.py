"""I9 and I18 over histories written by hand."""

import pytest

from csisim.check.invariants.nas_calls import MOST_IN_FLIGHT, i9, i18
from tests.support.told import Told, summaries


def created(first: str, *between: str, params: tuple[str, str] = ("v", "v")) -> Told:
    told = Told()
    rpc = told.begin("rpc", "CreateVolume", "node-1", name="v")
    calls = [("pool.dataset.create", first, params[0]), *((f, "ok", "") for f in between)]
    for f, end, name in (*calls, ("pool.dataset.create", "ok", params[1])):
        call = told.begin("nas", f, "nas", rpc, params=[{"name": name}])
        told.end(call, end)
    told.end(rpc)
    return told


@pytest.mark.parametrize("outcome", ["info", "ok"])
def test_a_creation_repeated_blindly_is_a_violation(outcome: str) -> None:
    [found] = summaries(i9, created(outcome))
    assert "pool.dataset.create was sent twice for CreateVolume(v)" in found


def test_a_creation_may_be_repeated_after_a_look_or_a_refusal() -> None:
    assert summaries(i9, created("info", "pool.dataset.query")) == []
    assert summaries(i9, created("fail")) == []
    assert summaries(i9, created("ok", params=("v", "w"))) == []


def test_what_arrives_late_was_sent_before_the_look_that_missed_it() -> None:
    def late(*order: str) -> Told:
        told = Told()
        rpc = told.begin("rpc", "CreateVolume", "node-1", name="v")
        sent = {"late": {"sent_after": 1}, "again": {}}
        for each in order:
            if each == "look":
                told.end(told.begin("nas", "pool.dataset.query", "nas", rpc, params=[]))
            else:
                told.end(told.begin("nas", "pool.dataset.create", "nas", rpc, params=[{"name": "v"}], **sent[each]))
        told.end(rpc)
        return told

    assert summaries(i9, late("look", "late", "again")) == []
    assert summaries(i9, late("look", "again", "late")) == []
    assert len(summaries(i9, late("again", "late"))) == 1


def given_up(code: str, *after: str) -> Told:
    told = Told()
    rpc = told.begin("rpc", "DeleteVolume", "node-1", volume_id="v")
    told.begin("nas", "pool.dataset.delete", "nas", rpc, params=["t/v"])
    for f in after:
        told.end(told.begin("nas", f, "nas", rpc, params=[]))
    told.answer(rpc, code)
    return told


def test_failing_for_good_with_the_outcome_unknown_is_a_violation() -> None:
    [found] = summaries(i9, given_up("FAILED_PRECONDITION"))
    assert "nobody knows what became of pool.dataset.delete" in found


def test_a_pending_code_or_a_look_keeps_the_ambiguity() -> None:
    assert i9(given_up("UNAVAILABLE").index).violations == ()
    assert summaries(i9, given_up("FAILED_PRECONDITION", "pool.dataset.query")) == []


def test_more_calls_than_the_socket_takes_are_a_violation() -> None:
    def at_once(number: int) -> Told:
        told = Told()
        rpc = told.begin("rpc", "ListVolumes", "node-1")
        for call in [told.begin("nas", "pool.dataset.query", "nas", rpc) for _ in range(number)]:
            told.end(call)
        return told

    assert f"{MOST_IN_FLIGHT + 1} calls of the NAS were under way" in summaries(i18, at_once(MOST_IN_FLIGHT + 1))[0]
    assert summaries(i18, at_once(MOST_IN_FLIGHT)) == []


def test_being_refused_for_too_many_calls_is_a_violation() -> None:
    told = Told()
    rpc = told.begin("rpc", "ListVolumes", "node-1")
    told.end(told.begin("nas", "pool.dataset.query", "nas", rpc), "fail", reason="Maximum number of concurrent calls")
    assert "because too many calls were under way" in summaries(i18, told)[0]


def logins(*gaps_s: float, end: str = "fail") -> Told:
    told = Told()
    for gap_s in gaps_s:
        told.add("invoke", "nas", "auth.login_ex", call=f"l{len(told.events)}", tick_s=gap_s)
        told.add(end, "nas", "auth.login_ex", call=f"l{len(told.events) - 1}", tick_s=0.0)  # type: ignore[arg-type]
    return told


def test_a_storm_of_logins_is_a_violation_even_where_they_succeed() -> None:
    assert "there were 11 logins" in summaries(i18, logins(*[0.05] * 11, end="ok"))[0]


def test_more_failed_logins_than_the_nas_takes_are_a_violation() -> None:
    gaps = [2.0 + 0.01 * number for number in range(22)]
    assert "21 logins failed" in summaries(i18, logins(*gaps))[0]


def test_logins_with_equal_pauses_are_a_violation() -> None:
    assert "the pauses neither grow nor vary" in summaries(i18, logins(*[8.0] * 12))[0]


def test_growing_pauses_between_logins_are_fine() -> None:
    assert summaries(i18, logins(*[min(60.0, 0.5 * 1.9**number) for number in range(12)])) == []
