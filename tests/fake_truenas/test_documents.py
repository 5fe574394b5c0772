"""Documents with indexed columns, and the methods made from them."""

import random

import pytest

from fake_truenas.config import NasConfig
from fake_truenas.context import Ctx
from fake_truenas.documents import Documents, Problems, Rules, add_crud
from fake_truenas.errors import ValidationErrors
from fake_truenas.nas import Nas
from fake_truenas.registry import Namespace, Registry
from fake_truenas.schema import Field, Int, List, Nullable, Obj, Str

THINGS = Documents("thing", {"name": str, "size": int, "note": str})


def clean(ctx: Ctx, data, old, problems: Problems):
    if THINGS.find(ctx.db, name=data["name"], but=old["id"] if old else None):
        problems.add("name", "taken")
    if data["size"] < 0:
        problems.add("size", "negative", 33)
    return data


def make_registry(first=()) -> Registry:
    things = Namespace("test.thing", tables=THINGS.sql(first))
    create = Obj(
        Field("name", Str()),
        Field("size", Int(), default=1),
        Field("note", Nullable(Str()), default=None),
        Field("parts", List(Obj(Field("number", Int()))), default=()),
    )
    rules = Rules(
        type_name="Thing", create=create, clean=clean, argument="thing", schema="testthing", aliases={"s.ize": "size"}
    )
    add_crud(things, THINGS, rules)
    return Registry([things])


@pytest.fixture
def nas():
    made = Nas(NasConfig(api_key="1-key"), rng=random.Random(1), clock=lambda: 0.0, registry=make_registry())
    yield made
    made.close()


def refused(nas: Nas, *call) -> list[tuple]:
    with pytest.raises(ValidationErrors) as caught:
        nas.call_direct(*call)
    return [tuple(item) for item in caught.value.items]


def test_documents_go_in_and_come_out(nas):
    entry = nas.call_direct("test.thing.create", {"name": "a", "parts": [{"number": 3}]})
    assert entry == {"id": 1, "name": "a", "size": 1, "note": None, "parts": [{"number": 3}]}
    assert nas.call_direct("test.thing.update", 1, {"size": 5, "note": "n"}) == {**entry, "size": 5, "note": "n"}
    assert THINGS.get(nas.db, 1)["size"] == 5
    assert THINGS.find(nas.db, size=5) == THINGS.find(nas.db, note="n", name="a") == [THINGS.get(nas.db, 1)]
    assert THINGS.find(nas.db, size=1) == []
    assert nas.call_direct("test.thing.query", [["s.ize", "=", 5]], {"count": True}) == 1
    assert nas.call_direct("test.thing.delete", 1) is True
    assert THINGS.count(nas.db) == 0


def test_lookups_leave_out_what_they_are_told_to(nas):
    for name in "abc":
        nas.call_direct("test.thing.create", {"name": name, "parts": [{"number": ord(name)}]})
    assert [doc["name"] for doc in THINGS.find(nas.db, but=2)] == ["a", "c"]
    assert list(THINGS.by_id(nas.db, [3, 1, 9, 3])) == [1, 3]
    assert THINGS.by_id(nas.db, []) == {}
    assert [doc["id"] for doc in THINGS.with_group_field(nas.db, "parts", "number", ord("b"))] == [2]
    assert THINGS.get(nas.db, 9) is None


def test_all_problems_of_a_call_are_answered_together(nas):
    nas.call_direct("test.thing.create", {"name": "a"})
    assert refused(nas, "test.thing.create", {"name": "a", "size": -1}) == [
        ("testthing_create.name", "taken", 22),
        ("testthing_create.size", "negative", 33),
    ]
    assert refused(nas, "test.thing.update", 1, {"size": -1}) == [("testthing_update.size", "negative", 33)]
    assert refused(nas, "test.thing.update", 1, {"name": None}) == [
        ("thing_update.name", "Input should be a valid string", 22)
    ]
    assert nas.call_direct("test.thing.query", [], {"count": True}) == 1


def test_a_problem_without_an_attribute_is_the_whole_objects():
    problems = Problems("x_create")
    problems.check()
    problems.add("", "wrong")
    with pytest.raises(ValidationErrors, match="x_create: wrong"):
        problems.check()


def test_first_rows_are_there_from_the_start():
    first = [{"name": "it's", "size": 3, "note": "n", "parts": []}]
    nas = Nas(NasConfig(api_key="1-key"), rng=random.Random(1), clock=lambda: 0.0, registry=make_registry(first))
    assert nas.call_direct("test.thing.query", [["name", "=", "it's"]]) == [{"id": 1, **first[0]}]
    nas.close()
