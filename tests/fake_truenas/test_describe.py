"""JSON schemas and method metadata made from declarations."""

from typing import Any

import orjson
import pytest

from fake_truenas.checked import Checked
from fake_truenas.describe import json_schema, method_entry, parameter_schema, services
from fake_truenas.methods import default_registry
from fake_truenas.persona import TRAINS, persona
from fake_truenas.query import QUERY_PARAMS
from fake_truenas.registry import Job, Namespace, Registry
from fake_truenas.schema import ABSENT, AnyOf, Bool, Check, Enum, Field, Int, Json, List, Map, Nullable, Obj, Str, Type


@pytest.mark.parametrize(
    ("declared", "schema"),
    [
        (Str(), {"type": "string", "maxLength": 1024}),
        (Str(None, 1, "^a"), {"type": "string", "maxLength": 2 << 20, "minLength": 1, "pattern": "^a"}),
        (Str(secret=True), {"type": "string", "maxLength": 1024, "format": "password", "writeOnly": True}),
        (Int(), {"type": "integer"}), (Int(0), {"type": "integer", "minimum": 0}), (Bool(), {"type": "boolean"}),
        (Enum("A", "B"), {"type": "string", "enum": ["A", "B"]}), (Enum("A"), {"type": "string", "const": "A"}),
        (Enum("A", 1), {"enum": ["A", 1]}), (Json(), {}),
        (Nullable(Int()), {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
        (AnyOf(Int(), Bool()), {"anyOf": [{"type": "integer"}, {"type": "boolean"}]}),
        (List(Bool(), 1, 3), {"type": "array", "items": [{"type": "boolean"}], "minItems": 1, "maxItems": 3}),
        (Map(Bool()), {"type": "object", "additionalProperties": {"type": "boolean"}}),
        (Checked(Bool(), lambda _: None), {"type": "boolean"}),
    ],
)  # fmt: skip
def test_each_type_has_its_schema(declared: Type, schema: dict[str, Any]) -> None:
    assert json_schema(declared) == schema


def test_an_object_lists_members_in_order_with_names_defaults_and_what_is_required() -> None:
    declared = Obj(Field("b", Bool()), Field("a", List(Int()), default=()), Field("c", Int(), ABSENT))
    schema = json_schema(declared)
    assert (schema["required"], schema["_attrs_order_"], schema["additionalProperties"]) == (
        ["b"],
        ["b", "a", "c"],
        False,
    )
    assert schema["properties"]["b"] == {"type": "boolean", "title": "b", "_name_": "b", "_required_": True}
    assert schema["properties"]["a"]["default"] == []
    assert "default" not in schema["properties"]["c"]
    patch = json_schema(declared.patch())
    assert "required" not in patch
    assert [("default" in one, one["_required_"]) for one in patch["properties"].values()] == [(False, False)] * 3
    assert json_schema(Obj(ignore_unknown=True))["additionalProperties"] is True


class Even:
    """A type that says nothing about itself."""

    def compile(self) -> Check:
        return lambda value, problems: value


class Described(Even):
    def json_schema(self) -> dict[str, Any]:
        return {"type": "integer", "multipleOf": 2}


def test_a_type_of_ones_own_describes_itself() -> None:
    assert json_schema(Nullable(Described())) == {"anyOf": [{"type": "integer", "multipleOf": 2}, {"type": "null"}]}
    with pytest.raises(TypeError, match="Even has no json_schema"):
        json_schema(Even())
    assert parameter_schema(Field("x", Described(), default=4), required=False)["default"] == 4


def test_a_method_tells_what_it_is() -> None:
    names = Namespace("test")

    @names.method("update", Field("id", Int()), job=Job(), public=True)
    async def update(ctx: Any, job: Any, number: int) -> dict[str, Any] | None:
        """Change it. Really.

        And more.
        """

    @names.method("query", *QUERY_PARAMS)
    def query(ctx: Any, filters: Any, options: Any) -> Any:
        pass

    changing, asking = (method_entry(method) for method in names.methods)
    assert (changing["description"], changing["cli_description"]) == ("Change it. Really.\n\nAnd more.", "Change it")
    assert (changing["job"], changing["no_auth_required"], changing["item_method"], changing["filterable"]) == (
        True, True, True, False,
    )  # fmt: skip
    assert changing["accepts"] == [{"type": "integer", "title": "id", "_name_": "id", "_required_": True}]
    assert changing["returns"][0]["anyOf"] == [{"type": "object"}, {"type": "null"}]
    assert (asking["description"], asking["filterable"], asking["item_method"], asking["job"]) == (
        None,
        True,
        False,
        False,
    )
    assert [one["_required_"] for one in asking["accepts"]] == [False, False]


def test_a_method_names_the_roles_that_may_call_it() -> None:
    methods = default_registry().methods
    found = {name: method_entry(methods[name]) for name in ("pool.dataset.query", "core.get_jobs", "fake.block.read")}
    assert {name: (one["roles"], one["no_authz_required"]) for name, one in found.items()} == {
        "pool.dataset.query": (["DATASET_READ"], False), "core.get_jobs": ([], True), "fake.block.read": (["FULL_ADMIN"], False),
    }  # fmt: skip


@pytest.mark.parametrize("train", TRAINS)
def test_every_method_of_a_release_can_be_described_and_has_a_text(train: str) -> None:
    registry = default_registry().serving(persona(train))
    entries = {name: method_entry(method) for name, method in registry.methods.items()}
    assert orjson.loads(orjson.dumps(entries)).keys() == registry.methods.keys()
    assert [name for name, entry in entries.items() if not entry["description"]] == []


def test_services_are_of_three_kinds_and_private_ones_are_not_told() -> None:
    found = services(default_registry())
    assert {found[name]["type"] for name in ("pool.dataset", "sharing.nfs", "pool")} == {"crud"}
    assert (found["iscsi.global"]["type"], found["core"]["type"]) == ("config", "service")
    assert "zfs.snapshot" not in found
    assert "zfs.snapshot" in services(default_registry().serving(persona("24.10")))
    assert services(Registry([])) == {}
