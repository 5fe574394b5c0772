"""Parameter types with a rule."""

import pytest

from fake_truenas.checked import UNIX_MODE, Checked
from fake_truenas.schema import Int


def check(declared, value):
    problems = []
    return declared.compile()(value, problems), problems


def test_the_rule_sees_only_values_of_the_right_form():
    odd = Checked(Int(), lambda number: None if number % 2 else f"{number} is even")
    assert check(odd, 3) == (3, [])
    assert check(odd, 4) == (4, [("", "Value error, 4 is even")])
    assert check(odd, "4") == ("4", [("", "Input should be a valid integer")])


@pytest.mark.parametrize("text", ["0", "755", "0755", "777"])
def test_octal_modes_pass(text):
    assert check(UNIX_MODE, text) == (text, [])


@pytest.mark.parametrize("text", ["", "rwx", "9", "1000", "-1"])
def test_other_modes_do_not(text):
    assert len(check(UNIX_MODE, text)[1]) == 1
