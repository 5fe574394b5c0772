"""What is kept on disk, and what is refused."""

import sqlite3
from pathlib import Path

import pytest

from fake_truenas.context import Ctx
from fake_truenas.errors import CallError, ValidationErrors
from fake_truenas.store import Store, StoreError, schema_version
from tests.fake_truenas.rpc import GIB, listener, make_nas

TABLES = ["create table t (id integer primary key, v text not null unique)"]


def test_a_restarted_nas_has_everything_but_sessions_and_jobs(tmp_path: Path) -> None:
    nas = make_nas(tmp_path)
    nas.call_direct(
        "pool.dataset.create",
        {"name": "tank/v", "type": "VOLUME", "volsize": GIB, "user_properties": [{"key": "a:b", "value": "c"}]},
    )
    nas.call_direct("pool.snapshot.create", {"dataset": "tank/v", "name": "s", "properties": {"s:p": "1"}})
    nas.call_direct("pool.snapshot.hold", "tank/v@s")
    nas.call_direct("pool.snapshot.clone", {"snapshot": "tank/v@s", "dataset_dst": "tank/c"})
    queries = [
        ("pool.query", []),
        ("pool.dataset.query", []),
        ("pool.snapshot.query", [[], {"extra": {"holds": True}}]),
    ]
    before = [nas.call_direct(method, *params) for method, params in queries]
    nas.close()
    again = make_nas(tmp_path)
    assert [again.call_direct(method, *params) for method, params in queries] == before
    later = again.call_direct("pool.snapshot.create", {"dataset": "tank/c", "name": "s2"})
    assert int(later["createtxg"]) > int(before[2][0]["createtxg"])
    assert (again.call_direct("core.get_jobs"), again.sessions) == ([], {})
    again.close()


def test_a_second_nas_on_the_same_directory_is_refused_until_the_first_is_closed(tmp_path: Path) -> None:
    first = make_nas(tmp_path)
    with pytest.raises(StoreError, match="in use by another fake_truenas process"):
        make_nas(tmp_path)
    first.close()
    make_nas(tmp_path).close()


def test_data_of_another_version_is_refused_with_what_to_do(tmp_path: Path) -> None:
    make_nas(tmp_path).close()
    with sqlite3.connect(tmp_path / "nas.sqlite") as connection:
        connection.execute("pragma user_version = 99")
    connection.close()
    with pytest.raises(StoreError, match=r"schema version 99, this program needs .*use another --data-dir"):
        make_nas(tmp_path)


def test_any_change_of_the_tables_makes_another_version_without_anybody_counting(tmp_path: Path) -> None:
    Store(TABLES, tmp_path).close()
    Store([TABLES[0].replace(" ", " \n ") + ";"], tmp_path).close()  # only laid out differently
    for tables in ([*TABLES, "create index t_v on t (v)"], [TABLES[0].replace("not null ", "")], []):
        with pytest.raises(StoreError, match="this program needs"):
            Store(tables, tmp_path)
    Store(TABLES, tmp_path).close()


def test_data_of_the_time_before_versions_followed_the_tables_is_refused(tmp_path: Path) -> None:
    make_nas(tmp_path).close()
    with sqlite3.connect(tmp_path / "nas.sqlite") as connection:
        connection.execute("pragma user_version = 1")
    connection.close()
    with pytest.raises(StoreError, match="schema version 1, this program needs"):
        make_nas(tmp_path)


def test_versions_fit_into_the_header_of_a_database_and_are_never_those_of_an_empty_one() -> None:
    versions = [schema_version(f"create table t{number} (v)") for number in range(100)]
    assert all(2 <= version < 1 << 31 for version in versions)
    assert len(set(versions)) == 100


