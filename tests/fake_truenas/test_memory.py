"""A database that was used and given back is as good as a new one."""

import sqlite3
import threading

import pytest

from fake_truenas import memory
from fake_truenas.store import Store
from tests.fake_truenas.rpc import GIB, make_nas

TABLES = (
    "create table parent (id integer primary key autoincrement, v text)",
    "insert into parent (v) values ('first')",
    "create table child (id integer primary key, parent integer not null references parent (id))",
)


def everything(connection: sqlite3.Connection) -> dict[str, list[tuple[object, ...]]]:
    names = [row[0] for row in connection.execute("select name from sqlite_master where type = 'table' order by name")]
    return {name: [tuple(row) for row in connection.execute(f"select * from {name}")] for name in names}  # noqa: S608


def test_a_database_that_was_given_back_is_opened_again_as_new() -> None:
    store = Store(TABLES)
    as_new = everything(store.connection)
    connection = store.connection
    with store.transaction():
        parent = store.insert("insert into parent (v) values ('second')")
        store.insert("insert into child (parent) values (?)", (parent,))
        store.run("delete from parent where id = 1")
    store.insert("insert into parent (v) values ('never committed')")
    store.close()
    again = Store(TABLES)
    assert again.connection is connection
    assert everything(again.connection) == as_new
    assert again.insert("insert into parent (v) values ('second')") == parent
    with pytest.raises(sqlite3.IntegrityError):
        again.insert("insert into child (parent) values (99)")
    again.close()


def test_no_pragma_is_set_that_is_so_already_because_that_expires_the_prepared_statements() -> None:
    store = Store(TABLES)
    connection, seen = store.connection, []
    store.close()
    connection.set_trace_callback(seen.append)
    store = Store(TABLES)
    connection.set_trace_callback(None)
    assert store.connection is connection
    store.close()
    assert seen == ["pragma foreign_keys"]


def test_what_a_user_of_a_connection_has_changed_about_it_is_as_it_was() -> None:
    store = Store(TABLES)
    store.run("pragma foreign_keys = off")
    store.close()
    again = Store(TABLES)
    with pytest.raises(sqlite3.IntegrityError):
        again.insert("insert into child (parent) values (99)")
    again.close()


def test_a_nas_on_a_used_database_answers_as_the_first_one_did() -> None:
    def story() -> list[object]:
        nas = make_nas()
        try:
            return [
                everything(nas.db.connection),
                nas.call_direct("pool.dataset.create", {"name": "tank/v", "type": "VOLUME", "volsize": GIB}),
                nas.call_direct("pool.snapshot.create", {"dataset": "tank/v", "name": "s"}),
                nas.call_direct("pool.snapshot.clone", {"snapshot": "tank/v@s", "dataset_dst": "tank/c"}),
                nas.call_direct("pool.dataset.create", {"name": "tank/f"}),
                nas.call_direct("sharing.nfs.create", {"path": "/mnt/tank/f"}),
                everything(nas.db.connection),
            ]
        finally:
            nas.close()

    assert story() == story()


def test_a_store_that_is_closed_reaches_nobody_elses_data() -> None:
    store = Store(TABLES)
    store.close()
    other = Store(TABLES)
    with pytest.raises(sqlite3.ProgrammingError):
        store.value("select count(*) from parent")
    store.close()
    assert other.value("select count(*) from parent") == 1
    other.close()


def test_each_thread_has_databases_of_its_own() -> None:
    Store(TABLES).close()
    seen: list[tuple[int, sqlite3.Connection]] = []

    def elsewhere() -> None:
        store = Store(TABLES)
        seen.append((store.value("select count(*) from parent"), store.connection))
        store.close()
        memory.close_idle()

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    here = Store(TABLES)
    ((count, there),) = seen
    assert count == here.value("select count(*) from parent") == 1
    assert there is not here.connection
    connection = here.connection
    here.close()
    memory.close_idle()
    with pytest.raises(sqlite3.ProgrammingError):
        connection.execute("select 1")


def test_what_is_temporary_stays_with_the_connection_and_is_emptied() -> None:
    table = "create temp table if not exists seen (number integer primary key autoincrement, v text)"
    event = "after insert on main.parent begin insert into seen (v) values (new.v); end"
    watch = (table, f"create temp trigger if not exists inserted {event}")
    seen: list[list[tuple[object, ...]]] = []
    for _ in range(2):
        store = Store(TABLES)
        for statement in watch:
            store.run(statement)
        seen.append([tuple(row) for row in store.rows("select * from temp.seen")])
        store.insert("insert into parent (v) values ('second')")
        seen.append([tuple(row) for row in store.rows("select * from temp.seen")])
        store.close()
    assert seen == [[], [(1, "second")]] * 2


def test_what_its_user_has_changed_about_it_does_not_reach_the_next_one() -> None:
    store = Store(TABLES)
    connection = store.connection
    connection.execute("pragma foreign_keys = off")
    store.close()
    again = Store(TABLES)
    assert again.connection is connection
    assert again.value("pragma foreign_keys") == 1
    again.run("create table other (id integer)")
    again.commit()
    again.close()
    third = Store(TABLES)
    assert third.rows("select name from sqlite_master where name = 'other'") == []
    third.close()


def test_two_that_are_open_are_apart_and_a_large_one_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = Store(TABLES), Store(TABLES)
    assert one.connection is not other.connection
    one.close()
    monkeypatch.setattr(memory, "_MAX_PAGES", 1)
    connection = other.connection
    other.close()
    with pytest.raises(sqlite3.ProgrammingError):
        connection.execute("select 1")
