"""Query filters and options evaluated on plain dicts. Pure.

A filter list is a conjunction of `[field, op, value]` and `["OR", [branch, ...]]`; fields are dotted paths with `*`
for any element and backslash-dot for a dot inside of a key. Source: TrueNAS API 25.10, query methods.
"""

import errno
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from functools import lru_cache
from ipaddress import IPv4Interface, IPv6Interface
from typing import Any

from fake_truenas.errors import CallError, MatchNotFound, invalid
from fake_truenas.patterns import Pattern
from fake_truenas.schema import AnyOf, Bool, Field, Int, Json, List, Map, Obj, Str

MAX_DEPTH = 3
MAX_CONDITIONS = 1000
MAX_COMPARISONS = 1_000_000
"""What one query may cost: a server that compares for minutes answers nobody else in the meantime."""
_MAX_PATH = 1024
_STAR = 16

Predicate = Callable[[Any], bool]

_MISSING = object()

QUERY_OPTIONS = Obj(
    Field("extra", Map(Json()), default={}),
    Field("order_by", List(Str(), max_length=16), default=()),
    Field("select", List(AnyOf(Str(), List(Str(), max_length=2)), max_length=256), default=()),
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


class Budget:
    """What the comparisons of one query may still cost."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = MAX_COMPARISONS

    def spend(self, comparisons: int) -> None:
        """Take some away.

        Raises:
            CallError: E2BIG, nothing is left.
        """
        self.left -= comparisons
        if self.left < 0:
            raise CallError(
                f"The filters take more than {MAX_COMPARISONS} comparisons: use fewer, or narrow by id or name first",
                errno.E2BIG,
            )


def check_filters(filters: Sequence[Any]) -> None:
    """Refuse more filters than can be evaluated in reasonable time.

    Raises:
        ValidationErrors: on `filters`.
    """
    count = len(filters) + sum(_count(item[1], MAX_DEPTH) for item in filters if _is_or(item))
    if count > MAX_CONDITIONS:
        raise invalid("filters", f"{count} conditions; {MAX_CONDITIONS} are allowed")


def compile_filters(filters: Sequence[Any]) -> Predicate:
    """Turn a filter list into one predicate over entries, for one query.

    Raises:
        ValidationErrors: on `filters`: not a filter, unknown operator, nested too deeply or too many, bad regular
            expression. Of the predicate: CallError (E2BIG), once it has compared too much.
    """
    check_filters(filters)
    budget = Budget()
    matches = _all([_compile(item, 1, budget) for item in filters])
    cost = sum(_cost(item) for item in filters)

    def predicate(entry: Any) -> bool:
        budget.spend(cost)
        return matches(entry)

    return predicate


def _is_or(item: Any) -> bool:
    return isinstance(item, list) and len(item) == 2 and item[0] == "OR" and isinstance(item[1], list)


def _count(branches: list[Any], depth: int) -> int:
    """How many conditions there are in the branches of a disjunction, as far down as they may go."""
    if depth == 0:
        return len(branches)
    found = 0
    for branch in branches:
        items = branch if isinstance(branch, list) and branch and isinstance(branch[0], list) else [branch]
        found += sum(_count(item[1], depth - 1) if _is_or(item) else 1 for item in items)
    return found


def _cost(item: Any) -> int:
    """How many comparisons a filter is worth per entry, at most; regular expressions add theirs as they go."""
    if _is_or(item):
        return sum(
            sum(_cost(one) for one in branch) if isinstance(branch[0], list) else _cost(branch) for branch in item[1]
        )
    field: str = item[0]
    return 1 + _STAR * field.count("*")


def _compile(item: Any, depth: int, budget: Budget) -> Predicate:
    if depth > MAX_DEPTH:
        raise invalid("filters", f"Max filter depth {MAX_DEPTH} exceeded")
    if not isinstance(item, list) or not item:
        raise invalid("filters", f"Invalid filter: {item!r:.200}")
    if item[0] == "OR" and len(item) == 2:
        if not isinstance(item[1], list) or not item[1]:
            raise invalid("filters", f"Invalid OR filter: {item!r:.200}")
        branches = [_compile_branch(branch, depth + 1, budget) for branch in item[1]]
        return lambda entry: any(branch(entry) for branch in branches)
    if len(item) != 3 or not isinstance(item[0], str) or not isinstance(item[1], str):
        raise invalid("filters", f"Invalid filter: {item!r:.200}")
    return _comparison(item[0], item[1], item[2], budget)


def _compile_branch(branch: Any, depth: int, budget: Budget) -> Predicate:
    if isinstance(branch, list) and branch and not isinstance(branch[0], str):
        return _all([_compile(item, depth, budget) for item in branch])
    return _compile(branch, depth, budget)


def _all(predicates: list[Predicate]) -> Predicate:
    if len(predicates) == 1:
        return predicates[0]
    return lambda entry: all(predicate(entry) for predicate in predicates)


def _comparison(field: str, op: str, wanted: Any, budget: Budget) -> Predicate:
    if len(field) > _MAX_PATH:
        raise invalid("filters", f"Invalid field of {len(field)} characters: {field[:50]}...")
    path = split_path(field)
    fold = op[:1] == "C"
    compare = OPERATORS.get(op[1:] if fold else op)
    if compare is None or (fold and op == "C~"):
        raise invalid("filters", f"Invalid operation: {op:.50}")
    wanted = _prepare(path, op, wanted)
    if fold:
        wanted = _casefold(wanted)
    pattern = wanted if isinstance(wanted, Pattern) else None

    def test(value: Any) -> bool:
        if pattern is not None:
            budget.spend(pattern.cost(value) if isinstance(value, str) else 0)
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
        return Pattern(wanted if isinstance(wanted, str) else str(wanted))
    if path[-1] == "$date" and isinstance(wanted, str):
        try:
            moment = datetime.fromisoformat(wanted)
        except ValueError:
            raise invalid("filters", f"Invalid ISO date: {wanted!r:.100}") from None
        return _plain(moment)
    if op.removeprefix("C") in {"in", "nin"} and isinstance(wanted, list):
        return _Members(wanted)
    return _plain(wanted)


class _Members:
    """The values of an `in`, looked up instead of compared one by one where they can be."""

    __slots__ = ("_hashed", "_values")

    def __init__(self, values: Sequence[Any]) -> None:
        self._values = [_plain(value) for value in values]
        self._hashed = frozenset(value for value in self._values if isinstance(value, (str, int, float)))

    def casefolded(self) -> "_Members":
        return _Members(_casefold(self._values))

    def __contains__(self, value: Any) -> bool:
        if isinstance(value, (str, int, float)):
            return value in self._hashed
        return value in self._values


def _plain(value: Any) -> Any:
    """What is compared for a value: a moment by its milliseconds, the other special ones by their text."""
    if type(value) is dict:
        return value["$date"] if len(value) == 1 and "$date" in value else value
    if isinstance(value, datetime):
        return int((value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp() * 1000)
    if isinstance(value, (date, time)):
        return value.isoformat()
    return str(value) if isinstance(value, (IPv4Interface, IPv6Interface)) else value


def _casefold(value: Any) -> Any:
    if isinstance(value, str):
        return value.casefold()
    if isinstance(value, list):
        return [_casefold(item) for item in value]
    return value.casefolded() if isinstance(value, _Members) else value


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
    "~": lambda a, b: b.matches("" if a is None else a),
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
            inner = target.get(key, {})
            if not isinstance(inner, dict):
                break
            target[key] = target = dict(inner)  # a copy: what was selected whole may be in other entries too
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
