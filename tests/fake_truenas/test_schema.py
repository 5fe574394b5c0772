"""Parameter validation: strict, complete, with pydantic's paths and texts."""

from typing import Any

import pytest

from fake_truenas.errors import ValidationErrors
from fake_truenas.schema import (
    ABSENT,
    AnyOf,
    Bool,
    Enum,
    Field,
    Int,
    Json,
    List,
    Map,
    Nullable,
    Obj,
    Str,
    compile_params,
)

DATA = Obj(
    Field("name", Str(pattern="^[a-z]+$")),
    Field("size", Int(1, 9), default=4),
    Field("tags", List(Str()), default=()),
    Field("inner", Obj(Field("on", Bool(), default=True)), default={}),
    Field("maybe", Nullable(Enum("A", "B")), ABSENT),
    Field("map", Map(Int()), default={}),
    Field("any", AnyOf(Int(), Enum("INHERIT")), ABSENT),
)
VALIDATE = compile_params([Field("id", Str()), Field("data", DATA), Field("extra", Json(), default=None)])


def problems(*params: Any) -> list[tuple[str | None, str]]:
    with pytest.raises(ValidationErrors) as caught:
        VALIDATE(params)
    assert all(item.errno == 22 for item in caught.value.items)
    return [(item.attribute, item.text) for item in caught.value.items]


def test_defaults_are_filled_in_and_absent_members_stay_absent() -> None:
    assert VALIDATE(["x", {"name": "n"}]) == [
        "x", {"name": "n", "size": 4, "tags": [], "inner": {"on": True}, "map": {}}, None,
    ]  # fmt: skip


def test_all_problems_are_reported_with_dotted_paths() -> None:
    assert problems(
        "x", {"size": True, "tags": ["a", 5], "inner": {"on": 1, "off": 2}, "map": {"k": "1"}, "foo": 1}
    ) == [
        ("data.size", "Input should be a valid integer"),
        ("data.tags.1", "Input should be a valid string"),
        ("data.inner.on", "Input should be a valid boolean"),
        ("data.inner.off", "Extra inputs are not permitted"),
        ("data.map.k", "Input should be a valid integer"),
        ("data.foo", "Extra inputs are not permitted"),
        ("data.name", "Field required"),
    ]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"name": "n", "size": 0}, "Input should be greater than or equal to 1"),
        ({"name": "n", "size": 10}, "Input should be less than or equal to 9"),
        ({"name": "n", "size": "1"}, "Input should be a valid integer"),
        ({"name": "n", "size": 1.0}, "Input should be a valid integer"),
        ({"name": "a" * 1025}, "String should have at most 1024 characters"),
        ({"name": "N"}, "String should match pattern '^[a-z]+$'"),
        ({"name": "n", "maybe": "C"}, "Input should be 'A' or 'B'"),
        ({"name": "n", "any": "x"}, "Input should be 'INHERIT'"),
        ({"name": "n", "tags": "x"}, "Input should be a valid list"),
        ({"name": "n", "inner": []}, "Input should be a valid dictionary"),
        ([], "Input should be a valid dictionary"),
    ],
)
def test_each_type_says_what_it_wants(data: Any, text: str) -> None:
    assert [found for _, found in problems("x", data)] == [text]


def test_positional_parameters() -> None:
    assert problems() == [("id", "Field required"), ("data", "Field required")]
    assert problems("x", {"name": "n"}, None, 4) == [("", "Too many arguments (expected 3, found 4)")]
    with pytest.raises(TypeError, match="required parameters come first"):
        compile_params([Field("a", Int(), default=1), Field("b", Int())])


def test_a_patch_requires_and_fills_in_nothing() -> None:
    check = DATA.patch(Field("more", Bool()), without=("map",)).compile()
    found: list[tuple[str, str]] = []
    assert check({}, found) == {}
    assert check({"size": 5, "maybe": None, "more": True}, found) == {"size": 5, "maybe": None, "more": True}
    assert not found
    check({"map": {}}, found)
    assert found == [("map", "Extra inputs are not permitted")]


def test_an_enum_of_numbers_does_not_take_booleans() -> None:
    found: list[tuple[str, str]] = []
    Enum(512, 4096).compile()(True, found)
    Enum(1, 2).compile()(True, found)
    assert len(found) == 2


def test_lists_have_bounded_lengths() -> None:
    check = List(Int(), min_length=2, max_length=3).compile()
    for value, text in (
        ([1], "List should have at least 2 items after validation, not 1"),
        ([1] * 4, "List should have at most 3 items after validation, not 4"),
    ):
        problems: list[tuple[str, str]] = []
        check(value, problems)
        assert problems == [("", text)]
    problems = []
    assert check([1, 2, 3], problems) == [1, 2, 3]
    assert problems == []
