"""What is answered by SQL gives exactly what evaluation gives."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_truenas.context import Ctx
from fake_truenas.crud import Source, run_query
from fake_truenas.plan import Column, after_prefix, make_plan
from fake_truenas.query import QUERY_OPTIONS, filter_list
from fake_truenas.store import Row
from tests.fake_truenas.rpc import make_nas

COLUMNS = {"id": Column("id", int), "name": Column("name"), "kind": Column("kind")}


def entries(ctx: Ctx, rows: Sequence[Row], extra: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"id": row["id"], "name": row["name"], "kind": row["kind"], "length": len(row["name"])} for row in rows]


THINGS = Source("Thing", "thing", COLUMNS, entries)

names = st.text(st.sampled_from(["a", "b", "é", "\uffff", "\U0010ffff", "/", "@", "~", "\x00"]), max_size=3)
rows = st.lists(st.tuples(names, st.sampled_from(["x", "y"])), max_size=8)
values = names | st.integers(-1, 9) | st.booleans() | st.none()
filters = st.recursive(
    st.tuples(
        st.sampled_from(["id", "name", "kind", "length"]),
        st.sampled_from(["=", "!=", ">", ">=", "<", "<=", "^", "$"]),
        values,
    ).map(list)
    | st.tuples(st.sampled_from(["id", "name"]), st.just("in"), st.lists(names | st.integers(0, 9), max_size=3)).map(
        list
    ),
    lambda inner: st.lists(inner, min_size=1, max_size=3).map(lambda branches: ["OR", branches]),
    max_leaves=4,
)
options = st.fixed_dictionaries(
    {},
    optional={
        "order_by": st.lists(st.sampled_from(["id", "-id", "name", "-name", "length", "kind"]), max_size=2),
        "limit": st.integers(0, 4),
        "offset": st.integers(0, 4),
        "count": st.booleans(),
    },
)


def depth(item: Any) -> int:
    return 1 + max(depth(branch) for branch in item[1]) if item[0] == "OR" else 1


@given(rows, st.lists(filters, max_size=3).filter(lambda found: all(depth(item) <= 3 for item in found)), options)
def test_queries_over_a_table_agree_with_queries_over_its_entries(found: Any, wanted: Any, given: Any) -> None:
    ctx = Ctx(_NAS)
    _NAS.db.run("create table if not exists thing (id integer primary key, name text not null, kind text not null)")
    _NAS.db.run("delete from thing")
    _NAS.db.run_many("insert into thing (id, name, kind) values (?, ?, ?)", [(i, *row) for i, row in enumerate(found)])
    checked = QUERY_OPTIONS.compile()(given, [])
    in_memory = entries(ctx, _NAS.db.rows("select * from thing order by id"), {})
    expected = filter_list(in_memory, wanted, checked)
    assert run_query(ctx, THINGS, wanted, checked) == expected


_NAS = make_nas()


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
