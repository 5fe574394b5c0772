"""Patience, with haste and without."""

from dataclasses import fields

from csisim.runs.pace import HURRIED, PATIENT, UNHURRIED
from csisim.truenas.settings import NasSettings

WITHOUT_LENGTH = {"callers", "tune"}


def test_in_haste_everything_is_shorter():
    for each in fields(HURRIED):
        if each.name not in WITHOUT_LENGTH:
            assert getattr(HURRIED, each.name) < getattr(UNHURRIED, each.name), each.name
    assert HURRIED.callers.backoff_s < UNHURRIED.callers.backoff_s
    assert HURRIED.callers.backoff_max_s < UNHURRIED.callers.backoff_max_s


def test_only_in_haste_the_driver_waits_shorter_for_the_nas():
    settings = NasSettings(url="ws://127.0.0.1:1/api/current", api_key="1-" + "k" * 64)
    assert UNHURRIED.tune(settings) == PATIENT.tune(settings) == settings
    assert HURRIED.tune(settings).landing_s < settings.landing_s
    assert HURRIED.tune(settings).overdue_s < settings.overdue_s


def test_a_run_may_take_as_long_as_its_phases():
    assert UNHURRIED.whole_s > UNHURRIED.safety_s + UNHURRIED.heal_s + UNHURRIED.liveness_s + UNHURRIED.heal_s
    assert HURRIED.whole_s < 600


def test_the_patient_wait_as_long_but_not_for_hours():
    waits = {each.name for each in fields(PATIENT)} - {"safety_s", "heal_s", "liveness_s"}
    assert all(getattr(PATIENT, name) == getattr(UNHURRIED, name) for name in waits)
    assert PATIENT.whole_s < 1800
