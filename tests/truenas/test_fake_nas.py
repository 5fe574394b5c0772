"""The client against the fake NAS: its real protocol, limits, jobs, session losses and restarts."""

import asyncio
import errno
import random
from collections import Counter

import pytest

from csisim.errors import NasIndeterminate, NasRefused, NasTimeout
from csisim.truenas.client import unsettled
from fake_truenas import NO_REPLY, Nas, NasConfig, Pool

API_KEY = "1-0123456789abcdefghijklmnopqrstuvwxyz"
NAME = "tank/vol"


class Faults:
    """The NAS's hook for faults: per method, what happens to its calls in turn; None lets one pass."""

    def __init__(self):
        self.plan = {}
        self.seen = Counter()

    async def intercept(self, call, proceed):
        self.seen[call.method] += 1
        fault = self.plan.get(call.method, [])
        fault = fault.pop(0) if fault else None
        if fault == "cut before":
            call.connection.abort()
            return NO_REPLY
        result = await proceed()
        if fault == "cut after":
            call.connection.abort()
        return NO_REPLY if fault else result


class RealNas:
    """A fake NAS on a port, which can be stopped and started again on the same one."""

    def __init__(self, data_dir):
        self.config = NasConfig(pools=(Pool("tank", 1 << 40),), api_key=API_KEY, data_dir=data_dir)
        self.faults = Faults()
        self.port = 0

    async def start(self):
        self.nas = Nas(
            self.config, rng=random.Random(1), clock=lambda: 1_700_000_000.0, intercept=self.faults.intercept
        )
        self.server = await self.nas.serve("127.0.0.1", self.port)
        self.port = self.server.port

    async def stop(self):
        await self.server.close()
        self.nas.close()


@pytest.fixture
async def fake(tmp_path):
    real = RealNas(tmp_path / "nas")
    await real.start()
    yield real
    await real.stop()


@pytest.fixture
async def client(fake, new_client):
    return await new_client(url=f"ws://127.0.0.1:{fake.port}/api/current")


async def create(client):
    return await client.call("pool.dataset.create", {"name": NAME})


async def find(client):
    rows = await client.query("pool.dataset.query", [["id", "=", NAME]], {"limit": 1})
    return rows[0] if rows else None


async def test_refusals_tell_their_errno(client):
    assert (await create(client))["id"] == NAME
    with pytest.raises(NasRefused) as exists:
        await create(client)
    with pytest.raises(NasRefused) as missing:
        await client.call("pool.dataset.delete", "tank/none", {})
    with pytest.raises(NasRefused) as unknown:
        await client.call("pool.dataset.none")
    # For a dataset that exists the NAS has no number of its own, only words.
    assert (exists.value.errno, missing.value.errno) == (errno.EINVAL, errno.ENOENT)
    assert exists.value.mentions("already exists")
    assert unknown.value.code == -32601


async def test_more_calls_at_once_than_the_nas_takes_all_succeed(fake, new_client):
    client = await new_client(url=f"ws://127.0.0.1:{fake.port}/api/current", in_flight=64)
    names = [f"tank/v{n:03}" for n in range(100)]
    made = await asyncio.gather(*(client.call("pool.dataset.create", {"name": name}) for name in names))
    assert [each["id"] for each in made] == names
    assert await client.query("pool.dataset.query", [["id", "^", "tank/v"]], {"count": True}) == 100


async def test_sessions_ended_by_the_nas_are_begun_anew(fake, client):
    for _ in range(3):
        fake.nas.invalidate_sessions()
        found = await asyncio.gather(*(find(client) for _ in range(20)))
        assert found == [None] * 20
    assert client.logins == 4


async def test_job_is_awaited_also_when_its_session_is_lost(fake, client):
    assert await client.job("service.control", "START", "nfs", {}) is True
    fake.nas.invalidate_sessions()
    await client.job("service.control", "STOP", "nfs", {})
    (row,) = await client.query("service.query", [["service", "=", "nfs"]])
    assert row["state"] == "STOPPED"


async def test_refused_job_call_is_refused(client):
    with pytest.raises(NasRefused):
        await client.job("service.control", "START", "no such service", {})


@pytest.mark.parametrize("fault", ["cut before", "cut after"])
async def test_create_with_a_lost_answer_is_settled_and_made_once(fake, client, fault):
    fake.faults.plan["pool.dataset.create"] = [fault]
    made = await client.settle(lambda: create(client), lambda: find(client))
    assert made["id"] == NAME
    # Made again only where the first one had not reached the NAS.
    assert fake.faults.seen["pool.dataset.create"] == (1 if fault == "cut after" else 2)


async def test_answer_lost_on_a_live_connection_is_settled_too(fake, new_client):
    client = await new_client(url=f"ws://127.0.0.1:{fake.port}/api/current", call_timeout_s=0.2)
    fake.faults.plan["pool.dataset.create"] = ["lose"]
    assert (await client.settle(lambda: create(client), lambda: find(client)))["id"] == NAME
    assert fake.faults.seen["pool.dataset.create"] == 1
    assert client.logins == 1


async def test_cut_while_100_creates_are_on_their_way_ends_with_100_datasets(fake, client):
    fake.faults.plan["pool.dataset.create"] = (
        [None] * 10 + ["cut after"] + [None] * 20 + ["cut before"] + [None] * 20 + ["cut after"]
    )

    async def settled(name):
        async def lookup():
            rows = await client.query("pool.dataset.query", [["id", "=", name]])
            return rows[0] if rows else None

        return (await client.settle(lambda: client.call("pool.dataset.create", {"name": name}), lookup))["id"]

    names = [f"tank/v{n:03}" for n in range(100)]
    assert await asyncio.gather(*map(settled, names)) == names
    assert await client.query("pool.dataset.query", [["id", "^", "tank/v"]], {"count": True}) == 100
    assert client.tasks.count() == 0


async def test_restart_of_the_nas_keeps_what_it_acknowledged(fake, client):
    await create(client)
    await fake.stop()
    reading = asyncio.create_task(find(client))
    await fake.start()
    assert (await reading)["id"] == NAME
    assert client.logins == 2


async def test_job_of_before_a_restart_is_indeterminate(fake, new_client):
    client = await new_client(url=f"ws://127.0.0.1:{fake.port}/api/current", job_poll_s=60.0)
    # The event of its end is lost with the connection; the restarted NAS knows no such job.
    fake.faults.plan["service.control"] = [None]
    started = asyncio.Event()

    async def hang(call, proceed):
        result = await Faults.intercept(fake.faults, call, proceed)
        if call.method == "core.get_jobs":
            return []
        if call.method == "service.control":
            fake.nas.events.drop(call.session)
            started.set()
        return result

    fake.nas.intercept = hang
    job = asyncio.create_task(client.job("service.control", "START", "nfs", {}))
    await started.wait()
    await client.call("core.ping")
    await fake.stop()
    await fake.start()
    with pytest.raises(NasIndeterminate, match="its state is unknown"):
        await job


async def test_mutation_given_up_while_the_nas_carries_it_out_is_noted_until_then(fake, client):
    go_on = asyncio.Event()

    async def slow(call, proceed):
        if call.method == "pool.dataset.create":
            await go_on.wait()
        return await proceed()

    fake.nas.intercept = slow
    notes = []
    token = unsettled.set(notes)
    with pytest.raises(NasTimeout):
        await client.call("pool.dataset.create", {"name": NAME}, timeout_s=0.05)
    unsettled.reset(token)
    assert await find(client) is None
    assert not notes[0].done()
    go_on.set()
    await notes[0]
    assert (await find(client))["id"] == NAME
