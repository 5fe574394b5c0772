"""Write docs/fake-truenas-methods.md from the declarations of the methods: `make docs-methods`."""

import inspect
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from fake_truenas.describe import json_schema
from fake_truenas.methods import default_registry
from fake_truenas.persona import TRAINS
from fake_truenas.query import QUERY_OPTIONS
from fake_truenas.redaction import parts
from fake_truenas.registry import Method
from fake_truenas.schema import ABSENT, REQUIRED, AnyOf, Bool, Enum, Field, Int, List, Map, Nullable, Obj, Str, Type

TARGET = Path(__file__).resolve().parent.parent / "docs" / "fake-truenas-methods.md"
HEAD = """# Methods of the fake TrueNAS

Made by `make docs-methods` from the declarations that the server checks calls against: change those, not this file.
`core.get_methods` gives the same as JSON schemas, for the release that is served.

*job*: answers with a job's id, unless `legacy_jobs` is off. *public*: needs no login. *private*: only after
`core.set_options` with `private_methods`. Without a release a method is there in all of them. A parameter without a
default must be given; members of an update have none, because what is not given stays as it is.
"""
QUERIES = """## Options of queries

The `options` of every `query` and `get_instance`.

| parameter | type | default |
|---|---|---|
"""


def document() -> str:
    """The whole page."""
    declared: dict[str, list[Method]] = {}
    for namespace in default_registry().namespaces:
        for method in namespace.methods:
            declared.setdefault(method.name.rpartition(".")[0], []).append(method)
    private = {one.name: one.private_since for one in default_registry().namespaces if one.private_since}
    index = "\n".join(f"* [`{name}`](#{name.replace('.', '')}): {_index(declared[name])}" for name in sorted(declared))
    sections = [
        f"## {name}\n\n" + "\n".join(_method(one, private.get(name)) for one in sorted(declared[name], key=_order))
        for name in sorted(declared)
    ]
    options = QUERIES + "\n".join(_members(QUERY_OPTIONS, "options")) + "\n"
    return "\n".join([HEAD, index, "", options, *sections]).rstrip() + "\n"


def _order(method: Method) -> tuple[str, int]:
    return method.name, TRAINS.index(method.since)


def _index(methods: Sequence[Method]) -> str:
    return ", ".join(sorted({one.name.rpartition(".")[2] for one in methods}))


def _method(method: Method, private_since: str | None) -> str:
    marks = [mark for mark, on in (("job", method.job), ("public", method.public), ("private", method.private)) if on]
    if private_since is not None:
        marks.append(f"private from {private_since} on")
    if method.since != TRAINS[0]:
        marks.append(f"from {method.since}")
    if method.until is not None:
        marks.append(f"before {method.until}")
    text = (inspect.getdoc(method.handler) or "").partition("\n\n")[0].replace("\n", " ")
    rows = [row for field in method.params for row in _rows(field, field.name, partial=False)]
    table = ["| parameter | type | default |", "|---|---|---|", *rows, ""] if rows else []
    title = f"### {method.name}" + (f" ({', '.join(marks)})" if marks else "")
    return "\n".join([title, "", text, "", *table])


def _rows(field: Field, path: str, *, partial: bool) -> Iterator[str]:
    default = "" if partial else _default(field)
    if field.type is QUERY_OPTIONS:
        yield f"| `{path}` | [query options](#options-of-queries) | {default} |"
        return
    yield f"| `{path}` | {_text(field.type)} | {default} |"
    yield from _members(field.type, path)


def _members(declared: Type, path: str) -> Iterator[str]:
    if isinstance(declared, Obj):
        for member in declared.fields:
            yield from _rows(member, f"{path}.{member.name}", partial=declared.partial)
        return
    suffix = "[]" if isinstance(declared, List) else ".*" if isinstance(declared, Map) else ""
    for number, part in enumerate(inner := parts(declared), 1):
        # Of a choice between objects each has its own members.
        choice = f"({number})" if isinstance(declared, AnyOf) and sum(isinstance(one, Obj) for one in inner) > 1 else ""
        yield from _members(part, f"{path}{suffix}{choice}")


def _default(field: Field) -> str:
    if field.default is REQUIRED:
        return ""
    return "absent" if field.default is ABSENT else f"`{_literal(field.default)}`"


def _literal(value: Any) -> str:
    if isinstance(value, tuple):
        value = list(value)
    return json.dumps(value, ensure_ascii=False)


def _text(declared: Type) -> str:
    match declared:
        case Obj():
            return "object"
        case Str():
            return _string(declared)
        case Int():
            return _integer(declared)
        case Bool():
            return "boolean"
        case Enum():
            return " or ".join(f"`{_literal(value)}`" for value in declared.values)
        case _:
            return _compound(declared)


def _string(declared: Str) -> str:
    limits = [
        limit
        for limit, given in (
            (f"at least {declared.min_length}", declared.min_length),
            (f"at most {declared.max_length}" if declared.max_length else "long", declared.max_length != 1024),
            ("secret", declared.secret),
        )
        if given
    ]
    return f"string ({', '.join(limits)})" if limits else "string"


def _integer(declared: Int) -> str:
    plain = Int()
    low = "" if declared.minimum == plain.minimum else f"from {declared.minimum}"
    high = "" if declared.maximum == plain.maximum else f"to {declared.maximum}"
    return " ".join(part for part in ("integer", low, high) if part)


def _compound(declared: Type) -> str:
    inner = [_text(part) for part in parts(declared)]
    match declared:
        case List():
            return f"list of {inner[0]}"
        case Map():
            return f"object with values {inner[0]}"
        case Nullable():
            return f"{inner[0]} or null"
        case _ if inner:
            return " or ".join(dict.fromkeys(inner))
    schema = json_schema(declared)
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_schema_text(one) for one in schema["anyOf"]))
    return _schema_text(schema)


def _schema_text(schema: dict[str, Any]) -> str:
    if "const" in schema:
        return f"`{_literal(schema['const'])}`"
    low = f" from {schema['minimum']}" if "minimum" in schema else ""
    return f"{schema.get('format', schema.get('type', 'any value'))}{low}"


def main() -> None:
    """Write the page, or with --check only tell whether it is up to date."""
    text = document()
    if "--check" in sys.argv[1:]:
        sys.exit(0 if TARGET.read_text() == text else f"{TARGET.name} is not up to date: run `make docs-methods`")
    TARGET.write_text(text)
    print(TARGET.name)


if __name__ == "__main__":
    main()
