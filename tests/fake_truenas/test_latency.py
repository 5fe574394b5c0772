"""How long calls take."""

import asyncio
import random

import pytest

from fake_truenas import Nas, NasConfig
from fake_truenas.context import Ctx
from fake_truenas.jobs import JobRun
from fake_truenas.latency import (
    PROFILES,
    Distribution,
    LatencyRule,
    UnknownMethod,
    parse_distribution,
    parse_rule,
    resolve,
)
from fake_truenas.methods import default_registry
from fake_truenas.persona import TRAINS, persona
from fake_truenas.registry import Job, Namespace, Registry
from tests.fake_truenas.logins import serving
from tests.fake_truenas.rpc import KEY, Client, Clock


@pytest.mark.parametrize(
    ("text", "kind", "low_s", "high_s"),
    [
        ("50ms", "uniform", 0.05, 0.05), ("20ms..2s", "uniform", 0.02, 2.0), ("1.5s", "uniform", 1.5, 1.5),
        ("0s", "uniform", 0, 0), ("250us..1ms", "uniform", 0.00025, 0.001), ("exp:100ms", "exp", 0.1, 10.0),
    ],
)  # fmt: skip
def test_times_are_read_with_their_units(text: str, kind: str, low_s: float, high_s: float) -> None:
    times = parse_distribution(text)
    assert (times.kind, times.low_s, times.high_s) == (kind, pytest.approx(low_s), pytest.approx(high_s))


