"""`query` and `get_instance` over an SQL table, for any namespace.

    def entries(ctx: Ctx, rows: Sequence[Row], extra: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [{"id": row["id"], "path": row["path"], ...} for row in rows]

    SHARES = Source(
        type_name="SharingNFS",                # as in "SharingNFS 7 does not exist"
        table="nfs_share",
        columns={"id": Column("id", int), "path": Column("path")},   # what SQL filters and sorts by: have an index
        entries=entries,
    )
    add_queries(nfs, SHARES, Int())            # sharing.nfs.query and sharing.nfs.get_instance
    entry = get_entry(ctx, SHARES, 7)          # raises "does not exist" (ENOENT)

Filters on other fields work too: they are evaluated on the entries of the candidate rows. `columns` must be not-null
columns whose value equals the entry's field.
"""

import errno
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fake_truenas.context import Ctx
from fake_truenas.errors import CallError, does_not_exist
from fake_truenas.plan import Column, Condition, Plan, make_plan
from fake_truenas.query import (
    QUERY_OPTIONS,
    QUERY_PARAMS,
    Predicate,
    check_filters,
    check_options,
    compile_filters,
    finish,
)
from fake_truenas.registry import Namespace
from fake_truenas.schema import Field, Type
from fake_truenas.steps import AT_ONCE, Reader, Steps, through
from fake_truenas.store import Row

Entry = dict[str, Any]
Entries = Callable[[Ctx, Sequence[Row], Mapping[str, Any]], list[Entry]]
"""Build the wire entries of rows; the mapping is the query's `extra`."""

Building = Callable[[Ctx, Sequence[Row], Mapping[str, Any]], Steps]
"""The same in steps, the parts all empty but the last: for entries that can be large."""

MAX_SORTED = 100_000
"""How many entries are sorted where SQL cannot do it: they are all kept until then, and sorted without a pause."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a namespace's entries come from.

    Attributes:
        type_name: the word in "<type> <id> does not exist".
        table: what follows `from`; may be a join.
        columns: fields that SQL answers exactly.
        entries: builds entries from rows.
        key: the field that get_instance looks up; one of `columns`.
        select: what follows `select`.
        special: further conditions that SQL can answer, for example on user properties; gets (field, op, value, extra).
        scope: conditions that the query's `extra` adds.
        steps: builds entries in steps.
    """

    type_name: str
    table: str
    columns: Mapping[str, Column]
    entries: Entries
    key: str = "id"
    select: str = "*"
    special: Callable[[str, str, Any, Mapping[str, Any]], Condition | None] | None = None
    scope: Callable[[Mapping[str, Any]], Sequence[Condition]] | None = None
    steps: Building | None = None


def add_queries(namespace: Namespace, source: Source, key_type: Type) -> None:
    """Serve `query` and `get_instance` of a namespace."""

    @namespace.method("query", *QUERY_PARAMS)
    def query(ctx: Ctx, filters: list[Any], options: dict[str, Any]) -> Any:
        """Give the entries that pass all filters, or one of them, or their number."""
        return run_query(ctx, source, filters, options)

    @namespace.method("get_instance", Field("id", key_type), Field("options", QUERY_OPTIONS, default={}))
    def get_instance(ctx: Ctx, key: Any, options: dict[str, Any]) -> Entry:
        """Give the entry with this id."""
        return get_entry(ctx, source, key, options["extra"])


def get_entry(ctx: Ctx, source: Source, key: Any, extra: Mapping[str, Any] | None = None) -> Entry:
    """One entry by its key.

    Raises:
        ValidationErrors: it does not exist (ENOENT).
    """
    row = ctx.db.one(f"select {source.select} from {source.table} where {source.columns[source.key].sql} = ?", (key,))  # noqa: S608 - table and column names are ours
    if row is None:
        raise does_not_exist(source.type_name, key)
    return source.entries(ctx, [row], extra or {})[0]


