"""Datasets and snapshots as tests make and read them."""

from typing import Any

from fake_truenas import Nas, space
from fake_truenas.store import Store
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


def add_referenced(db: Store, pk: int, delta_bytes: int, *, snapshot_bytes: int = 0) -> None:
    """Account for written or trimmed blocks of a dataset, of a file system too, which only tests can write to.

    Args:
        db: the store.
        pk: row id of the dataset.
        delta_bytes: blocks mapped for the first time (positive) or trimmed (negative).
        snapshot_bytes: blocks rewritten or trimmed while the newest snapshot still holds their old content.

    Raises:
        OutOfSpaceError: it does not fit; nothing was changed.
    """
    row = space.by_pk(db, pk)
    uniq = delta_bytes if delta_bytes > 0 else -min(-delta_bytes, row["uniq"])
    newest = db.value("select pk from snapshot where dataset = ? order by createtxg desc, pk desc limit 1", (pk,))
    if newest is None or not snapshot_bytes:
        space.change(db, pk, referenced=delta_bytes, head=delta_bytes, uniq=uniq)
        return
    space.change(db, pk, referenced=delta_bytes, head=delta_bytes, uniq=uniq + snapshot_bytes, snaps=snapshot_bytes)
    db.run("update snapshot set uniq = uniq + ? where pk = ?", (snapshot_bytes, newest))


def write(nas: Nas, name: str, size: int, **more: int) -> None:
    with nas.db.transaction():
        add_referenced(nas.db, nas.db.value("select pk from dataset where name = ?", (name,)), size, **more)
