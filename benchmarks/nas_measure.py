"""The measurements of fake_truenas by itself: calls per second beside a bare websocket server, and figures at size."""

import itertools
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks import nas_population, nas_servers
from benchmarks.load import seconds, together
from benchmarks.measure import rotated, say
from benchmarks.nas_population import ROOT, volume_name
from benchmarks.nas_servers import Client, NasTarget
from benchmarks.statistics import Spread, median, quantile, ratios, spread

PAGE = 100
FEW = 2000  # so that a page of 100 follows any volume whose name begins with a digit below f
DRIVER_EXTRA = {
    "flat": True,
    "retrieve_children": False,
    "properties": [
        "used", "referenced", "available", "refquota", "volsize", "origin", "compression", "sync", "comments",
        "creation",
    ],
}  # fmt: skip
_READ_BYTES = 16 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class NasPlan:
    """How much to measure.

    Attributes:
        in_flight: calls under way at a time.
        rounds: how often each server gets its turn.
        round_s: length of one turn of calls.
        volumes: in the data directory that the figures at size are taken with.
        batch: calls per turn at size.
        starts: how often the NAS is started on it.
    """

    in_flight: tuple[int, ...] = (1, 16)
    rounds: int = 5
    round_s: float = 2.0
    volumes: int = 1_000_000
    batch: int = 200
    starts: int = 3


QUICK = NasPlan(rounds=2, round_s=0.3, volumes=10_000, batch=40, starts=1)


@dataclass(frozen=True, slots=True)
class CallsResult:
    """One method with so many calls in flight.

    Attributes:
        ratio: the NAS's calls/s over the bare server's, round by round.
        nas_cpu_ms, bare_cpu_ms: CPU time of the server per call; medians over the rounds.
    """

    method: str
    in_flight: int
    nas_per_s: Spread
    bare_per_s: Spread
    ratio: Spread
    nas_cpu_ms: float
    bare_cpu_ms: float


@dataclass(frozen=True, slots=True)
class AtSize:
    """Milliseconds at the median of each turn, with many volumes and with few.

    Attributes:
        ratio: many over few, turn by turn.
        slowest_ms: the slowest call of all turns, with many.
    """

    what: str
    many_ms: Spread
    few_ms: Spread
    ratio: Spread
    slowest_ms: float


@dataclass(frozen=True, slots=True)
class SizeResult:
    """A data directory with very many volumes.

    Attributes:
        built_s: how long making it took; None where it was there.
        start_s: from the start of the process to the first connection.
        peak_bytes: the most memory the NAS had resident after all else; the mapped part of the file counts.
    """

    volumes: int
    few: int
    file_bytes: int
    built_s: float | None
    start_s: Spread
    calls: Sequence[AtSize]
    peak_bytes: int


@dataclass(frozen=True, slots=True)
class NasResults:
    """What was measured; empty or None where it was left out."""

    plan: NasPlan
    calls: Sequence[CallsResult]
    size: SizeResult | None


Calls = Callable[[Client], Awaitable[Any]]
"""Makes one call; gets a fresh name or a random volume by itself."""


def page_filters(name: str) -> list[Any]:
    """The page by key that follows a dataset."""
    return [["id", ">", name]]


async def measure_calls(work: Path, plan: NasPlan) -> list[CallsResult]:
    """Each method on the NAS and on the bare server in turn, at each number of calls in flight."""
    results = []
    async with AsyncExitStack() as stack:
        nas = await stack.enter_async_context(nas_servers.nas(work, "nas"))
        bare = await stack.enter_async_context(nas_servers.bare(work))
        await nas.client.call("pool.dataset.create", {"name": ROOT})
        for index in range(nas_population.KINDS):
            for method, params in nas_population.calls_for(index):
                await nas.client.call(method, *params)
        for method, call in _methods().items():
            for in_flight in plan.in_flight:
                say(f"{method} with {in_flight} in flight")
                results.append(await _measure_method(plan, nas, bare, method, call, in_flight))
            await _delete_new(nas.client)
    return results


def _methods() -> dict[str, Calls]:
    serial = itertools.count()
    names = itertools.cycle([f"{ROOT}/{volume_name(index)}" for index in range(nas_population.KINDS)])
    return {
        "core.ping": lambda client: client.call("core.ping"),
        "pool.dataset.query by id": lambda client: query_by_id(client, next(names)),
        "pool.dataset.create": lambda client: create(client, f"{ROOT}/new-{next(serial)}"),
    }


async def query_by_id(client: Client, name: str) -> None:
    """As the driver asks for one dataset."""
    await client.call("pool.dataset.query", [["id", "=", name]], {"extra": DRIVER_EXTRA})


async def create(client: Client, name: str) -> None:
    """A file system with the driver's twelve user properties."""
    pairs = [{"key": key, "value": value} for key, value in nas_population.properties(0).items()]
    await client.call("pool.dataset.create", {"name": name, "refquota": 1 << 30, "user_properties": pairs})


async def _delete_new(client: Client) -> None:
    """Delete what `create` made, in pages."""
    while names := [row["id"] for row in await client.result("pool.dataset.query", *_new_ones())]:
        for name in names:
            await client.call("pool.dataset.delete", name)


