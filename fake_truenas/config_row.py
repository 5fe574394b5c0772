"""The single configuration object of a service: `config` and `update`."""

from collections.abc import Callable
from typing import Any

import orjson

from fake_truenas.context import Ctx
from fake_truenas.documents import Problems
from fake_truenas.registry import Namespace
from fake_truenas.schema import Field, Obj

Config = dict[str, Any]
Defaults = Callable[[Ctx], Config]
Check = Callable[[Ctx, Config, Problems], None]

TABLES = "create table service_config (name text primary key, doc text not null);"


def read_config(ctx: Ctx, name: str, defaults: Defaults) -> Config:
    """The configuration called `name`; made from the defaults when it is read for the first time."""
    stored = ctx.db.value("select doc from service_config where name = ?", (name,))
    if stored is not None:
        config: Config = orjson.loads(stored)
        return config
    config = {"id": 1, **defaults(ctx)}
    write_config(ctx, name, config)
    return config


def write_config(ctx: Ctx, name: str, config: Config) -> None:
    """Replace the configuration called `name`."""
    ctx.db.run("insert or replace into service_config (name, doc) values (?, ?)", (name, orjson.dumps(config).decode()))


def add_config(namespace: Namespace, defaults: Defaults, argument: str, patch: Obj, check: Check) -> None:
    """Serve `config` and `update`: `argument` names update's object, `check` refuses what does not fit."""
    name = namespace.name

    @namespace.method("config")
    def config(ctx: Ctx) -> Config:
        """Give the configuration."""
        return read_config(ctx, name, defaults)

    @namespace.method("update", Field(argument, patch))
    def update(ctx: Ctx, data: Config) -> Config:
        """Change the fields that are given; gives the whole configuration."""
        merged = {**read_config(ctx, name, defaults), **data}
        problems = Problems(argument)
        check(ctx, merged, problems)
        problems.check()
        write_config(ctx, name, merged)
        ctx.emit(f"{name}.config", "changed", 1, merged)
        return merged
