"""Which daemons run, for those that depend on one."""

from collections.abc import Sequence

from fake_truenas.store import Store


def tables(services: Sequence[tuple[int, str, int]]) -> str:
    """Statements that make the table of services, given as (id, name, enabled and running)."""
    rows = ", ".join(f"({number}, '{name}', {on}, {on})" for number, name, on in services)
    return f"""
create table service (
  id integer primary key,
  service text not null unique,
  enable integer not null,
  running integer not null,
  starts integer not null default 0
);
insert into service (id, service, enable, running) values {rows};"""  # noqa: S608 - constants


def running(db: Store, name: str) -> bool:
    """Whether the service called `name` runs."""
    return bool(db.value("select running from service where service = ?", (name,)))
