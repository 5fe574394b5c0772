"""Datasets and snapshots as tests make and read them."""

from typing import Any

from fake_truenas import Nas, space
from tests.fake_truenas.rpc import GIB, Client


async def create(client: Client, name: str, **data: Any) -> Any:
    return await client.call("pool.dataset.create", {"name": name, **data})


async def volume(client: Client, name: str, **data: Any) -> Any:
    return await create(client, name, **{"type": "VOLUME", "volsize": GIB, "sparse": True, **data})


async def get(client: Client, name: str) -> Any:
    return await client.call("pool.dataset.get_instance", name)


async def used(client: Client, name: str = "tank") -> int:
    return int((await get(client, name))["used"]["parsed"])


async def snap(client: Client, dataset: str, name: str, **data: Any) -> Any:
    return await client.call("pool.snapshot.create", {"dataset": dataset, "name": name, **data})


async def names(client: Client, filters: Any = None) -> list[str]:
    rows = await client.call("pool.snapshot.query", filters or [], {"select": ["name"]})
    return [row["name"] for row in rows]


def write(nas: Nas, name: str, size: int, **more: int) -> None:
    with nas.db.transaction():
        space.add_referenced(nas.db, nas.db.value("select pk from dataset where name = ?", (name,)), size, **more)