@pytest.mark.parametrize(
    "text", ["", "5", "5 ms", "-1s", "2s..20ms", "1s..", "..1s", "exp:", "exp:1", "norm:1s", "1s..2s..3s", "1e3s", "٣s"]
)
def test_what_is_not_a_time_is_refused_with_the_forms_there_are(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a time: 50ms, 20ms\.\.2s or exp:100ms"):
        parse_distribution(text)


def test_drawn_times_follow_the_distribution_and_the_seed() -> None:
    uniform, exponential = parse_distribution("10ms..30ms"), parse_distribution("exp:100ms")
    drawn = [uniform.draw(random.Random(seed)) for seed in range(500)]
    assert (min(drawn) >= 0.01, max(drawn) <= 0.03, 0.019 < sum(drawn) / 500 < 0.021) == (True, True, True)
    rng = random.Random(1)
    long = [exponential.draw(rng) for _ in range(2000)]
    assert (0.09 < sum(long) / 2000 < 0.11, max(long) <= 10) == (True, True)
    assert uniform.draw(random.Random(3)) == uniform.draw(random.Random(3))
    assert (Distribution("exp", 0, 0).draw(rng), Distribution("uniform", 1, 1).draw(rng)) == (0, 1)


def test_a_rule_is_a_method_and_a_time() -> None:
    assert parse_rule("pool.dataset.*=20ms..2s") == LatencyRule("pool.dataset.*", Distribution("uniform", 0.02, 2.0))
    for text in ("pool.dataset.create", "=1s", "50ms"):
        with pytest.raises(ValueError, match="is not METHOD=TIME"):
            parse_rule(text)
    with pytest.raises(ValueError, match="is not a time"):
        parse_rule("core.ping=fast")


def test_the_last_rule_for_a_method_counts() -> None:
    rules = [parse_rule(text) for text in ("a.*=1s", "a.b=2s", "*.c=3s")]
    found = resolve(rules, ["a.a", "a.b", "a.c", "b.b"])
    assert {name: times.low_s for name, times in found.items()} == {"a.a": 1, "a.b": 2, "a.c": 3}


def test_a_rule_for_no_method_is_refused_unless_it_is_optional() -> None:
    with pytest.raises(UnknownMethod, match=r"latency for 'pool\.datset\.\*': no such method in this release"):
        resolve([parse_rule("pool.datset.*=1s")], ["pool.dataset.create"])
    assert resolve([LatencyRule("x", Distribution("uniform", 0, 1), optional=True)], ["y"]) == {}
    config = NasConfig(api_key=KEY, latency=(parse_rule("nvmet.subsys.create=1s"),), version="25.04")
    with pytest.raises(UnknownMethod):
        Nas(config, rng=random.Random(7), clock=Clock())


@pytest.mark.parametrize("train", TRAINS)
def test_the_profile_of_a_real_system_fits_every_release(train: str) -> None:
    names = list(default_registry().serving(persona(train)).methods)
    times = resolve(PROFILES["truenas"], names)
    assert times["pool.dataset.create"].low_s < times["iscsi.extent.create"].high_s
    assert "core.ping" not in times
    everywhere = [name for one in TRAINS for name in default_registry().serving(persona(one)).methods]
    for rule in PROFILES["truenas"]:
        assert resolve([LatencyRule(rule.methods, rule.times)], everywhere), rule


class Held:
    """Stands in for asyncio.sleep: calls that take their time wait until `gate` is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[float] = []
        self.gate = asyncio.Event()
        self._sleep = asyncio.sleep
        monkeypatch.setattr(asyncio, "sleep", self)

    async def __call__(self, delay_s: float) -> None:
        if delay_s == 0:
            await self._sleep(0)
            return
        self.asked.append(delay_s)
        await self.gate.wait()


async def test_a_call_takes_its_time_after_its_checks_and_before_its_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(latency=(parse_rule("pool.dataset.create=30s"),)) as served:
        client, other = await served.dial(key=KEY), await served.dial(key=KEY)
        held = Held(monkeypatch)
        await other.call("core.subscribe", "pool.dataset.query")
        assert (await client.refused("pool.dataset.create", {})).code == -32602
        reply = await client.start("pool.dataset.create", {"name": "tank/a"})
        while not held.asked:
            await asyncio.sleep(0)
        assert await other.call("pool.dataset.query", [["id", "=", "tank/a"]]) == []
        assert (held.asked, reply.done(), other.events.empty()) == ([30.0], False, True)
        held.gate.set()
        assert "result" in await reply
        assert (await other.events.get())["params"]["id"] == "tank/a"
        assert len(await other.call("pool.dataset.query", [["id", "=", "tank/a"]])) == 1


async def test_slow_calls_hold_the_slots_of_their_connection() -> None:
    async with serving(latency=(parse_rule("pool.query=20s"),)) as served:
        client, other = await served.dial(key=KEY), await served.dial(key=KEY)
        for _ in range(10):
            await client.start("pool.query")
        ping = await client.start("core.ping")
        assert await other.call("core.ping") == "pong"
        assert not ping.done()


work = Namespace("work")


@work.method("short", job=Job())
async def short(ctx: Ctx, job: JobRun) -> str:
    job.progress(50)
    return "done"


async def test_a_job_takes_its_time_while_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = Registry([*default_registry().namespaces, work])
    config = NasConfig(api_key=KEY, latency=(parse_rule("work.short=20s"),))
    nas = Nas(config, rng=random.Random(7), clock=Clock(), registry=registry)
    held = Held(monkeypatch)
    job, _ = await nas.apply_inner(nas._inside, "work.short", [])
    assert job is not None
    while not held.asked:
        await asyncio.sleep(0)
    assert (job.state, job.percent, held.asked) == ("RUNNING", 0, [20.0])
    held.gate.set()
    assert await job.outcome() == "done"
    nas.close()


async def test_items_of_a_bulk_call_take_their_time_too(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(latency=(parse_rule("pool.query=10s..20s"),)) as served:
        client: Client = await served.dial(key=KEY)
        held = Held(monkeypatch)
        held.gate.set()
        await client.call("core.set_options", {"legacy_jobs": False})
        await client.call("core.bulk", "pool.query", [[], [], []])
        assert (len(held.asked), len(set(held.asked))) == (3, 3)
        assert min(held.asked) >= 10
        assert max(held.asked) <= 20
