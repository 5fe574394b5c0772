"""What a call costs must not depend on how many datasets there are: counted in SQLite's own steps, not in time."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fake_truenas import Nas
from fake_truenas.errors import ValidationErrors
from tests.fake_truenas.rpc import GIB, make_nas

MANY = 100_000
EXTRA = {"retrieve_children": False, "flat": True, "properties": ["refquota", "volsize", "used"]}


def fill(nas: Nas, count: int) -> None:
    """Put datasets below tank/csi, every tenth with a snapshot, straight into the tables."""
    nas.call_direct("pool.dataset.create", {"name": "tank/csi", "user_properties": [{"key": "x:root", "value": "r"}]})
    with nas.db.transaction():
        parent = nas.db.value("select pk from dataset where name = 'tank/csi'")
        nas.db.run(
            "with recursive n(i) as (select 1 union all select i + 1 from n where i < ?) insert into dataset (name, parent, pool, pool_name, type, guid, createtxg, created_at)"
            " select printf('tank/csi/n%06d', i), ?, 1, 'tank', 'FILESYSTEM', i, 5, 0 from n",
            (count, parent),
        )
        nas.db.run(
            "insert into dataset_property select pk, 'x:name', name, pk from dataset where parent = ?"
            " union all select pk, 'x:root', 'r', ? from dataset where parent = ?",
            (parent, parent, parent),
        )
        nas.db.run(
            "insert into snapshot (name, dataset, dataset_name, short, pool_name, guid, createtxg, created_at, referenced)"
            " select name || '@s' || pk, pk, name, 's' || pk, 'tank', pk, 6, 0, 0 from dataset where parent = ? and pk % 10 = 0",
            (parent,),
        )


class Meter:
    """Counts the steps of SQLite's virtual machine, in units of ten."""

    def __init__(self, nas: Nas) -> None:
        self._nas = nas

    def steps(self, call: Callable[[], Any]) -> int:
        count = 0

        def tick() -> int:
            nonlocal count
            count += 1
            return 0

        self._nas.db.connection.set_progress_handler(tick, 1)  # by tens, earlier runs of a statement count too
        try:
            call()
        finally:
            self._nas.db.connection.set_progress_handler(None, 0)
        return count // 10


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Nas, Nas]]:
    few, many = make_nas(), make_nas()
    fill(few, 100)
    fill(many, MANY)
    yield few, many
    few.close()
    many.close()


def create_existing(nas: Nas) -> None:
    with pytest.raises(ValidationErrors):
        nas.call_direct("pool.dataset.create", {"name": "tank/csi/n000050f"})