def run_query(ctx: Ctx, source: Source, filters: Sequence[Any], options: Mapping[str, Any]) -> Steps:
    """Answer a query: a list, one entry (`get`) or a number (`count`).

    Raises:
        ValidationErrors: a filter is malformed.
        CallError: E2BIG, too much to compare or to sort.
        MatchNotFound: `get` and nothing matched.
    """
    check_options(options)
    check_filters(filters)
    plan = _plan(source, filters, options)
    matches = compile_filters(plan.residual) if plan.residual else None
    if options["count"]:
        if matches is None:
            return ctx.db.value(f"select count(*) from {source.table}{plan.where_sql}", plan.args)  # noqa: S608 - table and column names are ours
        tally = _Tally()
        yield from through(_passing(ctx, source, plan, options["extra"], matches), tally.count)
        return tally.number
    if plan.order is None:
        tally = _Tally()
        yield from through(_passing(ctx, source, plan, options["extra"], matches), tally.keep)
        return finish(tally.kept, options)
    steps = _passing(ctx, source, plan, options["extra"], matches, options["offset"], options["limit"])
    if options["get"]:
        steps = _passing(ctx, source, plan, options["extra"], matches, 0, 1)
        return finish((yield from steps), options, ordered=True)
    if options["select"]:
        return (yield from through(steps, lambda part: finish(part, options, ordered=True)))
    return (yield from steps)


class _Tally:
    """Takes the parts of an answer in, so that none leaves before the last has come."""

    __slots__ = ("kept", "number")

    def __init__(self) -> None:
        self.kept: list[Entry] = []
        self.number = 0

    def count(self, part: list[Entry]) -> list[Entry]:
        """Count them only."""
        self.number += len(part)
        return []

    def keep(self, part: list[Entry]) -> list[Entry]:
        """Keep them all.

        Raises:
            CallError: E2BIG, they are too many.
        """
        self.kept += part
        if len(self.kept) > MAX_SORTED:
            raise CallError(
                f"More than {MAX_SORTED} entries to sort: order by id or name, or narrow by one of them", errno.E2BIG
            )
        return []


def _passing(
    ctx: Ctx, source: Source, plan: Plan, extra: Mapping[str, Any], matches: Predicate | None,
    offset: int = 0, limit: int = 0,
) -> Steps:  # fmt: skip
    """The entries that pass all filters, from `offset` on and at most `limit` of them, in the plan's order."""
    if matches is None:
        reader = _reader(ctx, source, plan, limit, offset)
        offset, end = 0, None
    else:
        reader = _reader(ctx, source, plan)
        end = offset + limit if limit else None
    passed = 0
    ready: list[Entry] = []
    for number in itertools.count():
        if number >= AT_ONCE and reader.settle():
            yield ready
            ready = []
        rows = reader.read()
        if not rows:
            break
        if source.steps is None:
            entries = source.entries(ctx, rows, extra)
        else:
            entries = yield from _settled(source.steps(ctx, rows, extra), reader)
        if matches is None:
            ready += entries
            continue
        for entry in entries:
            if matches(entry):
                passed += 1
                if passed > offset:
                    ready.append(entry)
                    if passed == end:
                        return ready
    return ready


def _settled(steps: Steps, reader: Reader) -> Steps:
    """The same steps; before a pause the reader finds out what is left."""
    while True:
        try:
            part = next(steps)
        except StopIteration as end:
            return end.value
        reader.settle()
        yield part


def _plan(source: Source, filters: Sequence[Any], options: Mapping[str, Any]) -> Plan:
    extra, special = options["extra"], source.special
    if special is None:
        plan = make_plan(filters, options["order_by"], source.columns)
    else:
        plan = make_plan(
            filters, options["order_by"], source.columns, lambda name, op, value: special(name, op, value, extra)
        )
    for sql, args in source.scope(extra) if source.scope is not None else ():
        plan.where.append(sql)
        plan.args.extend(args)
    return plan


def _reader(ctx: Ctx, source: Source, plan: Plan, limit: int = 0, offset: int = 0) -> Reader:
    key = source.columns[source.key].sql
    terms = list(plan.order or ())
    if not any(term.removesuffix(" desc") == key for term in terms):
        terms.append(key)  # rows with equal terms come in a settled order
    order = ", ".join(terms)
    return Reader(
        ctx.db, source.select, source.table, plan.where_sql, plan.args, order=order, key=key, limit=limit, offset=offset
    )
