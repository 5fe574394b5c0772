"""Queries over a table: the answers of evaluation at the cost of SQL."""

import errno
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_truenas import crud
from fake_truenas.context import Ctx
from fake_truenas.crud import Source, add_queries, get_entry, run_query
from fake_truenas.errors import CallError, MatchNotFound, ValidationErrors
from fake_truenas.plan import Column, Condition
from fake_truenas.query import QUERY_OPTIONS, filter_list
from fake_truenas.registry import Namespace, Registry
from fake_truenas.schema import Int
from fake_truenas.steps import complete
from fake_truenas.store import Row
from tests.fake_truenas.rpc import make_nas

COLUMNS = {"id": Column("id", int), "name": Column("name"), "kind": Column("kind")}
TABLE = "create table thing (id integer primary key, name text not null, kind text not null)"

_NAS = make_nas()


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
    _NAS.db.run(TABLE.replace("table", "table if not exists"))
    _NAS.db.run("delete from thing")
    _NAS.db.run_many("insert into thing (id, name, kind) values (?, ?, ?)", [(i, *row) for i, row in enumerate(found)])
    checked = QUERY_OPTIONS.compile()(given, [])
    in_memory = entries(ctx, _NAS.db.rows("select * from thing order by id"), {})
    expected = filter_list(in_memory, wanted, checked)
    assert complete(run_query(ctx, THINGS, wanted, checked)) == expected


class Shop:
    """A namespace over 1000 things; notes which rows entries were built of."""

    def __init__(self) -> None:
        self.built: list[int] = []
        things = Namespace("shop.thing", tables=TABLE)
        self.source = Source("Thing", "thing", COLUMNS, self.entries, special=self.special, scope=self.scope)
        add_queries(things, self.source, Int())
        self.nas = make_nas(registry=Registry([things]))
        rows = [(number, f"n{number:04}", "ab"[number % 2]) for number in range(1, 1001)]
        self.nas.db.run_many("insert into thing (id, name, kind) values (?, ?, ?)", rows)
        self.nas.db.commit()

    def entries(self, ctx: Ctx, rows: Sequence[Row], extra: Mapping[str, Any]) -> list[dict[str, Any]]:
        self.built += [row["id"] for row in rows]
        return [{**entry, "extra": dict(extra)} for entry in entries(ctx, rows, extra)]

    @staticmethod
    def special(field: str, op: str, value: Any, extra: Mapping[str, Any]) -> Condition | None:
        return ("id % 10 = ?", [value]) if (field, op) == ("digit", "=") else None

    @staticmethod
    def scope(extra: Mapping[str, Any]) -> list[Condition]:
        return [("id > ?", [extra["above"]])] if "above" in extra else []

    def query(self, filters: list[Any], **options: Any) -> Any:
        self.built.clear()
        return self.nas.call_direct("shop.thing.query", filters, options)

    def ids(self, filters: list[Any], **options: Any) -> list[int]:
        return [entry["id"] for entry in self.query(filters, **options)]


@pytest.fixture(scope="module")
def shop() -> Any:
    made = Shop()
    yield made
    made.nas.close()


def test_a_page_builds_only_its_own_entries(shop: Shop) -> None:
    assert shop.ids([["kind", "=", "b"]], order_by=["-name"], limit=3, offset=2) == [995, 993, 991]
    assert shop.built == [995, 993, 991]
    assert shop.query([["name", "^", "n00"]], count=True) == 99
    assert shop.built == []
    assert shop.query([["id", ">", 5]], get=True)["id"] == 6
    assert shop.built == [6]


def test_a_filter_that_must_be_evaluated_stops_reading_once_the_page_is_full(shop: Shop) -> None:
    assert shop.ids([["length", "=", 5], ["id", ">", 100]], order_by=["id"], limit=2, offset=1) == [102, 103]
    assert len(shop.built) == 256
    assert shop.query([["length", "=", 5]], count=True, limit=2, offset=3, order_by=["id"]) == 1000


def test_rows_with_equal_terms_come_in_the_order_of_the_key(shop: Shop) -> None:
    assert shop.ids([["id", "<", 6]], order_by=["kind"]) == [2, 4, 1, 3, 5]
    assert shop.ids([["id", "<", 6]], order_by=["-kind"], limit=4) == [1, 3, 5, 2]
    assert shop.ids([["id", "in", [5, 1, 3]]]) == [1, 3, 5]


def test_a_namespace_adds_conditions_of_its_own(shop: Shop) -> None:
    assert shop.ids([["digit", "=", 7]], limit=3) == [7, 17, 27]
    assert len(shop.built) == 3
    assert shop.ids([["digit", "=", 7]], extra={"above": 980}) == [987, 997]
    assert shop.query([["digit", "=", 7]], extra={"above": 980}, count=True) == 2


def test_extra_reaches_the_entries(shop: Shop) -> None:
    assert shop.nas.call_direct("shop.thing.get_instance", 3, {"extra": {"x": 1}})["extra"] == {"x": 1}
    assert get_entry(Ctx(shop.nas), shop.source, 3)["extra"] == {}
    assert shop.query([["id", "=", 3]], extra={"y": 2})[0]["extra"] == {"y": 2}


def test_what_is_not_there(shop: Shop) -> None:
    with pytest.raises(ValidationErrors) as caught:
        shop.nas.call_direct("shop.thing.get_instance", 1001)
    assert caught.value.reason == "[ENOENT] None: Thing 1001 does not exist"
    with pytest.raises(MatchNotFound):
        shop.query([["id", "=", 1001]], get=True)
    assert shop.query([["id", "=", 1001]]) == []


def test_what_sql_cannot_sort_is_sorted_up_to_a_bound(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crud, "MAX_SORTED", 999)
    assert len(shop.query([["id", "<", 1000]], order_by=["length"])) == 999
    with pytest.raises(CallError, match="More than 999 entries to sort") as caught:
        shop.query([], order_by=["length"], limit=5)
    assert caught.value.errno == errno.E2BIG
    assert len(shop.query([], order_by=["name"], limit=5)) == 5
