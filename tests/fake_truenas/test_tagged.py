"""Objects told apart by a member."""

from typing import Any

import pytest

from fake_truenas.errors import ValidationErrors
from fake_truenas.redaction import REDACTED, hide_arguments
from fake_truenas.schema import SECRET, Enum, Field, Int, Obj, compile_params
from fake_truenas.tagged import Tagged

FIELD = Field(
    "data",
    Tagged(
        "kind",
        {
            "KEY": Obj(Field("kind", Enum("KEY")), Field("key", SECRET)),
            "PAIR": Obj(Field("kind", Enum("PAIR")), Field("left", Int()), Field("right", Int(), default=2)),
        },
    ),
)
validate = compile_params([FIELD])


def test_each_variant_has_its_own_members_and_defaults() -> None:
    assert validate([{"kind": "KEY", "key": "k"}]) == [{"kind": "KEY", "key": "k"}]
    assert validate([{"kind": "PAIR", "left": 1}]) == [{"kind": "PAIR", "left": 1, "right": 2}]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("KEY", [("data", "Input should be a valid dictionary", 22)]),
        ({}, [("data.kind", "Field required", 22)]),
        ({"kind": "hunter2"}, [("data.kind", "Input should be 'KEY' or 'PAIR'", 22)]),
        ({"kind": ["KEY"]}, [("data.kind", "Input should be 'KEY' or 'PAIR'", 22)]),
        ({"kind": "KEY"}, [("data.KEY.key", "Field required", 22)]),
        ({"kind": "KEY", "key": 5, "left": 1},
         [("data.KEY.key", "Input should be a valid string", 22),
          ("data.KEY.left", "Extra inputs are not permitted", 22)]),
    ],
)  # fmt: skip
def test_refusals_name_the_variant_and_show_no_value(value: Any, expected: list[Any]) -> None:
    with pytest.raises(ValidationErrors) as caught:
        validate([value])
    assert [tuple(item) for item in caught.value.items] == expected


def test_secrets_in_a_variant_are_hidden() -> None:
    assert hide_arguments([FIELD], [{"kind": "KEY", "key": "hunter2"}]) == [{"kind": "KEY", "key": REDACTED}]
