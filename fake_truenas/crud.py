"""`query` and `get_instance` over an SQL table, for any namespace.

    def entries(ctx: Ctx, rows: Sequence[Row], extra: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [{"id": row["id"], "path": row["path"], ...} for row in rows]

    SHARES = Source(
        type_name="SharingNFS",                # as in "SharingNFS 7 does not exist"
        table="nfs_share",
        columns={"id": Column("id", int), "path": Column("path")},   # what SQL can filter and sort by; give these
        indexes
        entries=entries,
    )
    add_queries(nfs, SHARES, Int())            # sharing.nfs.query and sharing.nfs.get_instance
    entry = get_entry(ctx, SHARES, 7)          # raises "does not exist" (ENOENT)

Filters on other fields work too: they are evaluated on the entries of the candidate rows. `columns` must be not-null
columns whose
value equals the entry's field.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fake_truenas.context import Ctx
from fake_truenas.errors import does_not_exist
from fake_truenas.plan import Column, Condition, Plan, make_plan
from fake_truenas.query import (
    QUERY_OPTIONS,
    QUERY_PARAMS,
    check_filters,
    check_options,
    compile_filters,
    finish,
)
from fake_truenas.registry import Namespace
from fake_truenas.schema import Field, Type
from fake_truenas.store import Row

Entry = dict[str, Any]
Entries = Callable[[Ctx, Sequence[Row], Mapping[str, Any]], list[Entry]]
"""Build the wire entries of rows; the mapping is the query's `extra`."""

_CHUNK = 256


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
    """

    type_name: str
    table: str
    columns: Mapping[str, Column]
    entries: Entries
    key: str = "id"
    select: str = "*"
    special: Callable[[str, str, Any, Mapping[str, Any]], Condition | None] | None = None
    scope: Callable[[Mapping[str, Any]], Sequence[Condition]] | None = None


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


def run_query(ctx: Ctx, source: Source, filters: Sequence[Any], options: Mapping[str, Any]) -> Any:
    """Answer a query: a list, one entry (`get`) or a number (`count`).

    Raises:
        ValidationErrors: a filter is malformed.
        MatchNotFound: `get` and nothing matched.
    """
    check_options(options)
    check_filters(filters)
    plan = _plan(source, filters, options)
    matches = compile_filters(plan.residual) if plan.residual else None
    if matches is None and options["count"]:
        return ctx.db.value(f"select count(*) from {source.table}{plan.where_sql}", plan.args)  # noqa: S608 - table and column names are ours
    if plan.order is None:
        found = _candidates(ctx, source, plan, options["extra"], "")
        return finish([entry for entry in found if matches is None or matches(entry)], options)
    offset, limit = options["offset"], 1 if options["get"] else options["limit"]
    if matches is None:
        tail = f" limit {limit or -1} offset {offset}" if limit or offset else ""
        return finish(list(_candidates(ctx, source, plan, options["extra"], tail)), options, ordered=True)
    passed: list[Entry] = []
    end = offset + limit if limit and not options["count"] else None
    for entry in _candidates(ctx, source, plan, options["extra"], ""):
        if matches(entry):
            passed.append(entry)
            if len(passed) == end:
                break
    return finish(passed if options["count"] else passed[offset:], options, ordered=True)


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


def _candidates(ctx: Ctx, source: Source, plan: Plan, extra: Mapping[str, Any], tail: str) -> Iterator[Entry]:
    key = source.columns[source.key].sql
    terms = list(plan.order or ())
    if not any(term.removesuffix(" desc") == key for term in terms):
        terms.append(key)  # rows with equal terms come in a settled order
    sql = f"select {source.select} from {source.table}{plan.where_sql} order by {', '.join(terms)}{tail}"  # noqa: S608 - table and column names are ours
    cursor = ctx.db.connection.execute(sql, plan.args)
    while rows := cursor.fetchmany(_CHUNK):
        yield from source.entries(ctx, rows, extra)
