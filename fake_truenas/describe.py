"""What the declarations of parameters say, as JSON schemas and as the metadata of core.get_methods.

Source: TrueNAS API 25.10, core.get_methods.
"""

import inspect
from collections.abc import Callable, Generator, Mapping
from types import UnionType
from typing import Any, Final, Protocol, get_args, get_origin, runtime_checkable

from fake_truenas.checked import Checked
from fake_truenas.query import QUERY_PARAMS
from fake_truenas.registry import Method, Registry
from fake_truenas.roles import FULL_ADMIN, needed
from fake_truenas.schema import (
    ABSENT,
    REQUIRED,
    AnyOf,
    Bool,
    Enum,
    Field,
    Int,
    Json,
    List,
    Map,
    Nullable,
    Obj,
    Str,
    Type,
)

Schema = dict[str, Any]

_INT_BOUNDS: Final = (Int().minimum, Int().maximum)
_LONGEST: Final = 2 << 20
_JSON_TYPES: Final[Mapping[Any, str]] = {
    bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object", None: "null",
    type(None): "null",
}  # fmt: skip


@runtime_checkable
class Described(Protocol):
    """A type with a rule of its own says what it takes."""

    def json_schema(self) -> Schema:
        """The JSON schema of its values."""
        ...


def json_schema(declared: Type) -> Schema:  # noqa: PLR0911 - one per type
    """The JSON schema of a type, in the form that core.get_methods gives.

    Raises:
        TypeError: a type that says nothing about itself (see Described).
    """
    match declared:
        case Obj():
            return _object(declared)
        case Str() | Int() | Bool() | Enum():
            return _scalar(declared)
        case Nullable():
            return {"anyOf": [json_schema(declared.inner), {"type": "null"}]}
        case AnyOf():
            return {"anyOf": [json_schema(one) for one in declared.types]}
        case List():
            # A list of one schema is not JSON schema, but it is what the server gives.
            bounds = {"minItems": declared.min_length or None, "maxItems": declared.max_length}
            kept = {key: bound for key, bound in bounds.items() if bound is not None}
            return {"type": "array", "items": [json_schema(declared.inner)], **kept}
        case Map():
            return {"type": "object", "additionalProperties": json_schema(declared.inner)}
        case Checked():
            return json_schema(declared.inner)
        case Json():
            return {}
        case Described():
            return declared.json_schema()
    raise TypeError(f"{type(declared).__name__} has no json_schema()")


def parameter_schema(field: Field, *, required: bool) -> Schema:
    """The schema of a parameter or member, with its name and default."""
    schema = json_schema(field.type)
    if field.default is not REQUIRED and field.default is not ABSENT and not required:
        schema["default"] = list(field.default) if isinstance(field.default, tuple) else field.default
    return {**schema, "title": field.name, "_name_": field.name, "_required_": required}


def method_entry(method: Method) -> dict[str, Any]:
    """A method as core.get_methods lists it."""
    text = inspect.getdoc(method.handler) or ""
    verb = method.name.rpartition(".")[2]
    roles = needed(method.name)
    return {
        "description": text or None,
        "cli_description": text.partition("\n\n")[0].partition(".")[0].replace("\n", " "),
        "examples": {},
        "no_auth_required": method.public,
        "no_authz_required": method.public or roles == (),
        "cli_private": False,
        "filterable": method.params == QUERY_PARAMS,
        "filterable_schema": None,
        "pass_application": False,
        "item_method": verb in {"update", "delete", "get_instance"},
        "job": method.job is not None,
        "downloadable": False,
        "uploadable": False,
        "check_pipes": False,
        "roles": [FULL_ADMIN] if roles is None else list(roles),
        "accepts": [parameter_schema(field, required=field.default is REQUIRED) for field in method.params],
        "returns": [{"title": "result", "_name_": "result", "_required_": True, **_result(method.handler)}],
    }


def services(registry: Registry) -> dict[str, dict[str, Any]]:
    """What core.get_services lists: each namespace that is not private, and of which kind it is."""
    verbs: dict[str, list[str]] = {}
    for method in registry.methods.values():
        if not method.private:
            namespace, _, verb = method.name.rpartition(".")
            verbs.setdefault(namespace, []).append(verb)
    return {
        name: {
            "config": {
                "namespace": name,
                "namespace_alias": None,
                "private": False,
                "cli_namespace": None,
                "cli_private": False,
                "cli_description": None,
                "verbose_name": name.replace(".", " ").title().replace(" ", ""),
            },
            "type": _service_type(found),
        }
        for name, found in sorted(verbs.items())
    }


def _service_type(verbs: list[str]) -> str:
    if "query" in verbs and "get_instance" in verbs:
        return "crud"
    return "config" if "config" in verbs and "update" in verbs else "service"


def _scalar(declared: Str | Int | Bool | Enum) -> Schema:
    match declared:
        case Str():
            schema: Schema = {"type": "string", "maxLength": declared.max_length or _LONGEST}
            if declared.min_length:
                schema["minLength"] = declared.min_length
            if declared.pattern:
                schema["pattern"] = declared.pattern
            return {**schema, "format": "password", "writeOnly": True} if declared.secret else schema
        case Int():
            bounds = {"minimum": declared.minimum, "maximum": declared.maximum}
            kept = {key: bound for key, bound in bounds.items() if bound not in _INT_BOUNDS}
            return {"type": "integer", **kept}
        case Bool():
            return {"type": "boolean"}
    kinds = {type(value) for value in declared.values}
    kind = {"type": _JSON_TYPES[kinds.pop()]} if len(kinds) == 1 else {}
    return {**kind, "const": declared.values[0]} if len(declared.values) == 1 else {**kind, "enum": [*declared.values]}


def _object(declared: Obj) -> Schema:
    required = [] if declared.partial else [field.name for field in declared.fields if field.default is REQUIRED]
    members = declared.fields
    if declared.partial:
        members = tuple(Field(field.name, field.type, ABSENT) for field in members)
    schema: Schema = {
        "type": "object",
        "additionalProperties": declared.ignore_unknown,
        "properties": {field.name: parameter_schema(field, required=field.name in required) for field in members},
        "_attrs_order_": [field.name for field in members],
    }
    return {**schema, "required": required} if required else schema


def _result(handler: Callable[..., Any]) -> Schema:
    """The schema of what a handler returns, from its annotation."""
    returned = getattr(handler, "__annotations__", {}).get("return", Any)
    if get_origin(returned) is Generator:  # an answer in steps
        returned = get_args(returned)[2]
    if get_origin(returned) is UnionType:
        return {"anyOf": [_result_type(one) for one in get_args(returned)]}
    return _result_type(returned)


def _result_type(returned: Any) -> Schema:
    found = _JSON_TYPES.get(get_origin(returned) or returned)
    return {} if found is None else {"type": found}
