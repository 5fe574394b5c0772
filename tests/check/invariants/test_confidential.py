"""I15 over histories written by hand."""

import base64

import pytest

from csisim.check.invariants.confidential import i15
from tests.support.told import Told

CANARY = 'canary-"7f3a'


def told_of(text: str) -> Told:
    told = Told()
    told.rpc("CreateVolume", {"name": "v", "parameters": {"note": [text]}})
    return told


def test_a_secret_in_any_event_is_a_violation_that_does_not_tell_it() -> None:
    result = i15(told_of(f"password={CANARY}!").index, ["another-one", CANARY])
    [found] = result.violations
    assert found.summary == "At 0.100 s the invoke of rpc CreateVolume showed secret 2."
    assert found.events == (1,)
    assert CANARY not in str(found)


@pytest.mark.parametrize("shown", [CANARY.encode().hex(), base64.b64encode(b"x" + CANARY.encode()).decode(), 'büro-"1'])
def test_a_secret_in_another_form_is_found(shown: str) -> None:
    result = i15(told_of(shown).index, ["x" + CANARY, CANARY, 'büro-"1'])
    assert len(result.violations) == 1


def test_a_secret_beside_what_cannot_be_written_as_utf8_is_found() -> None:
    told = told_of("\ud800")
    told.rpc("CreateVolume", {"name": CANARY})
    assert [found.events for found in i15(told.index, [CANARY]).violations] == [(3,)]


def test_a_stripped_request_is_fine() -> None:
    result = i15(told_of("***stripped***").index, [CANARY])
    assert (result.violations, result.looked_at) == ((), 2)


def test_without_secrets_nothing_can_be_looked_for() -> None:
    assert i15(told_of(CANARY).index).looked_at == 0


def test_a_secret_that_would_be_found_everywhere_is_refused() -> None:
    with pytest.raises(ValueError, match="secret 1 has 1 characters"):
        i15(told_of("").index, ["x"])
