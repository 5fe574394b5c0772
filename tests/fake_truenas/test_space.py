"""Usage and inheritance kept up to date step by step equal what a computation from scratch gives."""

import random
from collections import Counter
from typing import Any

import pytest

from fake_truenas import Nas, space, zfs
from fake_truenas.errors import ApiError
from tests.fake_truenas.objects import add_referenced
from tests.fake_truenas.rpc import GIB, make_nas

KEYS = ("a:x", "a:y")


class Walk:
    """Random operations on a small tree; refusals are part of the walk."""

    def __init__(self, nas: Nas, seed: int) -> None:
        self.nas = nas
        self.rng = random.Random(seed)
        self.outcomes: Counter[str] = Counter()

    def names(self, table: str) -> list[str]:
        sql = {
            "dataset": "select name from dataset order by name",
            "snapshot": "select name from snapshot order by name",
        }
        return [row["name"] for row in self.nas.db.rows(sql[table])]

    def fresh(self) -> str:
        return f"{self.rng.choice(self.names('dataset'))}/{self.rng.choice('abc')}"

    def some(self, table: str) -> str:
        return self.rng.choice(self.names(table) or ["tank/none@none"])

    def step(self) -> None:
        rng = self.rng
        verb = rng.choice(
            [
                "create",
                "create",
                "volume",
                "set",
                "drop",
                "write",
                "write",
                "snap",
                "unsnap",
                "clone",
                "promote",
                "rename",
                "delete",
                "rollback",
                "limit",
            ]
        )
        try:
            getattr(self, verb)()
            self.outcomes[verb] += 1
        except (ApiError, zfs.OutOfSpaceError):
            self.outcomes[f"{verb} refused"] += 1

    def call(self, method: str, *params: Any) -> None:
        self.nas.call_direct(method, *params)

    def create(self) -> None:
        props = [{"key": self.rng.choice(KEYS), "value": str(self.rng.random())}] if self.rng.random() < 0.3 else []
        self.call(
            "pool.dataset.create",
            {"name": self.fresh(), "reservation": self.rng.choice([0, GIB]), "user_properties": props},
        )

    def volume(self) -> None:
        data = {"name": self.fresh(), "type": "VOLUME", "volsize": GIB, "sparse": self.rng.random() < 0.5}
        self.call("pool.dataset.create", data)

    def set(self) -> None:
        change = {"key": self.rng.choice(KEYS), "value": str(self.rng.random())}
        self.call("pool.dataset.update", self.some("dataset"), {"user_properties_update": [change]})

    def drop(self) -> None:
        change = {"key": self.rng.choice(KEYS), "remove": True}
        self.call("pool.dataset.update", self.some("dataset"), {"user_properties_update": [change]})

    def limit(self) -> None:
        key = self.rng.choice(["reservation", "refreservation", "quota"])
        self.call("pool.dataset.update", self.some("dataset"), {key: self.rng.choice([0, GIB, 3 * GIB])})

    def write(self) -> None:
        row = space.find(self.nas.db, self.some("dataset"))
        assert row is not None
        delta = self.rng.choice([1 << 20, 300 << 20])
        if self.rng.random() < 0.3:
            delta = -min(delta, row["referenced"], row["uniq"], row["head"])
        with self.nas.db.transaction():
            add_referenced(self.nas.db, row["pk"], delta)

    def snap(self) -> None:
        self.call(
            "pool.snapshot.create",
            {"dataset": self.some("dataset"), "name": self.rng.choice("stu"), "recursive": self.rng.random() < 0.3},
        )

    def unsnap(self) -> None:
        self.call("pool.snapshot.delete", self.some("snapshot"), {"defer": self.rng.random() < 0.5})

    def clone(self) -> None:
        self.call("pool.snapshot.clone", {"snapshot": self.some("snapshot"), "dataset_dst": self.fresh()})

    def promote(self) -> None:
        self.call("pool.dataset.promote", self.some("dataset"))

    def rename(self) -> None:
        self.call("pool.dataset.rename", self.some("dataset"), {"new_name": self.fresh(), "force": True})

    def delete(self) -> None:
        self.call("pool.dataset.delete", self.some("dataset"), {"recursive": self.rng.random() < 0.5})

    def rollback(self) -> None:
        self.call("pool.snapshot.rollback", self.some("snapshot"), {"recursive": self.rng.random() < 0.5})


def check(nas: Nas) -> None:
    """Compute everything from scratch and compare."""
    rows = nas.db.rows("select * from dataset order by name")
    by_pk = {row["pk"]: row for row in rows}
    children: Counter[int] = Counter()
    for row in rows:
        assert all(row[key] >= 0 for key in ("referenced", "head", "uniq", "snaps", "child")), dict(row)
        assert row["uniq"] <= row["head"], dict(row)
        if row["parent"] is not None:
            children[row["parent"]] += zfs.charged_bytes(row)
            assert zfs.parent_name(row["name"]) == by_pk[row["parent"]]["name"]
    for row in rows:
        assert row["child"] == children[row["pk"]], row["name"]
        held = nas.db.value("select coalesce(sum(uniq), 0) from snapshot where dataset = ?", (row["pk"],))
        assert row["snaps"] == held, row["name"]
    assert nas.db.value("select allocated from pool") == sum(row["head"] + row["snaps"] for row in rows)
    for snapshot in nas.db.rows("select s.*, d.name as owner from snapshot s join dataset d on d.pk = s.dataset"):
        assert snapshot["name"] == f"{snapshot['owner']}@{snapshot['short']}"
        assert snapshot["dataset_name"] == snapshot["owner"]
    in_force: dict[int, dict[str, tuple[str, int]]] = {}
    for row in rows:  # parents come first
        mine = dict(in_force.get(row["parent"], {}))
        stored = {
            found["key"]: (found["value"], found["source"])
            for found in nas.db.rows("select * from dataset_property where dataset = ?", (row["pk"],))
        }
        mine.update({key: item for key, item in stored.items() if item[1] == row["pk"]})
        in_force[row["pk"]] = mine
        assert stored == mine, row["name"]
    assert nas.db.rows("pragma foreign_key_check") == []


@pytest.mark.parametrize("seed", range(6))
def test_a_long_walk_keeps_every_counter_and_inherited_property_right(seed: int) -> None:
    nas = make_nas()
    walk = Walk(nas, seed)
    for number in range(400):
        walk.step()
        if number % 8 == 0:
            check(nas)
    check(nas)
    assert sum(count for verb, count in walk.outcomes.items() if not verb.endswith("refused")) > 100
    nas.call_direct("pool.query")
    nas.close()


def test_readonly_is_inherited_until_it_is_set_again(nas: Nas) -> None:
    for name in ("tank/a", "tank/a/b", "tank/a/b/c"):
        nas.call_direct("pool.dataset.create", {"name": name})
    nas.call_direct("pool.dataset.update", "tank/a", {"readonly": "ON"})
    nas.call_direct("pool.dataset.update", "tank/a/b/c", {"readonly": "OFF"})
    found = {row["name"]: space.is_readonly(nas.db, row) for row in nas.db.rows("select * from dataset order by name")}
    assert found == {"tank": False, "tank/a": True, "tank/a/b": True, "tank/a/b/c": False}