def _new_ones() -> tuple[list[Any], dict[str, Any]]:
    extra = {"properties": [], "retrieve_children": False, "retrieve_user_props": False}
    return [["id", "^", f"{ROOT}/new-"]], {"order_by": ["id"], "limit": 1000, "select": ["id"], "extra": extra}


async def _measure_method(
    plan: NasPlan, nas: NasTarget, bare: NasTarget, method: str, call: Calls, in_flight: int
) -> CallsResult:
    targets = {"nas": nas, "bare": bare}
    per_s: dict[str, list[float]] = {name: [] for name in targets}
    cpu_ms: dict[str, list[float]] = {name: [] for name in targets}
    for turn in range(-1, plan.rounds):  # the first turn warms up
        for name in rotated(tuple(targets), turn):
            rate, cpu = await _turn(targets[name], call, in_flight, plan.round_s)
            if turn >= 0:
                per_s[name].append(rate)
                cpu_ms[name].append(cpu)
    return CallsResult(
        method, in_flight, spread(per_s["nas"]), spread(per_s["bare"]), ratios(per_s["nas"], per_s["bare"]),
        median(cpu_ms["nas"]), median(cpu_ms["bare"]),
    )  # fmt: skip


async def _turn(target: NasTarget, call: Calls, in_flight: int, duration_s: float) -> tuple[float, float]:
    """Calls per second, and CPU milliseconds of the server per call."""
    before, begins = target.usage(), perf_counter()
    done = 0

    async def lane() -> None:
        nonlocal done
        while perf_counter() - begins < duration_s:
            await call(target.client)
            done += 1

    await together([lane() for _ in range(in_flight)])
    elapsed_s = perf_counter() - begins
    return done / elapsed_s, 1000 * (target.usage().cpu_s - before.cpu_s) / done


async def measure_size(work: Path, cache: Path, plan: NasPlan) -> SizeResult:
    """Start a NAS on very many volumes, and compare what calls take there with what they take among few."""
    say(f"making {plan.volumes:,} volumes, if they are not there")
    begins = perf_counter()
    directory, made = nas_population.ensure(cache, plan.volumes)
    built_s = perf_counter() - begins if made else None
    few_directory, _ = nas_population.ensure(cache, FEW)
    read_through(directory / "nas.sqlite")
    starts = []
    for _ in range(plan.starts):
        async with nas_servers.nas(work, "start", directory) as target:
            await target.client.call("core.ping")
            starts.append(target.started_s)
    async with AsyncExitStack() as stack:
        many = await stack.enter_async_context(nas_servers.nas(work, "many", directory))
        few = await stack.enter_async_context(nas_servers.nas(work, "few", few_directory))
        calls = [await _compare(plan, what, call, many, few) for what, call in _calls_at_size().items()]
        for target in (many, few):
            await _delete_new(target.client)
        peak_bytes = many.usage().peak_bytes
    file_bytes = (directory / "nas.sqlite").stat().st_size
    return SizeResult(plan.volumes, FEW, file_bytes, built_s, spread(starts), calls, peak_bytes)


def read_through(path: Path) -> None:
    """Read a file once: what comes from the disk for the first time says something about the disk."""
    with path.open("rb") as file:
        while file.read(_READ_BYTES):
            pass


def _calls_at_size() -> dict[str, Callable[[Client, str], Awaitable[Any]]]:
    serial = itertools.count()
    options = {"order_by": ["id"], "limit": PAGE}
    below = ["id", "^", f"{ROOT}/"]
    return {
        "query by id, every property": lambda client, name: client.call("pool.dataset.query", [["id", "=", name]]),
        "query by id, as the driver asks": query_by_id,
        "page of 100 by key, every property": lambda client, name: client.call(
            "pool.dataset.query", page_filters(name), options
        ),
        "page of 100 by key, as the driver asks": lambda client, name: client.call(
            "pool.dataset.query", [*page_filters(name), below], options | {"extra": DRIVER_EXTRA}
        ),
        "share by path": lambda client, name: client.call("sharing.nfs.query", [["path", "=", f"/mnt/{name}"]]),
        "create": lambda client, name: create(client, f"{ROOT}/new-{next(serial)}{name[-6:]}"),
    }


async def _compare(
    plan: NasPlan, what: str, call: Callable[[Client, str], Awaitable[Any]], many: NasTarget, few: NasTarget
) -> AtSize:
    say(f"{what}, among {plan.volumes:,}")
    targets = {"many": (many, plan.volumes), "few": (few, FEW)}
    taken: dict[str, list[float]] = {name: [] for name in targets}
    slowest_s = 0.0
    for turn in range(-1, plan.rounds):
        for name in rotated(tuple(targets), turn):
            target, volumes = targets[name]
            each = [await seconds(call(target.client, one)) for one in random_names(volumes, plan.batch, turn)]
            if turn >= 0:
                taken[name].append(1000 * quantile(each, 0.5))
                slowest_s = max([slowest_s, *each]) if name == "many" else slowest_s
    return AtSize(
        what, spread(taken["many"]), spread(taken["few"]), ratios(taken["many"], taken["few"]), 1000 * slowest_s
    )


def random_names(volumes: int, count: int, seed: int) -> list[str]:
    """Names of volumes from all over, each with a page of others after it."""
    rng = random.Random(seed)
    names: list[str] = []
    while len(names) < count:
        name = volume_name(rng.randrange(volumes))
        if name < "pvc-f":
            names.append(f"{ROOT}/{name}")
    return names
