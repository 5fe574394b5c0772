"""The levels and what they allow."""

from fake_truenas.assurance import LEVELS


def test_scram_is_a_choice_of_releases_that_have_it() -> None:
    first, second = LEVELS["LEVEL_1"], LEVELS["LEVEL_2"]
    assert first.choices(scram=False) == ["API_KEY_PLAIN", "TOKEN_PLAIN", "PASSWORD_PLAIN"]
    assert first.choices(scram=True) == ["API_KEY_PLAIN", "TOKEN_PLAIN", "PASSWORD_PLAIN", "SCRAM"]
    assert second.choices(scram=False) == ["PASSWORD_PLAIN"]
    assert second.choices(scram=True) == ["PASSWORD_PLAIN", "SCRAM"]


def test_the_second_level_wants_two_factors_and_ends_sooner() -> None:
    first, second = LEVELS["LEVEL_1"], LEVELS["LEVEL_2"]
    assert (first.max_age_s, first.max_inactivity_s, first.otp_mandatory) == (2_592_000.0, None, False)
    assert (second.max_age_s, second.max_inactivity_s, second.otp_mandatory) == (43_200.0, 1800.0, True)
