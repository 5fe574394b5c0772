"""Steps: what they make is what one turn would make, of the rows as they are when they are read."""

from collections.abc import Iterator
from typing import Any

import pytest

from fake_truenas.steps import CHUNK, Reader, Steps, Unfinished, begin, complete, through
from fake_truenas.store import Store

COUNT = 3 * CHUNK + 5


def steps(*parts: list[Any], result: Any) -> Steps:
    yield from parts
    return result


def test_an_answer_without_a_pause_is_the_result() -> None:
    assert begin(7) == 7
    assert begin([1]) == [1]
    assert begin(steps(result={"a": 1})) == {"a": 1}
    assert complete(None) is None


def test_an_answer_with_pauses_is_its_parts_and_what_is_returned() -> None:
    unfinished = begin(steps([1], [], [2, 3], result=[4]))
    assert isinstance(unfinished, Unfinished)
    assert unfinished.part == [1]
    assert unfinished.complete() == [1, 2, 3, 4]
    assert unfinished.part == [1]
    assert complete(steps([1], result=[])) == [1]
    assert complete(steps([], [], result=9)) == 9


def test_what_the_steps_raise_comes_through() -> None:
    def failing() -> Steps:
        yield []
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        complete(failing())


def test_each_part_is_changed_the_last_one_too() -> None:
    doubled = through(steps([1], [2, 3], result=[4]), lambda part: [2 * one for one in part])
    assert [next(doubled), next(doubled)] == [[2], [4, 6]]
    assert begin(doubled) == [8]


@pytest.fixture
def db() -> Iterator[Store]:
    db = Store(["create table thing (id integer primary key, name text not null)"])
    db.run_many("insert into thing values (?, ?)", [(number, f"n{-number % 7}") for number in range(COUNT)])
    db.commit()
    yield db
    db.close()


def reader(db: Store, order: str = "id", **window: int) -> Reader:
    return Reader(db, "*", "thing", " where id >= ?", (0,), order=order, key="id", **window)


def ids(found: Reader, *, pausing: bool) -> list[int]:
    read: list[int] = []
    while not pausing or found.settle():
        rows = found.read()
        if not rows:
            break
        assert len(rows) <= CHUNK
        read += [row["id"] for row in rows]
    return read


@pytest.mark.parametrize("pausing", [True, False])
@pytest.mark.parametrize("order", ["id", "id desc", "name, id"])
@pytest.mark.parametrize(
    "window",
    [
        {},
        {"limit": 10},
        {"limit": CHUNK},
        {"limit": 2 * CHUNK},
        {"limit": CHUNK + 1, "offset": CHUNK - 1},
        {"offset": 300},
    ],
)
def test_a_reader_gives_the_rows_of_the_query_in_its_order(
    db: Store, order: str, window: dict[str, int], pausing: bool
) -> None:
    everything = [row["id"] for row in db.rows(f"select id from thing order by {order}")]  # noqa: S608 - ours
    start, limit = window.get("offset", 0), window.get("limit", COUNT)
    assert ids(reader(db, order, **window), pausing=pausing) == everything[start : start + limit]


def test_rows_that_vanish_during_a_pause_are_left_out_and_new_ones_are_not_seen(db: Store) -> None:
    found = reader(db)
    first = found.read()
    assert found.settle()
    db.run("delete from thing where id between 300 and ?", (2 * CHUNK + 20,))
    db.run("update thing set name = 'changed' where id = 299")
    db.run("insert into thing values (?, 'new')", (COUNT,))
    db.commit()
    rows = found.read()
    assert [row["id"] for row in rows] == [*range(CHUNK, 300)]
    assert rows[-1]["name"] == "changed"
    rest = ids(found, pausing=True)
    assert len(first) + len(rows) + len(rest) == 300 + COUNT - (2 * CHUNK + 21)
    assert rest[-1] == COUNT - 1


def test_whole_chunks_that_vanish_are_not_the_end(db: Store) -> None:
    found = reader(db)
    found.read()
    assert found.settle()
    db.run("delete from thing where id between ? and ?", (CHUNK, 3 * CHUNK - 1))
    assert [row["id"] for row in found.read()] == [*range(3 * CHUNK, COUNT)]
    assert found.read() == []
    assert not found.settle()


def test_nothing_is_left_once_a_short_chunk_has_come(db: Store) -> None:
    found = reader(db, limit=5)
    assert len(found.read()) == 5
    assert not found.settle()
    assert found.read() == []
