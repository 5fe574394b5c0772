"""What becomes of a scenario that does not go as it should; test_library.py plays those that do."""

import asyncio
import pickle
from dataclasses import replace

import pytest

from csisim.runs.script import Script
from csisim.scenarios.expect import expect
from csisim.scenarios.library import SCENARIOS
from csisim.scenarios.play import Played, play
from csisim.scenarios.scenario import Scenario

N01 = SCENARIOS["N01"]


def of(body, **members) -> Scenario:
    return replace(N01, body=body, variants=("",), **members)


async def nothing(_cluster: Script, _variant: str) -> None:
    pass


async def impossible(cluster: Script, _variant: str) -> None:
    cluster.co.create_claim("data", storage_class="no-such-class")
    await cluster.settled(20.0)


async def disappointed(cluster: Script, _variant: str) -> None:
    cluster.co.create_claim("data")
    await cluster.settled()
    expect(not cluster.attempts("CreateVolume"), "nobody has made a volume")


async def wrong_itself(_cluster: Script, _variant: str) -> None:
    raise LookupError("no such thing")


async def endless(_cluster: Script, _variant: str) -> None:
    await asyncio.Event().wait()


async def forgetful(_cluster: Script, _variant: str) -> None:
    asyncio.get_running_loop().call_soon(lambda: 1 // 0)
    await asyncio.sleep(0)


def test_the_same_seed_gives_the_same_run_and_another_one_another() -> None:
    first, again, other = play(N01, "nfs", seed=5), play(N01, "nfs", seed=5), play(N01, "nfs", seed=6)
    assert first.report.trace_hash == again.report.trace_hash != other.report.trace_hash
    assert first.to_json() == again.to_json()
    assert (first.label, first.again) == ("N01/nfs", "csisim scenarios run N01/nfs --seed 5")
    assert pickle.loads(pickle.dumps(first)).passed  # noqa: S301 - our own


def test_what_is_not_as_expected_fails_with_its_words_and_everything_is_judged_all_the_same() -> None:
    played = play(of(disappointed))
    assert not played.passed
    assert played.unexpected == "it is not so that nobody has made a volume"
    assert played.broken == ("expectation",)
    assert played.report.looked_at["I3"] > 0
    assert "What the scenario expects" in played.story


def test_what_does_not_come_true_fails_with_what_it_waits_for() -> None:
    played = play(of(impossible))
    assert "PersistentVolumeClaim default/data (present)" in played.unexpected
    assert played.broken == ("I11", "expectation")


def test_an_error_of_a_body_is_no_expectation() -> None:
    played = play(of(wrong_itself, caught_by=("expectation",)), wrong=True)
    assert played.broken == ("termination",)
    assert "LookupError: no such thing" in played.story
    assert (played.caught, played.missed, played.as_it_should) == ((), ("expectation",), False)


def test_a_body_without_an_end_is_ended() -> None:
    assert "has not ended within 3600 s" in play(of(endless)).story


def test_errors_that_nobody_takes_up_are_found() -> None:
    assert "I16" in play(of(forgetful)).broken


def test_a_wrong_driver_that_passes_is_told_of() -> None:
    played = play(of(nothing), wrong=True)
    assert played.passed
    assert not played.as_it_should
    assert played.missed == ("I1", "expectation")
    assert played.again.endswith("--wrong")


def test_what_is_somebody_elses_may_stay() -> None:
    async def theirs(cluster: Script, _variant: str) -> None:
        cluster.co.create_claim("data")
        await cluster.settled()
        await cluster.foreign("tank/csi/theirs")

    assert play(of(theirs)).broken == ("I3",)
    assert play(of(theirs, left=("NAS: dataset tank/csi/theirs",))).passed


@pytest.mark.parametrize(
    ("scenario", "variant", "real", "said"),
    [
        (N01, "smb", False, "'smb' is no variant of N01: there are nfs, iscsi"),
        (replace(N01, real=False), "nfs", True, "N01 needs virtual time"),
        (replace(N01, settings={"nodez": 3}), "nfs", False, "'nodez' is no option"),
    ],
)
def test_what_cannot_be_done_is_refused(scenario: Scenario, variant: str, real: bool, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        play(scenario, variant, real=real)


def test_plain_data_has_what_a_reader_needs() -> None:
    played: Played = play(N01, "nfs", wrong=True)
    shown = played.to_json()
    assert shown["caught_by"] == ["I1", "expectation"]
    assert shown["replay"] == "csisim scenarios run N01/nfs --seed 1 --wrong"
    assert shown["invariants"]["I1"] == "violation"
    assert not shown["passed"]
