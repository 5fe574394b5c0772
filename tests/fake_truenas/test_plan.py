"""Which filters become SQL, and how."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_truenas.plan import Column, after_prefix, make_plan

COLUMNS = {"id": Column("id", int), "name": Column("name"), "kind": Column("kind")}


names = st.text(st.sampled_from(["a", "b", "é", "\uffff", "\U0010ffff", "/", "@", "~", "\x00"]), max_size=3)


@given(names.filter(bool), names)
def test_the_end_of_a_prefix_is_above_everything_with_it_and_nothing_else(prefix: str, more: str) -> None:
    end = after_prefix(prefix)
    if end is not None:
        assert prefix + more < end
        assert not end.startswith(prefix)
        assert not prefix <= more < end or more.startswith(prefix)


def test_a_prefix_without_an_end() -> None:
    assert after_prefix("\U0010ffff" * 2) is None
    assert after_prefix("") is None
    assert after_prefix("\ud7ff") == "\ue000"


@pytest.mark.parametrize(
    ("filters", "where"),
    [
        ([["name", "^", "a/"], ["name", ">", "a/m"]], "name > ? and name < ?"),
        (
            [["name", ">", "a/m"], ["name", ">=", "a/m"], ["name", "<", "z"], ["name", "<=", "z"]],
            "name > ? and name < ?",
        ),
        ([["id", "=", 5], ["kind", "in", ["x"]]], "id = ? and kind in (?)"),
        ([["id", "=", "5"]], ""),
        ([["id", "=", True]], ""),
        ([["name", "!=", "a"]], ""),
        ([["OR", [["id", "=", 1], ["name", "^", "b"]]]], "(id = ? or (name >= ? and name < ?))"),
        ([["OR", [["id", "=", 1], ["length", "=", 1]]]], ""),
        ([["OR", [[["id", "=", 1], ["id", "=", 2]]]]], ""),
        (["nonsense", [], 7], ""),
    ],
)
def test_what_is_pushed_down(filters: Any, where: str) -> None:
    plan = make_plan(filters, [], COLUMNS)
    assert " and ".join(plan.where) == where
    assert bool(plan.residual) == (not where)


def test_no_more_is_pushed_down_than_sqlite_takes() -> None:
    columns = {"id": Column("id", int)}
    many = ["id", "in", list(range(500))]
    plan = make_plan([many] * 1000, [], columns)
    assert (len(plan.where), len(plan.args), len(plan.residual)) == (20, 10_000, 980)
    plan = make_plan([["id", "=", 1]] * 1000, [], columns)
    assert (len(plan.where), len(plan.residual)) == (100, 900)
    plan = make_plan([["OR", [many] * 50], ["OR", [["id", "=", 1]] * 101]], [], columns)
    assert (plan.where, len(plan.residual)) == ([], 2)