def test_what_a_call_keeps_on_purpose_survives_its_refusal_and_a_restart(tmp_path: Path) -> None:
    nas = make_nas(tmp_path)
    nas.call_direct("pool.dataset.create", {"name": "tank/a"})
    nas.call_direct("sharing.nfs.create", {"path": "/mnt/tank/a"})
    nas.call_direct("pool.snapshot.create", {"dataset": "tank/a", "name": "s"})
    with pytest.raises(CallError, match="filesystem has children"):
        nas.call_direct("pool.dataset.delete", "tank/a")
    nas.close()
    again = make_nas(tmp_path)
    assert again.call_direct("sharing.nfs.query") == []
    assert [row["id"] for row in again.call_direct("pool.dataset.query")] == ["tank", "tank/a"]
    again.close()


def test_a_refused_call_leaves_nothing_behind(tmp_path: Path) -> None:
    nas = make_nas(tmp_path)
    with pytest.raises(ValidationErrors):
        nas.call_direct("pool.dataset.create", {"name": "tank/a/b", "type": "VOLUME", "create_ancestors": True})
    assert nas.call_direct("pool.dataset.query", [], {"count": True}) == 1
    assert not nas.db.connection.in_transaction
    nas.close()


def test_a_transaction_is_rolled_back_by_any_exception(tmp_path: Path) -> None:
    store = Store(TABLES, tmp_path)
    with store.transaction():
        assert store.insert("insert into t (v) values ('a')") == 1

    def interrupted() -> None:
        with store.transaction():
            store.run("insert into t (v) values ('b')")
            raise KeyboardInterrupt

    def refused() -> None:
        with store.transaction():
            store.run("insert into t (v) values ('c')")
            store.run("insert into t (v) values ('a')")

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with pytest.raises(sqlite3.IntegrityError):
        refused()
    assert [row["v"] for row in store.rows("select v from t")] == ["a"]
    assert (store.one("select * from t where id = 9"), store.value("select v from t where id = 9")) == (None, None)
    store.close()


def test_half_a_schema_is_never_kept(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError):
        Store([*TABLES, "create nonsense"], tmp_path)
    store = Store(TABLES, tmp_path)
    assert store.value("select count(*) from t") == 0
    store.close()


def test_events_of_a_transaction_that_failed_are_not_sent_with_the_next_one() -> None:
    nas = make_nas()
    session, wire = listener("one")
    nas.events.subscribe(session, "s", "*")
    ctx = Ctx(nas)

    def fail() -> None:
        with ctx.transaction():
            ctx.emit("x.query", "added", 1)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with ctx.transaction():
        ctx.emit("x.query", "added", 2)
    assert [event["id"] for event in wire.sent] == [2]
    nas.close()


def test_nobody_else_may_read_what_is_kept(tmp_path: Path) -> None:
    db = Store(TABLES, tmp_path / "data")
    with db.transaction():
        db.insert("insert into t (v) values ('a secret')")
    files = {path.name: oct(path.stat().st_mode & 0o777) for path in (tmp_path / "data").iterdir()}
    db.close()
    assert files == dict.fromkeys(("lock", "nas.sqlite", "nas.sqlite-shm", "nas.sqlite-wal"), "0o600")


def test_each_store_in_memory_begins_with_empty_tables_of_its_own() -> None:
    first = Store(TABLES)
    with first.transaction():
        first.insert("insert into t (v) values ('x')")
    second, third = Store(TABLES), Store(["create table u (id integer primary key)"])
    assert (first.value("select count(*) from t"), second.value("select count(*) from t")) == (1, 0)
    assert second.value("pragma foreign_keys") == 1
    assert third.rows("select name from sqlite_master where type = 'table'")[0]["name"] == "u"
    for db in (first, second, third):
        db.close()
    again = Store(TABLES)
    assert again.value("select count(*) from t") == 0
    again.close()


def test_who_watches_is_told_after_each_commit_that_had_something_to_keep() -> None:
    store = Store(TABLES)
    seen: list[int] = []
    store.committed = lambda: seen.append(store.value("select count(*) from t"))
    store.commit()
    with store.transaction():
        store.insert("insert into t (v) values ('kept')")
    with pytest.raises(sqlite3.IntegrityError), store.transaction():
        store.insert("insert into t (v) values ('kept')")
    assert seen == [1]
    store.close()
