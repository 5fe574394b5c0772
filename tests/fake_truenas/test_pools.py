"""Pools of a new and of a kept store."""

from pathlib import Path

import pytest

from fake_truenas import Nas, Pool, pools
from fake_truenas.store import StoreError
from tests.fake_truenas.rpc import GIB, make_nas


def test_pools_of_a_kept_store_may_grow_and_be_added_but_not_shrink_or_vanish(tmp_path: Path) -> None:
    make_nas(tmp_path, pools=(Pool("tank", 1 << 36),)).close()
    grown = make_nas(tmp_path, pools=(Pool("tank", 1 << 37), Pool("flash", 1 << 36)))
    assert [row["size"] for row in grown.call_direct("pool.query")] == [1 << 37, 1 << 36]
    grown.close()
    with pytest.raises(StoreError, match="also has pool flash"):
        make_nas(tmp_path, pools=(Pool("tank", 1 << 37),))
    with pytest.raises(StoreError, match="cannot shrink"):
        make_nas(tmp_path, pools=(Pool("tank", 1 << 36), Pool("flash", 1 << 36)))


def test_a_grown_pool_offers_more_and_keeps_what_is_in_it(tmp_path: Path) -> None:
    small = make_nas(tmp_path, pools=(Pool("tank", 10 * GIB),))
    small.call_direct("pool.dataset.create", {"name": "tank/a", "reservation": GIB})
    before = small.call_direct("pool.dataset.get_instance", "tank")
    guid = small.call_direct("pool.query")[0]["guid"]
    small.close()
    grown = make_nas(tmp_path, pools=(Pool("tank", 20 * GIB),))
    after = grown.call_direct("pool.dataset.get_instance", "tank")
    assert after["available"]["parsed"] > before["available"]["parsed"] + 9 * GIB
    assert (after["used"], grown.call_direct("pool.query")[0]["guid"]) == (before["used"], guid)
    grown.close()


def test_a_refused_pool_list_changes_nothing_and_frees_the_directory(tmp_path: Path) -> None:
    make_nas(tmp_path, pools=(Pool("tank", 10 * GIB), Pool("flash", GIB))).close()
    with pytest.raises(StoreError, match="pool flash has 1073741824 bytes and cannot shrink to 536870912"):
        make_nas(tmp_path, pools=(Pool("tank", 20 * GIB), Pool("flash", GIB // 2), Pool("new", GIB)))
    again = make_nas(tmp_path, pools=(Pool("tank", 10 * GIB), Pool("flash", GIB)))
    assert [(row["name"], row["size"]) for row in again.call_direct("pool.query")] == [
        ("tank", 10 * GIB), ("flash", GIB),
    ]  # fmt: skip
    again.close()


def test_a_pools_root_has_what_truenas_sets_there(nas: Nas) -> None:
    root = nas.call_direct("pool.dataset.get_instance", "tank")
    shown = {key: (root[key]["rawvalue"], root[key]["source"]) for key in ("compression", "atime", "acltype", "sync")}
    assert shown == {
        "compression": ("lz4", "LOCAL"), "atime": ("off", "LOCAL"), "acltype": ("posix", "LOCAL"),
        "sync": ("standard", "DEFAULT"),
    }  # fmt: skip


def test_transaction_groups_count_up_in_each_pool_of_its_own() -> None:
    nas = make_nas(pools=(Pool("tank", GIB), Pool("flash", GIB)))
    tank, flash = (row["id"] for row in nas.db.rows("select id from pool order by id"))
    first = pools.next_txg(nas.db, tank)
    assert [pools.next_txg(nas.db, tank), pools.next_txg(nas.db, tank)] == [first + 1, first + 2]
    assert pools.next_txg(nas.db, flash) == first
    with pytest.raises(LookupError, match="no pool 99"):
        pools.next_txg(nas.db, 99)
    nas.close()


def test_guids_come_from_the_given_chance() -> None:
    made = [make_nas() for _ in range(2)]
    guids = {(nas.db.value("select guid from pool"), nas.db.value("select guid from dataset")) for nas in made}
    assert len(guids) == 1
    assert len(set(guids.pop())) == 2
    for nas in made:
        nas.close()
