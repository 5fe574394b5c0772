"""Which part of a query SQLite can answer from an index. Pure.

Equality, `in`, prefix and range on declared columns become SQL, exactly; the rest stays as residual filters for
`fake_truenas.query` on the candidate rows. When nothing stays, counting, order, offset and limit are done in SQL
too: a page costs what it returns.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_COMPARISONS = {"=": "=", ">": ">", ">=": ">=", "<": "<", "<=": "<="}

MAX_IN = 500
MAX_PUSHED = 100
"""SQLite refuses expressions that are nested too deeply, and every `and` is a level."""
MAX_ARGS = 10_000
"""SQLite takes 32,766 of them."""
_INT_END = 1 << 63  # SQLite's integers have 64 bits


@dataclass(frozen=True, slots=True)
class Column:
    """A field of the entries that equals a column.

    Attributes:
        sql: the column, never null in rows where it is compared.
        type: str or int; filters with values of another type are not pushed down.
    """

    sql: str
    type: type = str


Condition = tuple[str, list[Any]]
"""SQL condition and its arguments."""

Special = Callable[[str, str, Any], Condition | None]
"""(field, op, value) to an exact condition, or None when there is none."""


@dataclass(slots=True)
class Plan:
    """How to run a query.

    Attributes:
        where: conditions, joined with AND.
        args: their arguments.
        residual: filters that must be evaluated on the entries.
        order: SQL terms, or None when the order must be made on the entries.
    """

    where: list[str] = field(default_factory=list)
    args: list[Any] = field(default_factory=list)
    residual: list[Any] = field(default_factory=list)
    order: list[str] | None = None

    @property
    def where_sql(self) -> str:
        """The where clause, or an empty string."""
        return f" where {' and '.join(self.where)}" if self.where else ""


def make_plan(
    filters: Sequence[Any], order_by: Sequence[str], columns: Mapping[str, Column], special: Special | None = None
) -> Plan:
    """Split a query into what the columns answer and what remains."""
    plan = Plan()
    ranges: dict[str, _Range] = {}
    for item in filters:
        if _narrow(ranges, item, columns):
            continue
        more = len(plan.where) < MAX_PUSHED and len(plan.args) < MAX_ARGS
        condition = _push(item, columns, special) if more else None
        if condition is None:
            plan.residual.append(item)
        else:
            plan.where.append(condition[0])
            plan.args.extend(condition[1])
    for sql, found in ranges.items():
        found.add_to(plan, sql)
    plan.order = _order(order_by, columns)
    return plan


@dataclass(slots=True)
class _Range:
    """The narrowest bounds of a column: of several on one side SQLite searches by one, and steps over the rest."""

    low: tuple[Any, bool] | None = None
    high: tuple[Any, bool] | None = None

    def add(self, op: str, value: Any) -> None:
        """Take another bound into account; `strict` is the second item of a side."""
        strict = "=" not in op
        if op[0] == ">":
            if self.low is None or (value, strict) > self.low:
                self.low = (value, strict)
        elif self.high is None or (value, not strict) < (self.high[0], not self.high[1]):
            self.high = (value, strict)

    def add_to(self, plan: Plan, sql: str) -> None:
        """Put the bounds into a plan."""
        for side, op in ((self.low, ">"), (self.high, "<")):
            if side is not None:
                plan.where.append(f"{sql} {op}{'' if side[1] else '='} ?")
                plan.args.append(side[0])


def _fits(column: Column, value: Any) -> bool:
    """Whether SQLite can compare this value with the column as Python would."""
    if type(value) is int:
        return column.type is int and -_INT_END <= value < _INT_END
    return type(value) is column.type


def _narrow(ranges: dict[str, _Range], item: Any, columns: Mapping[str, Column]) -> bool:
    """Whether the filter bounds a column, and so has become part of its range."""
    match item:
        case [str(name), (">" | ">=" | "<" | "<=") as op, value] if name in columns and _fits(columns[name], value):
            ranges.setdefault(columns[name].sql, _Range()).add(op, value)
            return True
        case [str(name), "^", str(prefix)] if name in columns and columns[name].type is str:
            found = ranges.setdefault(columns[name].sql, _Range())
            found.add(">=", prefix)
            end = after_prefix(prefix)
            if end is not None:
                found.add("<", end)
            return True
    return False


def _push(item: Any, columns: Mapping[str, Column], special: Special | None) -> Condition | None:
    match item:
        case ["OR", branches]:
            return _push_or(branches, columns, special)
        case [str(name), str(op), value]:
            column = columns.get(name)
            if column is not None:
                return _compare(column, op, value)
            return special(name, op, value) if special is not None else None
    return None


def _compare(column: Column, op: str, value: Any) -> Condition | None:
    if op == "in" and isinstance(value, list):
        if len(value) > MAX_IN or not all(_fits(column, one) for one in value):
            return None
        return f"{column.sql} in ({','.join('?' * len(value))})", list(value)
    if op in _COMPARISONS and _fits(column, value):
        return f"{column.sql} {_COMPARISONS[op]} ?", [value]
    if op == "^" and isinstance(value, str) and column.type is str:
        return prefix_range(column.sql, value)
    return None


def _push_or(branches: Any, columns: Mapping[str, Column], special: Special | None) -> Condition | None:
    """A disjunction of single filters; other forms, and deeper ones, are left to the evaluation of entries."""
    if not isinstance(branches, list) or not 0 < len(branches) <= MAX_PUSHED:
        return None
    conditions = [
        _push(branch, columns, special) if isinstance(branch, list) and branch and branch[0] != "OR" else None
        for branch in branches
    ]
    known = [condition for condition in conditions if condition is not None]
    if len(known) < len(conditions):
        return None
    args = [arg for _, args in known for arg in args]
    return (f"({' or '.join(sql for sql, _ in known)})", args) if len(args) <= MAX_ARGS else None


def prefix_range(sql: str, prefix: str) -> Condition:
    """A condition that an index can answer for "starts with"."""
    end = after_prefix(prefix)
    if end is None:
        return f"{sql} >= ?", [prefix]
    return f"({sql} >= ? and {sql} < ?)", [prefix, end]


def after_prefix(prefix: str) -> str | None:
    """The smallest string above every string with this prefix, in code point order; None if there is none."""
    while prefix:
        last = ord(prefix[-1]) + 1
        if last == 0xD800:
            last = 0xE000  # surrogates are not characters
        if last <= 0x10FFFF:
            return prefix[:-1] + chr(last)
        prefix = prefix[:-1]
    return None


def _order(order_by: Sequence[str], columns: Mapping[str, Column]) -> list[str] | None:
    terms = []
    for name in order_by:
        column = columns.get(name.removeprefix("-"))
        if column is None:
            return None
        terms.append(f"{column.sql} desc" if name.startswith("-") else column.sql)
    return terms
