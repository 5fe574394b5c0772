"""Whatever is sent to a pool, dataset or snapshot method: a result or a refusal, and after a refusal nothing has changed."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_truenas import Nas, jsonrpc
from fake_truenas.errors import ApiError
from fake_truenas.methods import default_registry
from fake_truenas.schema import AnyOf, Bool, Enum, Field, List, Map, Nullable, Obj, Str
from tests.fake_truenas.rpc import GIB, make_nas
from tests.fake_truenas.test_space import check

METHODS = {
    name: method
    for name, method in sorted(default_registry().methods.items())
    if name.startswith("pool.") and method.params
}

TEXT = st.sampled_from(
    ["tank", "tank/a", "tank/a/b", "tank/v", "tank/c", "tank/v@s", "tank/a@s", "tank/v@t", "s", "a:b", "id", "-name", "%Y", "%",
     "lz4", "none", "17", "9" * 20, "\0", "'", "tank/\U0001f512", "a" * 1025, "*", "a\\.b", "properties.a:b.value", ""]
) | st.text(max_size=4)  # fmt: skip
NUMBERS = st.sampled_from([-1, 0, 1, 512, 16384, GIB, 3 * GIB, 1 << 40, (1 << 63) - 1, 1 << 63, (1 << 64) - 1])
SCALARS = st.none() | st.booleans() | NUMBERS | st.floats(allow_nan=False, allow_infinity=False) | TEXT
JUNK = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=5
)
FILTERS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "id",
                "name",
                "pool",
                "snapshot_name",
                "dataset",
                "mountpoint",
                "user_properties.a:b.value",
                "properties.a:b.value",
                "x.*",
            ]
        ),
        st.sampled_from(["=", "!=", "in", "^", ">", "<=", "~", "C=", "?"]),
        SCALARS | st.lists(SCALARS, max_size=2),
    ).map(list)
    | JUNK,
    max_size=3,
)
EXTRA = st.dictionaries(
    st.sampled_from(
        [
            "properties",
            "retrieve_children",
            "flat",
            "holds",
            "min_txg",
            "max_txg",
            "snapshots",
            "snapshots_count",
            "retrieve_user_props",
        ]
    ),
    JUNK | st.just(["used", "volsize", "a:b"]),
    max_size=3,
)


def fitting(declared: Any) -> st.SearchStrategy[Any]:  # noqa: PLR0911 - one per type
    """Mostly values of the declared type."""
    match declared:
        case Str():
            return TEXT
        case Bool():
            return st.booleans()
        case Enum():
            return st.sampled_from(declared.values)
        case Nullable():
            return st.none() | fitting(declared.inner)
        case AnyOf():
            return st.one_of(*[fitting(one) for one in declared.types])
        case List():
            return st.lists(fitting(declared.inner), max_size=2)
        case Map():
            return st.dictionaries(
                st.sampled_from(["a:b", "sync", "refquota", "reservation", "copies", "recordsize", "x"]),
                TEXT | JUNK,
                max_size=2,
            )
        case Obj():
            members = {field.name: EXTRA if field.name == "extra" else fitting(field.type) for field in declared.fields}
            some = {field.name: members[field.name] for field in declared.fields[:2]}
            rest = {key: value for key, value in members.items() if key not in some}
            return st.fixed_dictionaries({}, optional=members) | st.fixed_dictionaries(some, optional=rest)
    return NUMBERS


def argument(field: Field) -> st.SearchStrategy[Any]:
    return FILTERS if field.name == "filters" else fitting(field.type) | fitting(field.type) | JUNK


def state(nas: Nas) -> list[Any]:
    tables = ("select * from pool", "select * from dataset", "select * from dataset_property", "select * from snapshot")
    return [tuple(row) for sql in tables for row in nas.db.rows(sql)]


@pytest.mark.parametrize("name", METHODS)
def test_every_call_ends_with_a_result_or_a_refusal(name: str) -> None:
    nas = make_nas()
    nas.call_direct("pool.dataset.create", {"name": "tank/a", "user_properties": [{"key": "a:b", "value": "c"}]})
    nas.call_direct("pool.dataset.create", {"name": "tank/a/b"})
    nas.call_direct("pool.dataset.create", {"name": "tank/v", "type": "VOLUME", "volsize": GIB})
    nas.call_direct("pool.snapshot.create", {"dataset": "tank", "name": "s", "recursive": True})
    nas.call_direct("pool.snapshot.clone", {"snapshot": "tank/v@s", "dataset_dst": "tank/c"})

    def run(*params: Any) -> Any:
        if METHODS[name].is_async:
            return runner.run(nas.call(name, *params))
        return nas.call_direct(name, *params)

    @given(st.tuples(*[argument(field) for field in METHODS[name].params]).map(list) | st.lists(JUNK, max_size=3))
    def call(params: list[Any]) -> None:
        before = state(nas)
        reply = b""
        try:
            reply = jsonrpc.result_reply(1, run(*params))
        except ApiError as error:
            reply = jsonrpc.refusal_reply(1, error)
            unchanged = state(nas) == before
        else:
            unchanged = True
            check(nas)
        assert reply
        assert unchanged

    with asyncio.Runner() as runner:
        call()
    nas.close()
