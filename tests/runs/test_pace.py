"""Patience, with haste and without."""

from dataclasses import fields

from csisim.runs.pace import HURRIED, PATIENT, UNHURRIED


def test_in_haste_everything_is_shorter():
    for each in fields(HURRIED):
        assert getattr(HURRIED, each.name) < getattr(UNHURRIED, each.name), each.name


def test_a_run_may_take_as_long_as_its_phases():
    assert UNHURRIED.whole_s > UNHURRIED.safety_s + UNHURRIED.heal_s + UNHURRIED.liveness_s + UNHURRIED.heal_s
    assert HURRIED.whole_s < 600


def test_the_patient_wait_as_long_but_not_for_hours():
    waits = {each.name for each in fields(PATIENT)} - {"safety_s", "heal_s", "liveness_s"}
    assert all(getattr(PATIENT, name) == getattr(UNHURRIED, name) for name in waits)
    assert PATIENT.whole_s < 1800
