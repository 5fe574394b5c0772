"""Configuration rows: a column for each field that is looked up, all fields together as one JSON document.

    PORTS = Documents("nvmet_port", {"index": int, "addr_traddr": str})
    ports = Namespace("nvmet.port", tables=PORTS.sql())
    add_crud(ports, PORTS, Rules(type_name="NVMetPort", argument="nvmet_port", create=Obj(...), clean=clean))

gives `create`, `update`, `delete`, `query` and `get_instance` with their events. Ids count up and are never given
twice, as on the real server.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from fake_truenas.context import Ctx
from fake_truenas.crud import Entries, Entry, Source, add_queries, get_entry
from fake_truenas.errors import Invalid, ValidationErrors
from fake_truenas.plan import Column, prefix_range
from fake_truenas.registry import Namespace
from fake_truenas.schema import Field, Int, Obj
from fake_truenas.store import Row, Store

_SQL_TYPES = {int: "integer", str: "text"}


class Problems:
    """Refused attributes of one call, collected so that all are answered together."""

    __slots__ = ("_items", "_prefix")

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._items: list[Invalid] = []

    def add(self, attribute: str, text: str, errno: int = 22) -> None:
        """Note that `<prefix>.<attribute>` (just the prefix for "") is refused."""
        self._items.append(Invalid(f"{self._prefix}.{attribute}" if attribute else self._prefix, text, errno))

    def check(self) -> None:
        """Refuse the call if anything was added.

        Raises:
            ValidationErrors: with everything added.
        """
        if self._items:
            raise ValidationErrors(self._items)


@dataclass(frozen=True, slots=True)
class Documents:
    """One table of documents.

    Attributes:
        table: its name.
        columns: fields of the document that are columns too, with their type.
        indexes: the columns of each index. By default every column has one; a column with few different values must
            come after a selective one instead, because SQLite might choose an index on it alone.
    """

    table: str
    columns: Mapping[str, type] = field(default_factory=dict)
    indexes: tuple[tuple[str, ...], ...] | None = None

    def sql(self, first: Sequence[Mapping[str, Any]] = ()) -> str:
        """Statements that make the table, its indexes and the rows that a new NAS has."""
        columns = "".join(f'"{name}" {_SQL_TYPES[kind]}, ' for name, kind in self.columns.items())
        statements = [f"create table {self.table} (id integer primary key autoincrement, {columns}doc text not null);"]
        for names in self.indexes or [(name,) for name in self.columns]:
            indexed = ", ".join(f'"{name}"' for name in names)
            statements.append(f"create index {self.table}_{'_'.join(names)} on {self.table} ({indexed});")
        for doc in first:
            values = ", ".join(_literal(value) for value in self._values(doc))
            statements.append(f"insert into {self.table} ({self._names()}) values ({values});")  # noqa: S608 - constants
        return "\n".join(statements)

    def insert(self, db: Store, doc: Mapping[str, Any]) -> int:
        """Add a document; gives its id."""
        marks = ", ".join("?" * (len(self.columns) + 1))
        return db.insert(f"insert into {self.table} ({self._names()}) values ({marks})", self._values(doc))  # noqa: S608

    def update(self, db: Store, row_id: int, doc: Mapping[str, Any]) -> None:
        """Replace a document."""
        sets = "".join(f'"{name}" = ?, ' for name in self.columns)
        db.run(f"update {self.table} set {sets}doc = ? where id = ?", (*self._values(doc), row_id))  # noqa: S608

    def delete(self, db: Store, row_id: int) -> None:
        """Remove a document."""
        db.run(f"delete from {self.table} where id = ?", (row_id,))  # noqa: S608

    def find(self, db: Store, *, but: int | None = None, **columns: Any) -> list[Entry]:
        """The documents, with their ids, whose columns have these values, in the order of ids; `but` leaves one out."""
        where = " and ".join(f'"{name}" = ?' for name in columns)
        sql = f"select id, doc from {self.table} where {where or '1'} order by id"  # noqa: S608
        return [load(row) for row in db.rows(sql, tuple(columns.values())) if row["id"] != but]

    def below(self, db: Store, column: str, path: str) -> list[Entry]:
        """The documents whose column is the path or one below it, in the order of ids."""
        condition, args = prefix_range(f'"{column}"', path + "/")
        rows = db.rows(
            f'select id, doc from {self.table} where "{column}" = ?'  # noqa: S608
            f" union all select id, doc from {self.table} where {condition} order by id",
            (path, *args),
        )
        return [load(row) for row in rows]

    def get(self, db: Store, row_id: int) -> Entry | None:
        """The document with its id, or None."""
        row = db.one(f"select id, doc from {self.table} where id = ?", (row_id,))  # noqa: S608
        return None if row is None else load(row)

    def by_id(self, db: Store, ids: Iterable[int]) -> dict[int, Entry]:
        """Documents by id, for the ids that exist."""
        wanted = sorted(set(ids))
        marks = ",".join("?" * len(wanted))
        rows = db.rows(f"select id, doc from {self.table} where id in ({marks})", wanted)  # noqa: S608
        return {row["id"]: load(row) for row in rows}

    def count(self, db: Store) -> int:
        """How many documents there are."""
        number: int = db.value(f"select count(*) from {self.table}")  # noqa: S608
        return number

    def with_group_field(self, db: Store, array: str, name: str, value: int) -> list[Entry]:
        """Documents whose list `array` holds an object with this value under `name`. Reads the whole table."""
        sql = (
            f"select id, doc from {self.table} where exists"  # noqa: S608
            f" (select 1 from json_each(doc, '$.{array}') item where json_extract(item.value, '$.{name}') = ?)"
            " order by id"
        )
        return [load(row) for row in db.rows(sql, (value,))]

    def source(
        self, type_name: str, entries: Entries | None = None, aliases: Mapping[str, str] | None = None
    ) -> Source:
        """What `query` needs; `aliases` are further filter names for columns."""
        columns = {"id": Column("id", int)}
        columns.update((name, Column(f'"{name}"', kind)) for name, kind in self.columns.items())
        columns.update((alias, columns[name]) for alias, name in (aliases or {}).items())
        return Source(type_name, self.table, columns, entries or _plain_entries)

    def _names(self) -> str:
        return "".join(f'"{name}", ' for name in self.columns) + "doc"

    def _values(self, doc: Mapping[str, Any]) -> tuple[Any, ...]:
        return (*(doc[name] for name in self.columns), orjson.dumps(dict(doc)).decode())


Clean = Callable[[Ctx, Entry, Entry | None, Problems], Entry]
"""(ctx, new document, old entry or None for a create, problems) to the document to store."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How one namespace's rows are served.

    Attributes:
        type_name: the word in "<type> <id> does not exist".
        create: the object that create takes; update takes its patch.
        clean: refuses what does not fit (through the problems given) and completes the document.
        argument: name of create's and update's object, without `_create`/`_update`; None names it "data".
        schema: what refused attributes start with, without `_create`/`_update`.
        update: the object that update takes, when it is not simply the patch.
        entries: builds entries, when they are more than the document.
        aliases: further filter names for columns.
        removed: called before a row goes, with the entry and the further arguments of delete.
        delete_params: further parameters of delete.
    """

    type_name: str
    create: Obj
    clean: Clean
    argument: str | None
    schema: str
    update: Obj | None = None
    entries: Entries | None = None
    aliases: Mapping[str, str] | None = None
    removed: Callable[..., None] | None = None
    delete_params: tuple[Field, ...] = ()


def add_crud(namespace: Namespace, documents: Documents, rules: Rules) -> Source:
    """Serve `create`, `update`, `delete`, `query` and `get_instance` of a namespace."""
    source = documents.source(rules.type_name, rules.entries, rules.aliases)
    add_queries(namespace, source, Int())
    create_name, update_name = (
        f"{rules.argument}_{verb}" if rules.argument else "data" for verb in ("create", "update")
    )

    @namespace.method("create", Field(create_name, rules.create))
    def create(ctx: Ctx, data: Entry) -> Entry:
        """Make one; gives its entry."""
        problems = Problems(f"{rules.schema}_create")
        doc = rules.clean(ctx, data, None, problems)
        problems.check()
        row_id = documents.insert(ctx.db, doc)
        return _announce(ctx, namespace, source, "added", row_id)

    @namespace.method("update", Field("id", Int()), Field(update_name, rules.update or rules.create.patch()))
    def update(ctx: Ctx, row_id: int, data: Entry) -> Entry:
        """Change the fields that are given; gives the whole entry."""
        old = get_entry(ctx, source, row_id)
        stored = documents.get(ctx.db, row_id)
        assert stored is not None  # noqa: S101 - get_entry has just found it
        del stored["id"]
        problems = Problems(f"{rules.schema}_update")
        doc = rules.clean(ctx, {**stored, **data}, old, problems)
        problems.check()
        documents.update(ctx.db, row_id, doc)
        return _announce(ctx, namespace, source, "changed", row_id)

    @namespace.method("delete", Field("id", Int()), *rules.delete_params)
    def delete(ctx: Ctx, row_id: int, *options: Any) -> bool:
        """Remove one; gives true."""
        entry = get_entry(ctx, source, row_id)
        if rules.removed is not None:
            rules.removed(ctx, entry, *options)
        remove(ctx, namespace.name, documents, row_id)
        return True

    return source


def remove(ctx: Ctx, namespace: str, documents: Documents, row_id: int) -> None:
    """Delete a row and announce it."""
    documents.delete(ctx.db, row_id)
    ctx.emit(f"{namespace}.query", "removed", row_id)


def load(row: Row) -> Entry:
    """A row's document, led by its id."""
    return {"id": row["id"], **orjson.loads(row["doc"])}


def _announce(ctx: Ctx, namespace: Namespace, source: Source, msg: str, row_id: int) -> Entry:
    entry = get_entry(ctx, source, row_id)
    ctx.emit(f"{namespace.name}.query", msg, row_id, entry)
    return entry


def _plain_entries(ctx: Ctx, rows: Sequence[Row], extra: Mapping[str, Any]) -> list[Entry]:  # noqa: ARG001 - its shape is given
    return [load(row) for row in rows]


def _literal(value: Any) -> str:
    """A constant of this program as SQL."""
    return str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'"
