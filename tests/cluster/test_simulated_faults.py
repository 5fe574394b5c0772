"""Faults of a cluster under virtual time: callers cut off, crashes, bad links. Equal seeds give equal runs."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import grpc
import pytest

from csisim.cluster.simulated import SimulatedSurroundings
from csisim.pb import csi_pb2 as csi
from csisim.sim.run import simulate
from csisim.sim.strategies import RandomWalk
from tests.features.world import OK, Caller, World, create, until, world

UNAVAILABLE, DEADLINE_EXCEEDED = grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED
PATIENCE_S = 0.15
NODE = Path("/var/lib/kubelet")


def twice(program: Callable[[SimulatedSurroundings], Awaitable[None]]) -> None:
    """Run it in two simulations, which must hold, leave nothing behind and be the same."""
    hashes = set()
    for _ in range(2):
        outcome = simulate(lambda: program(SimulatedSurroundings()), seed=7, strategy=RandomWalk)
        if outcome.error is not None:
            raise outcome.error
        assert outcome.leaked == ()
        hashes.add(outcome.trace_hash)
    assert len(hashes) == 1


async def cut_off(w: World, other: Caller, how: str, *, tcp: bool) -> None:
    """One caller is cut off while another waits: over TCP only the one, over a Unix socket both."""
    w.add("rpc.CreateVolume.before{vol=held}: hang(gate)")
    w.add(f"rpc.CreateVolume.before{{vol=cut}}: 1*disconnect({how})")
    held = asyncio.ensure_future(other.ask(other.controller.CreateVolume, create("held")))
    await until(w.plane.barriers.waiting)
    assert await w.first.code(w.first.controller.CreateVolume, create("cut")) is UNAVAILABLE
    if tcp:
        w.plane.barriers.release("gate")
    assert (await held)[0] is (OK if tcp else UNAVAILABLE)
    await w.first.retried(w.first.controller.CreateVolume, create("next"))
    w.plane.reset()
    assert "cut" not in w.datasets()


async def silenced(w: World, other: Caller, *, tcp: bool) -> None:
    """Silence until it is healed; over TCP for one caller alone."""
    w.add("rpc.CreateVolume.before{vol=cut}: 1*disconnect(blackhole)")
    await other.retried(other.controller.CreateVolume, create("first"))
    for name in ("cut", "after"):
        code = await w.first.code(w.first.controller.CreateVolume, create(name), timeout_s=PATIENCE_S)
        assert code is DEADLINE_EXCEEDED
    code = await other.code(other.controller.CreateVolume, create("other"), timeout_s=PATIENCE_S)
    assert code is (OK if tcp else DEADLINE_EXCEEDED)
    waiting = asyncio.ensure_future(w.first.code(w.first.controller.CreateVolume, create("lost")))
    await asyncio.sleep(0.05)
    w.plane.reset()
    assert await waiting is UNAVAILABLE
    assert (await w.first.retried(w.first.controller.CreateVolume, create("next"))).volume.volume_id == "next"
    assert set(w.datasets()) == ({"first", "next", "other"} if tcp else {"first", "next"})


TRANSPORT = pytest.mark.parametrize("tcp", [True, False], ids=["tcp", "unix"])
HOW = pytest.mark.parametrize("how", ["fin", "rst", "blackhole"])


async def cut_off_somehow(w: World, other: Caller, how: str, *, tcp: bool) -> None:
    w.callers.append(other)
    if how == "blackhole":
        await silenced(w, other, tcp=tcp)
    else:
        await cut_off(w, other, how, tcp=tcp)


@pytest.mark.parametrize(("how", "tcp"), [("fin", True), ("rst", True), ("blackhole", True), ("fin", False)])
async def test_callers_are_cut_off_on_real_sockets(tmp_path: Path, how: str, tcp: bool) -> None:
    async with world(tmp_path, tcp=tcp) as w:
        await cut_off_somehow(w, Caller(w.cluster.endpoint.target), how, tcp=tcp)


@TRANSPORT
@HOW
def test_callers_are_cut_off_in_simulation_as_on_sockets(how: str, tcp: bool) -> None:
    async def program(surroundings: SimulatedSurroundings) -> None:
        async with world(NODE, tcp=tcp, surroundings=surroundings) as w:
            await cut_off_somehow(w, Caller(w.cluster.endpoint.target, surroundings), how, tcp=tcp)

    twice(program)


def test_silence_ends_with_the_process_that_keeps_it() -> None:
    async def program(surroundings: SimulatedSurroundings) -> None:
        async with world(NODE, surroundings=surroundings) as w:
            w.add("rpc.CreateVolume.before: 1*disconnect(blackhole)")
            waiting = asyncio.ensure_future(w.first.code(w.first.controller.CreateVolume, create("v"), timeout_s=60))
            await asyncio.sleep(1)
            await w.cluster.crash("driver")
            assert await waiting is UNAVAILABLE
            await w.life("x")

    twice(program)


@pytest.mark.parametrize("what", ["driver", "nas", "node", "reboot"])
def test_every_process_crashes_and_comes_back_on_what_was_durable(what: str) -> None:
    async def program(surroundings: SimulatedSurroundings) -> None:
        async with world(NODE, surroundings=surroundings) as w:
            staged = await w.staged()
            await w.first.retried(w.first.node.NodeStageVolume, staged)
            await w.host.content.write(staged.staging_target_path, "data", b"kept")
            life = asyncio.ensure_future(w.life("busy"))
            await asyncio.sleep(0)
            crash = asyncio.ensure_future(w.cluster.crash(what, down_s=2))
            await asyncio.sleep(1)
            found = w.host.content.read(staged.staging_target_path, "data")
            if what == "nas":
                with pytest.raises(TimeoutError):
                    await found
            else:
                assert await found == (None if what == "reboot" else b"kept")
            await asyncio.gather(crash, life)
            assert ("staging-pvc-1" in w.mounted()) == (what != "reboot")
            await w.first.retried(w.first.node.NodeStageVolume, staged)
            assert await w.host.content.read(staged.staging_target_path, "data") == b"kept"
            assert await w.second.code(w.second.node.NodeGetInfo, csi.NodeGetInfoRequest()) is OK

    twice(program)


@pytest.mark.parametrize(
    "site", ["nas.pool.dataset.create.apply", "mount.mount.after", "rpc.NodeStageVolume.after", "process.driver"]
)
def test_a_rule_crashes_its_process_at_a_point(site: str) -> None:
    action = "crash(nas, 1s)" if site.startswith("nas") else "crash(driver, 1s)"

    async def program(surroundings: SimulatedSurroundings) -> None:
        async with world(NODE, f"{site}: 1*{action}", surroundings=surroundings) as w:
            await w.life("v")
            await w.cluster.recovered()
            assert w.plane.rules[0].fired == 1

    twice(program)


@pytest.mark.parametrize(
    "rule",
    [
        "link.down: +5 1*disconnect(fin)",
        "link.up: +5 1*disconnect(rst)",
        "link.down: t[0s,90s) disconnect(half)",
        "link.up: t[0s,90s) disconnect(blackhole)",
        "link.down: +5 1*disconnect(1011)",
        "link.up: +5 2*disconnect(rst, 1s)",
        "link.down: 20%3*drop",
        "link.down: 20%3*corrupt",
        "link.down: 20%3*truncate(7)",
        "link.up: delay(1ms..1s)",
        "link.down: throttle(64KiB/s)",
        "link.up: slice(16B, 10ms)",
        "link.down: limit(32KiB)",
        "connect.nas: 3*error(ECONNREFUSED)",
    ],
)
def test_a_link_may_be_as_bad_as_can_be(rule: str) -> None:
    async def program(surroundings: SimulatedSurroundings) -> None:
        async with world(NODE, surroundings=surroundings) as w:
            w.add(rule)
            if rule.startswith("connect"):
                w.cluster.nas_server.kill()
            life = asyncio.ensure_future(w.life("v"))
            await asyncio.sleep(15)
            fired = w.plane.rules[0].fired
            w.plane.reset()
            await life
            assert fired

    twice(program)
