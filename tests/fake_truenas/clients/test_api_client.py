"""truenas_api_client and midclt against the fake: options, logins, calls, jobs, events, errors, and the older protocol."""

import random
from collections.abc import AsyncIterator
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.typing import Origin

from fake_truenas import Nas, NasConfig
from fake_truenas.passwords import Account
from fake_truenas.server import Server
from tests.fake_truenas.clients.api_client import ApiClient, ClientError, LegacyClient, Scram
from tests.fake_truenas.clients.wire import uuids
from tests.fake_truenas.rpc import Clock

USER = "root"
PASSWORD = "a secret of nobody"


@pytest.fixture
async def box(key: str) -> AsyncIterator[Server]:
    account = Account.with_password(USER, PASSWORD, b"salt")
    config = NasConfig(api_key=key, accounts=(account,), login_failure_delay_s=(0.0, 0.0))
    nas = Nas(config, rng=random.Random(7), clock=Clock())
    server = await nas.serve("127.0.0.1", 0)
    yield server
    await server.close()
    nas.close()


@pytest.fixture
async def stranger(box: Server) -> AsyncIterator[ApiClient]:
    """Open, not logged in. The library sends an Origin."""
    socket = await connect(
        box.url, proxy=None, ping_interval=None, max_size=None, compression=None, origin=Origin("http://nas")
    )
    client = ApiClient(socket, uuids(random.Random(1)))
    await client.open()
    yield client
    await client.close()


@pytest.fixture
async def client(stranger: ApiClient, key: str) -> ApiClient:
    assert await stranger.ask("auth.login_with_api_key", key) is True
    return stranger


async def failed(attempt: Any) -> ClientError:
    with pytest.raises(ClientError) as caught:
        await attempt
    return caught.value


async def test_options_come_first_and_are_answered_before_a_login(stranger: ApiClient) -> None:
    assert stranger.methods == ["core.set_options"]
    assert len(str(stranger.sent[0]["id"])) == 36


async def test_ping_needs_no_login_and_has_empty_params(stranger: ApiClient) -> None:
    assert await stranger.ask("core.ping") == "pong"
    assert stranger.sent[-1]["params"] == []


async def test_subscription_before_the_login_is_refused_and_tried_again(stranger: ApiClient, key: str) -> None:
    await stranger.ask("core.ping")
    await stranger.ask("auth.login_with_api_key", key)
    await stranger.ask("core.ping")
    await stranger.ask("core.ping")
    assert stranger.methods.count("core.subscribe") == 3, "twice in vain, then it holds"


async def test_login_with_a_key_reads_the_mechanisms_first(stranger: ApiClient, key: str) -> None:
    mechanisms = await stranger.ask("auth.mechanism_choices")
    assert "API_KEY_PLAIN" in mechanisms
    assert "SCRAM" not in mechanisms, "none before 26.0"
    credentials = {"mechanism": "API_KEY_PLAIN", "username": "truenas_admin", "api_key": key}
    answer = await stranger.ask("auth.login_ex", credentials)
    assert answer["response_type"] == "SUCCESS"


async def test_scram_is_the_default_from_26_on(key: str) -> None:
    nas = Nas(NasConfig(api_key=key, version="26.0"), rng=random.Random(7), clock=Clock())
    server = await nas.serve("127.0.0.1", 0)
    client = ApiClient(await connect(server.url, proxy=None, ping_interval=None), uuids(random.Random(4)))
    await client.open()
    assert "SCRAM" in await client.ask("auth.mechanism_choices")
    scram = Scram("truenas_admin", key, random.Random(5).randbytes(32))
    scram.verify(await client.ask("auth.login_ex", scram.final(await client.ask("auth.login_ex", scram.first()))))
    assert [pool["name"] for pool in await client.ask("pool.query")] == ["tank"]
    await client.close()
    await server.close()
    nas.close()


