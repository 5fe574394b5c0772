"""Query filters and options evaluated on plain dicts. Pure.

A filter list is a conjunction of `[field, op, value]` and `["OR", [branch, ...]]`; fields are dotted paths with `*`
for any element
and backslash-dot for a dot inside of a key. Source: TrueNAS API 25.10, query methods.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from fake_truenas.errors import CallError, MatchNotFound, invalid
from fake_truenas.schema import AnyOf, Bool, Field, Int, Json, List, Map, Obj, Str

MAX_DEPTH = 3

Predicate = Callable[[Any], bool]

_MISSING = object()

QUERY_OPTIONS = Obj(
    Field("extra", Map(Json()), default={}),
    Field("order_by", List(Str()), default=()),
    Field("select", List(AnyOf(Str(), List(Str()))), default=()),
    Field("count", Bool(), default=False),
    Field("get", Bool(), default=False),
    Field("offset", Int(0), default=0),
    Field("limit", Int(0, 10_000), default=0),
    Field("force_sql_filters", Bool(), default=False),
)
QUERY_PARAMS = (Field("filters", List(Json()), default=()), Field("options", QUERY_OPTIONS, default={}))


@lru_cache(maxsize=4096)
def split_path(path: str) -> tuple[str, ...]:
    r"""The keys of a dotted path: `a.b\.c.d` is a, b.c, d."""
    if "\\" not in path:
        return tuple(path.split("."))
    return tuple(part.replace("\\.", ".") for part in re.split(r"(?<!\\)\.", path))


def values_at(entry: Any, path: Sequence[str]) -> Iterable[Any]:
    """Every value that a path leads to: none for a missing key, several only through `*`."""
    for index, key in enumerate(path):
        if key == "*" and isinstance(entry, (list, tuple, dict)):
            elements = entry.values() if isinstance(entry, dict) else entry
            for element in elements:
                yield from values_at(element, path[index + 1 :])
            return
        entry = _step(entry, key)
        if entry is _MISSING:
            return
    yield entry


def _step(entry: Any, key: str) -> Any:
    if isinstance(entry, dict):
        return entry.get(key, _MISSING)
    if isinstance(entry, (list, tuple)) and key.isascii() and key.isdigit() and int(key) < len(entry):
        return entry[int(key)]
    return _MISSING


def compile_filters(filters: Sequence[Any]) -> Predicate:
    """Turn a filter list into one predicate over entries.

    Raises:
        ValidationErrors: on `filters`: not a filter, unknown operator, nested too deeply, bad regular expression.
    """
    return _all([_compile(item, 1) for item in filters])


def _compile(item: Any, depth: int) -> Predicate:
    if depth > MAX_DEPTH:
        raise invalid("filters", f"Max filter depth {MAX_DEPTH} exceeded")
    if not isinstance(item, list) or not item:
        raise invalid("filters", f"Invalid filter: {item!r:.200}")
    if item[0] == "OR" and len(item) == 2:
        if not isinstance(item[1], list) or not item[1]:
            raise invalid("filters", f"Invalid OR filter: {item!r:.200}")
        branches = [_compile_branch(branch, depth + 1) for branch in item[1]]
        return lambda entry: any(branch(entry) for branch in branches)
    if len(item) != 3 or not isinstance(item[0], str) or not isinstance(item[1], str):
        raise invalid("filters", f"Invalid filter: {item!r:.200}")
    return _comparison(item[0], item[1], item[2])


def _compile_branch(branch: Any, depth: int) -> Predicate:
    if isinstance(branch, list) and branch and not isinstance(branch[0], str):
        return _all([_compile(item, depth) for item in branch])
    return _compile(branch, depth)


def _all(predicates: list[Predicate]) -> Predicate:
    if len(predicates) == 1:
        return predicates[0]
    return lambda entry: all(predicate(entry) for predicate in predicates)


def _comparison(field: str, op: str, wanted: Any) -> Predicate:
    path = split_path(field)
    fold = op[:1] == "C"
    compare = OPERATORS.get(op[1:] if fold else op)
    if compare is None or (fold and op == "C~"):
        raise invalid("filters", f"Invalid operation: {op}")
    wanted = _prepare(path, op, wanted)
    if fold:
        wanted = _casefold(wanted)

    def test(value: Any) -> bool:
        try:
            return bool(compare(_plain(_casefold(value) if fold else value), wanted))
        except TypeError:  # values of types that do not compare: no match
            return False

    if len(path) == 1 and path[0] != "*":
        key = path[0]

        def direct(entry: Any) -> bool:
            value = _step(entry, key)
            return value is not _MISSING and test(value)

        return direct
    return lambda entry: any(test(value) for value in values_at(entry, path))


def _prepare(path: Sequence[str], op: str, wanted: Any) -> Any:
    if op == "~":
        try:
            return re.compile(wanted if isinstance(wanted, str) else str(wanted))
        except re.error as error:
            raise invalid("filters", f"Invalid regular expression: {error}") from None
    if path[-1] == "$date" and isinstance(wanted, str):
        try:
            moment = datetime.fromisoformat(wanted)
        except ValueError:
            raise invalid("filters", f"Invalid ISO date: {wanted!r:.100}") from None
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    return _plain(wanted)


def _plain(value: Any) -> Any:
    """A date object compares by its number."""
    if isinstance(value, dict) and len(value) == 1 and "$date" in value:
        return value["$date"]
    return value


def _casefold(value: Any) -> Any:
    if isinstance(value, str):
        return value.casefold()
    if isinstance(value, list):
        return [_casefold(item) for item in value]
    return value


def _equal(a: Any, b: Any) -> bool:
    # In Python True == 1 and 1 == 1.0; in JSON only the second holds.
    return bool(a == b) and isinstance(a, bool) == isinstance(b, bool)


OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {
    "=": _equal,
    "!=": lambda a, b: not _equal(a, b),
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    "~": lambda a, b: b.match("" if a is None else a),
    "^": lambda a, b: isinstance(a, str) and a.startswith(b),
    "!^": lambda a, b: isinstance(a, str) and not a.startswith(b),
    "$": lambda a, b: isinstance(a, str) and a.endswith(b),
    "!$": lambda a, b: isinstance(a, str) and not a.endswith(b),
    "in": lambda a, b: a in b,
    "nin": lambda a, b: a not in b,
    "rin": lambda a, b: a is not None and b in a,
    "rnin": lambda a, b: a is not None and b not in a,
}


def select_fields(entry: Mapping[str, Any], select: Sequence[Any]) -> dict[str, Any]:
    """Only the selected paths; `[path, alias]` renames. Paths that are missing are left out."""
    result: dict[str, Any] = {}
    for item in select:
        path, alias = (item[0], item[1]) if isinstance(item, list) else (item, None)
        keys = split_path(path)
        found = list(values_at(entry, keys))
        if not found:
            continue
        value = found if "*" in keys else found[0]
        if alias is not None:
            result[alias] = value
            continue
        target = result
        for key in keys[:-1]:
            inner = target.setdefault(key, {})
            if not isinstance(inner, dict):
                break
            target = inner
        else:
            target[keys[-1]] = value
    return result


def sort_entries(entries: Sequence[dict[str, Any]], order_by: Sequence[str]) -> list[dict[str, Any]]:
    """Sort by several fields; `-` reverses, `nulls_first:` and `nulls_last:` place nulls (first by default)."""
    result = list(entries)
    for field in reversed(order_by):
        result = _sort_by(result, field)
    return result


def _sort_by(entries: list[dict[str, Any]], field: str) -> list[dict[str, Any]]:
    nulls_last = field.startswith("nulls_last:")
    nulls_first = field.startswith("nulls_first:")
    name = field.split(":", 1)[1] if nulls_last or nulls_first else field
    reverse = name.startswith("-")
    path = split_path(name.removeprefix("-"))
    keyed = [(_plain(next(iter(values_at(entry, path)), None)), entry) for entry in entries]
    present = [pair for pair in keyed if pair[0] is not None]
    nulls = [entry for value, entry in keyed if value is None]
    present.sort(key=lambda pair: _sort_key(pair[0]), reverse=reverse)
    ordered = [entry for _, entry in present]
    if nulls_last or (reverse and not nulls_first):
        return ordered + nulls
    return nulls + ordered


def _sort_key(value: Any) -> tuple[str, Any]:
    """Values of unlike types sort by type, so that sorting never fails."""
    if isinstance(value, (bool, int, float)):
        return ("number", value)
    return ("text", value) if isinstance(value, str) else ("value", str(value))


def check_options(options: Mapping[str, Any]) -> None:
    """Refuse options that exclude each other and malformed select items.

    Raises:
        CallError: `get` with a limit above 1 or an offset.
        ValidationErrors: a select item is not a name or a pair.
    """
    if options["get"] and (options["limit"] > 1 or options["offset"]):
        raise CallError("Invalid options combination. `get` implies a single result.", 22)
    for item in options["select"]:
        if isinstance(item, list) and len(item) != 2:
            raise invalid("options.select", f"{item!r:.200}: a renamed field is a list of its path and its new name")


def finish(entries: Sequence[dict[str, Any]], options: Mapping[str, Any], *, ordered: bool = False) -> Any:
    """Apply count, order, offset, limit, get and select to entries that passed the filters.

    Args:
        entries: what matched.
        options: validated query options.
        ordered: order, offset and limit have been applied already.

    Raises:
        MatchNotFound: `get` and nothing matched.
    """
    if options["count"]:
        return len(entries)
    if not ordered:
        if options["order_by"]:
            entries = sort_entries(entries, options["order_by"])
        start, limit = options["offset"], options["limit"]
        if start or limit:
            entries = entries[start : start + limit if limit else None]
    if options["get"]:
        if not entries:
            raise MatchNotFound
        entries = entries[:1]
    if options["select"]:
        entries = [select_fields(entry, options["select"]) for entry in entries]
    return entries[0] if options["get"] else list(entries)


def filter_list(entries: Sequence[dict[str, Any]], filters: Sequence[Any], options: Mapping[str, Any]) -> Any:
    """The whole of a query over entries in memory; options as validated by QUERY_OPTIONS."""
    check_options(options)
    if filters:
        matches = compile_filters(filters)
        entries = [entry for entry in entries if matches(entry)]
    return finish(entries, options)
