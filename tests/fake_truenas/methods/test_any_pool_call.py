"""Whatever is sent to a pool, dataset or snapshot method: a result or a refusal, and after a refusal nothing has changed."""

import asyncio
from typing import Any

import pytest
from hypothesis import given, note

from fake_truenas import Nas, jsonrpc
from fake_truenas.errors import ApiError
from fake_truenas.methods import default_registry
from tests.fake_truenas.arbitrary import SEEDS, Arbitrary, Words
from tests.fake_truenas.rpc import GIB, make_nas
from tests.fake_truenas.test_space import check

METHODS = {
    name: method
    for name, method in sorted(default_registry().methods.items())
    if name.startswith("pool.") and method.params
}

EXTRAS: list[dict[str, Any]] = [
    {},
    *({name: value} for name in ("retrieve_children", "flat", "holds", "snapshots", "snapshots_count")
      for value in (True, False, None, "x")),
    *({name: value} for name in ("min_txg", "max_txg") for value in (0, 4, -1, 1 << 64, "4")),
    *({"properties": value} for value in ([], None, ["used", "volsize", "a:b"], ["x", 3], "used", {})),
    {"retrieve_user_props": False, "snapshots": True, "properties": ["used"]},
    {"retrieve_children": False, "flat": False, "\0": ["x"]},
]  # fmt: skip
NAMES = ("tank", "tank/a", "tank/a/b", "tank/v", "tank/c", "tank/new", "tank/a@s", "tank/v@s", "tank/v@new", "s", "new")
WORDS = Words(
    texts=["tank", "tank/a", "tank/a/b", "tank/v", "tank/c", "tank/v@s", "tank/a@s", "tank/v@t", "s", "a:b", "id", "-name",
           "%Y", "%", "lz4", "none", "17", "9" * 20, "\0", "'", "tank/\U0001f512", "a" * 1025, "*", "a\\.b",
           "properties.a:b.value", ""],
    numbers=[-1, 0, 1, 512, 16384, GIB, 3 * GIB, 1 << 40, (1 << 63) - 1, 1 << 63, (1 << 64) - 1],
    fields=["id", "name", "pool", "snapshot_name", "dataset", "mountpoint", "user_properties.a:b.value",
            "properties.a:b.value", "x.*"],
    known={
        "extra": EXTRAS,
        **dict.fromkeys(("id", "name", "new_name"), (*NAMES, 1, 1, 1)),
        **dict.fromkeys(("dataset", "snapshot", "dataset_dst", "path", "current_name", "pool"), NAMES),
        "volsize": [GIB, 3 * GIB, 1],
        "naming_schema": ["auto-%Y-%m-%d_%H-%M", "%Y", ""],
    },
    keys=["a:b", "sync", "refquota", "reservation", "copies", "recordsize", "x"],
)  # fmt: skip


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
    nas.call_direct("pool.snapshottask.create", {"dataset": "tank/a", "recursive": True})

    def run(*params: Any) -> Any:
        if METHODS[name].is_async:
            return runner.run(nas.call(name, *params))
        return nas.call_direct(name, *params)

    @given(SEEDS)
    def call(seed: int) -> None:
        params = Arbitrary(seed, WORDS).params(METHODS[name].params)
        note(f"{name}{params}")
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
