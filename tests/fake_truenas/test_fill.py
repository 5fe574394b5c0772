"""Format texts from outside."""

from typing import Any

import pytest

from fake_truenas.errors import CallError
from fake_truenas.fill import fill


@pytest.mark.parametrize(
    ("template", "values", "text"),
    [
        ("Deleting {0[dataset]}@{0[name]}", [{"dataset": "tank", "name": "s"}], "Deleting tank@s"),
        ("{} and {}", [1, "b"], "1 and b"), ("{1}{0}", ["a", "b"], "ba"), ("{0[x][1]}", [{"x": [1, 2]}], "2"),
        ("{{0}}", ["a"], "{0}"), ("plain", [], "plain"), ("{0}", ["x" * 5000], "x" * 1024),
    ],
)  # fmt: skip
def test_fields_are_filled_in(template: str, values: list[Any], text: str) -> None:
    assert fill(template, values) == text


@pytest.mark.parametrize(
    "template",
    [
        "{0.__class__}",
        "{0!r}",
        "{0:>1000000000}",
        "{0:{1}}",
        "{name}",
        "{",
        "}",
        "{0[a}",
        "{9}",
        "{0[no]}",
        "{0[x][y]}",
        "{}{}{}",
    ],
)
def test_what_reaches_further_or_has_no_value_is_refused(template: str) -> None:
    with pytest.raises(CallError) as caught:
        fill(template, [{"x": [1]}, 10])
    assert caught.value.errno == 22