async def test_login_with_a_password(stranger: ApiClient) -> None:
    credentials = {"mechanism": "PASSWORD_PLAIN", "username": USER, "password": PASSWORD}
    assert (await stranger.ask("auth.login_ex", credentials))["response_type"] == "SUCCESS"
    assert (await stranger.ask("auth.me"))["pw_name"] == USER


async def test_wrong_password_is_an_answer(stranger: ApiClient) -> None:
    credentials = {"mechanism": "PASSWORD_PLAIN", "username": USER, "password": "wrong"}
    assert await stranger.ask("auth.login_ex", credentials) == {"response_type": "AUTH_ERR"}
    assert await stranger.ask("auth.login", USER, "wrong", None) is False


async def test_call_without_a_login_is_errno_207(stranger: ApiClient) -> None:
    error = await failed(stranger.ask("pool.query"))
    assert (error.kind, error.errno, error.error) == ("ClientException", 207, "[ENOTAUTHENTICATED] Not authenticated")


async def test_validation_errors_are_triples(client: ApiClient) -> None:
    error = await failed(client.ask("pool.dataset.create", {"name": "tank/a", "tpye": "VOLUME"}))
    assert error.kind == "ValidationErrors"
    assert [item[1:] for item in error.errors] == [("Extra inputs are not permitted", 22)]
    missing = await failed(client.ask("pool.dataset.get_instance", "tank/none"))
    assert [item[1:] for item in missing.errors] == [("PoolDataset tank/none does not exist", 2)]


async def test_call_errors_have_reason_and_errno(client: ApiClient) -> None:
    error = await failed(client.ask("pool.snapshot.create", {"dataset": "tank/none", "name": "s"}))
    assert (error.kind, error.errno) == ("ClientException", 14)
    assert error.error == "[EFAULT] Failed to snapshot tank/none@s: Dataset tank/none not found"


async def test_unknown_and_private_methods_do_not_exist(client: ApiClient) -> None:
    for method in ("no.such", "pool.dataset.nothing"):
        assert (await failed(client.ask(method))).error == "Method does not exist"


async def test_private_methods_are_called_once_asked_for(box: Server, key: str) -> None:
    """Of 25.10, `zfs.snapshot` is private."""
    socket = await connect(box.url, proxy=None, ping_interval=None, compression=None)
    client = ApiClient(socket, uuids(random.Random(2)))
    await client.open(private_methods=True)
    await client.ask("auth.login_with_api_key", key)
    assert await client.ask("zfs.snapshot.query", [], {"count": True}) == 0
    await client.close()


async def test_query_options(client: ApiClient) -> None:
    for name in ("a", "b"):
        await client.ask("pool.dataset.create", {"name": f"tank/{name}"})
    filters = [["id", "^", "tank/"]]
    assert await client.ask("pool.dataset.query", filters, {"count": True}) == 2
    rows = await client.ask("pool.dataset.query", filters, {"select": ["id"], "order_by": ["-id"], "limit": 1})
    assert rows == [{"id": "tank/b"}]
    assert (await client.ask("pool.dataset.query", [["id", "=", "tank/a"]], {"get": True}))["id"] == "tank/a"


async def test_job_is_told_by_its_message_and_answered_at_its_end(client: ApiClient) -> None:
    assert await client.run_job("service.control", "RELOAD", "nfs") is True
    (progress,) = client.progress.values()
    assert progress[0][0] == 0


async def test_progress_of_a_job_reaches_the_callback(client: ApiClient) -> None:
    calls = [["tank/a"], ["tank/none"], ["tank/b"]]
    for name in ("a", "b"):
        await client.ask("pool.dataset.create", {"name": f"tank/{name}"})
    result = await client.run_job("core.bulk", "pool.dataset.delete", calls)
    assert [item["error"] is None for item in result] == [True, False, True]
    (progress,) = client.progress.values()
    percents = [percent for percent, _ in progress]
    assert percents == sorted(percents)
    assert percents[-1] == 100