def life_of_a_volume(nas: Nas) -> list[tuple[str, Callable[[], Any]]]:
    """Every call of a driver for one volume, from its creation to its end."""
    middle = nas.db.value(
        "select name from dataset where name like 'tank/csi/%' order by name limit 1 offset (select count(*) / 2 from dataset)"
    )
    end = nas.db.value("select max(name) from dataset where name like 'tank/csi/%'")

    def call(method: str, *params: Any) -> Callable[[], Any]:
        return lambda: nas.call_direct(method, *params)

    user = [{"key": "x:name", "value": "unique"}]
    by_property = [["id", "^", "tank/csi/"], ["user_properties.x:name.value", "=", "unique"]]
    return [
        ("create volume", call("pool.dataset.create", {"name": "tank/csi/n000050v", "type": "VOLUME", "volsize": GIB, "user_properties": user})),
        ("create file system", call("pool.dataset.create", {"name": "tank/csi/n000050f", "refquota": GIB})),
        ("create existing", lambda: create_existing(nas)),
        ("query by id", call("pool.dataset.query", [["id", "=", "tank/csi/n000050v"]], {"extra": EXTRA})),
        ("query by id, everything", call("pool.dataset.query", [["id", "=", "tank/csi/n000050v"]])),
        ("get_instance", call("pool.dataset.get_instance", "tank/csi/n000050v")),
        ("query by user property", call("pool.dataset.query", by_property, {"extra": EXTRA})),
        ("count by user property", call("pool.dataset.query", by_property, {"count": True})),
        ("query by mount point", call("pool.dataset.query", [["mountpoint", "=", "/mnt/tank/csi/n000050f"]], {"extra": EXTRA})),
        ("page", call("pool.dataset.query", [["id", "^", "tank/csi/"], ["id", ">", middle]], {"order_by": ["id"], "limit": 20, "extra": EXTRA})),
        ("page back", call("pool.dataset.query", [["id", "^", "tank/csi/"], ["id", "<", middle]], {"order_by": ["-id"], "limit": 20, "extra": EXTRA})),
        ("last page", call("pool.dataset.query", [["id", ">", end], ["id", "^", "tank/csi/"]], {"order_by": ["id"], "limit": 20, "extra": EXTRA})),
        ("update", call("pool.dataset.update", "tank/csi/n000050v", {"volsize": 2 * GIB, "user_properties_update": [{"key": "x:b", "value": "1"}]})),
        ("snapshot", call("pool.snapshot.create", {"dataset": "tank/csi/n000050v", "name": "snap", "properties": {"x:snap": "mine"}})),
        ("snapshot by id", call("pool.snapshot.query", [["id", "=", "tank/csi/n000050v@snap"]])),
        ("snapshot by short name", call("pool.snapshot.query", [["snapshot_name", "=", "snap"]])),
        ("snapshots of a dataset", call("pool.snapshot.query", [["dataset", "=", "tank/csi/n000050v"]])),
        ("snapshot by user property", call("pool.snapshot.query", [["properties.x:snap.value", "=", "mine"]])),
        ("snapshot page", call("pool.snapshot.query", [["id", "^", "tank/csi/"], ["id", ">", middle]], {"order_by": ["id"], "limit": 5})),
        ("clone", call("pool.snapshot.clone", {"snapshot": "tank/csi/n000050v@snap", "dataset_dst": "tank/csi/n000051c", "dataset_properties": {"x:c": "c"}})),
        ("promote", call("pool.dataset.promote", "tank/csi/n000051c")),
        ("rename", call("pool.dataset.rename", "tank/csi/n000050v", {"new_name": "tank/csi/n000052v", "force": True})),
        ("delete clone", call("pool.dataset.delete", "tank/csi/n000052v")),
        ("delete snapshot", call("pool.snapshot.delete", "tank/csi/n000051c@snap")),
        ("delete volume", call("pool.dataset.delete", "tank/csi/n000051c")),
        ("delete file system", call("pool.dataset.delete", "tank/csi/n000050f")),
        ("pool", call("pool.query", [["name", "=", "tank"]])),
    ]  # fmt: skip


def test_every_call_of_a_volumes_life_costs_the_same_among_many_datasets_as_among_few(pair: tuple[Nas, Nas]) -> None:
    few, many = pair
    costs = {}
    for (name, call_few), (_, call_many) in zip(life_of_a_volume(few), life_of_a_volume(many), strict=True):
        costs[name] = (Meter(few).steps(call_few), Meter(many).steps(call_many))
    grown = {name: cost for name, cost in costs.items() if cost[1] > cost[0] * 1.25 + 5}
    assert not grown
    assert max(cost for _, cost in costs.values()) < 2000


def test_counting_by_prefix_and_inherited_property_is_one_statement(pair: tuple[Nas, Nas]) -> None:
    _, many = pair
    statements: list[str] = []
    many.db.connection.set_trace_callback(statements.append)
    filters = [["id", "^", "tank/csi/"], ["user_properties.x:root.value", "=", "r"]]
    assert many.call_direct("pool.dataset.query", filters, {"count": True}) == MANY
    many.db.connection.set_trace_callback(None)
    # Besides the count itself only a look into the index of hidden datasets, which is empty.
    assert [sql.startswith("select count(*)") for sql in statements] == [False, True]
    plan = many.db.rows(f"explain query plan {statements[0]}")
    assert ["dataset_internal" in row["detail"] for row in plan] == [True]


@pytest.mark.parametrize(
    ("sql", "args"),
    [
        ("select * from dataset where name = ?", ("x",)),
        ("select * from dataset where name > ? and name < ? order by name", ("x", "y")),
        ("select * from dataset where parent = ? limit 1", (1,)),
        ("select name from dataset where origin = ? order by name", (1,)),
        ("select * from snapshot where dataset = ? order by createtxg, pk", (1,)),
        ("select * from snapshot where short = ? order by name", ("s",)),
        ("select dataset from dataset_property where key = ? and value = ?", ("k", "v")),
        ("delete from snapshot where pk = ?", (1,)),
        ("delete from dataset where pk = ?", (1,)),
    ],
)
def test_the_statements_behind_them_search_an_index(nas: Nas, sql: str, args: Any) -> None:
    plan = [row["detail"] for row in nas.db.rows(f"explain query plan {sql}", args)]
    assert not [step for step in plan if step.startswith("SCAN")], plan
