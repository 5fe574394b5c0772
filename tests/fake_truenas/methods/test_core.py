"""core.*: options and bulk over a real socket."""

from typing import Any

from fake_truenas import Nas
from tests.fake_truenas.rpc import Client


async def test_set_options_ignores_unknown_keys_and_answers_all(dial: Any) -> None:
    client = await dial(login=False)
    assert await client.call("core.set_options", {"legacy_jobs": False, "new": 1}) == {
        "legacy_jobs": False, "private_methods": False, "py_exceptions": False,
    }  # fmt: skip
    assert (await client.refused("core.set_options", {"legacy_jobs": 1})).code == -32602


async def test_unknown_jobs(client: Client) -> None:
    error = await client.refused("core.job_abort", 99)
    assert (error.code, error.items[0][1:]) == (-32602, ("Job with id 99 does not exist", 2))
    assert await client.call("core.get_jobs", [["id", "=", 99]]) == []


async def test_bulk_succeeds_even_where_items_fail(nas: Nas, client: Client) -> None:
    await client.call("core.set_options", {"legacy_jobs": False})
    statuses = await client.call("core.bulk", "pool.dataset.create", [[{"name": "tank/a"}], [{"name": "tank/a"}], [{}]])
    assert [status["error"] for status in statuses] == [
        None, "[EINVAL] pool_dataset_create.name: Path /mnt/tank/a already exists\n", "[EINVAL] data.name: Field required\n",
    ]  # fmt: skip
    assert statuses[0]["result"]["id"] == "tank/a"