async def test_failed_job_gives_its_error(client: ApiClient) -> None:
    error = await failed(client.run_job("filesystem.setperm", {"path": "/mnt/tank/none", "mode": "755"}))
    assert error.kind in ("ValidationErrors", "ClientException")
    assert "/mnt/tank/none" in f"{error.error}{error.errors}"


async def test_plain_call_of_a_job_waits_for_its_result(client: ApiClient) -> None:
    """Without `job=True` the id is taken from the event; the reply at the end is of a call that is not waited for."""
    assert await client.ask("service.control", "RELOAD", "nfs") is True


async def test_subscription_gets_the_events_of_a_namespace(client: ApiClient) -> None:
    subscription = await client.ask("core.subscribe", "pool.dataset.query")
    await client.ask("pool.dataset.create", {"name": "tank/a"})
    params = (await client.notifications.get())["params"]
    assert (params["msg"], params["collection"], params["id"]) == ("added", "pool.dataset.query", "tank/a")
    assert params["fields"]["name"] == "tank/a"
    assert await client.ask("core.unsubscribe", subscription) is None
    await client.ask("pool.dataset.delete", "tank/a")
    assert client.notifications.empty()


async def test_dates_are_extended_json(client: ApiClient) -> None:
    info = await client.ask("system.info")
    assert set(info["datetime"]) == {"$date"}
    assert isinstance(info["datetime"]["$date"], int)


async def test_pickled_exceptions_are_only_sent_when_asked_for(client: ApiClient) -> None:
    error = await failed(client.ask("pool.dataset.get_instance", "tank/none"))
    assert error.kind == "ValidationErrors"
    taken = await client.open()
    assert taken["py_exceptions"] is False


# The older protocol.


@pytest.fixture
async def legacy(box: Server) -> AsyncIterator[LegacyClient]:
    url = box.url.replace("/api/current", "/websocket")
    socket = await connect(url, proxy=None, ping_interval=None, compression=None)
    client = LegacyClient(socket, uuids(random.Random(3)))
    assert await client.connect()
    yield client
    await client.close()


async def test_legacy_ping(legacy: LegacyClient) -> None:
    await legacy.ping()


async def test_legacy_login_and_call(legacy: LegacyClient, key: str) -> None:
    assert (await failed(legacy.call("pool.query"))).errno == 207
    assert await legacy.call("auth.login_with_api_key", key) is True
    assert [pool["name"] for pool in await legacy.call("pool.query")] == ["tank"]


async def test_legacy_login_with_a_password(legacy: LegacyClient) -> None:
    assert await legacy.call("auth.login", USER, "wrong", None) is False
    assert await legacy.call("auth.login", USER, PASSWORD, None) is True


async def test_legacy_errors(legacy: LegacyClient, key: str) -> None:
    await legacy.call("auth.login_with_api_key", key)
    error = await failed(legacy.call("pool.dataset.create", {"name": "tank/none/b"}))
    assert (error.kind, error.errno) == ("ValidationErrors", 11)
    assert error.errors[0][0] == "pool_dataset_create.name"
    error = await failed(legacy.call("zfs.snapshot.create", {"dataset": "tank/none", "name": "s"}))
    assert (error.kind, error.errno) == ("ClientException", 14)


async def test_legacy_jobs_answer_with_their_id_and_end_in_an_event(legacy: LegacyClient, key: str) -> None:
    await legacy.call("auth.login_with_api_key", key)
    subscription = await legacy.subscribe("core.get_jobs")
    job = await legacy.call("core.bulk", "core.ping", [[], []])
    assert isinstance(job, int)
    if not any(message.get("fields", {}).get("state") == "SUCCESS" for message in legacy.messages):
        while (await legacy.until(msg="changed", collection="core.get_jobs"))["fields"]["state"] != "SUCCESS":
            pass
    await legacy.unsubscribe(subscription)
    await legacy.ping()
