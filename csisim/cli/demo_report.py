"""The demo's verdict as data, as a table for people, and as one JSON object for programs."""

import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from grpc import StatusCode
from rich.console import Console
from rich.table import Table

from csisim.cli.demo_faults import Injection
from csisim.co.callers import Attempt


@dataclass(frozen=True, slots=True)
class RpcRow:
    """All calls of one RPC; latencies in milliseconds, repeated attempts counted each."""

    rpc: str
    calls: int
    p50_ms: float
    p95_ms: float
    max_ms: float
    codes: dict[str, int]


@dataclass(frozen=True, slots=True)
class Seen:
    """One kind of injected fault, and the codes that callers got from calls which it hit."""

    what: str
    times: int
    calls_in_flight: int
    codes: dict[str, int]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must hold; `detail` says what was found instead."""

    name: str
    ok: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of one run.

    Attributes:
        seed: repeats the workload's choices.
        volumes: how many volumes were created.
        duration_s: from first call to last.
        rpcs: by name.
        injected: what was broken, and what callers saw of it.
        checks: all that must hold.
        leaks: what was left.
    """

    seed: int
    volumes: int
    duration_s: float
    rpcs: tuple[RpcRow, ...]
    injected: tuple[Seen, ...]
    checks: tuple[Check, ...]
    leaks: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether everything holds."""
        return all(check.ok for check in self.checks)

    def to_json(self) -> str:
        """One object on one line."""
        return json.dumps({"ok": self.ok, **asdict(self)})


def rpc_rows(attempts: Iterable[Attempt]) -> tuple[RpcRow, ...]:
    """Counts and latencies per RPC, by name."""
    by_rpc: dict[str, list[Attempt]] = {}
    for attempt in attempts:
        by_rpc.setdefault(attempt.rpc, []).append(attempt)
    rows = []
    for rpc, mine in sorted(by_rpc.items()):
        latencies_ms = sorted(attempt.latency_s * 1000 for attempt in mine)
        codes = Counter(attempt.code.name for attempt in mine)
        rows.append(
            RpcRow(
                rpc,
                len(mine),
                percentile(latencies_ms, 50),
                percentile(latencies_ms, 95),
                round(latencies_ms[-1], 3),
                dict(sorted(codes.items())),
            )
        )
    return tuple(rows)


def percentile(ordered: Sequence[float], percent: int) -> float:
    """The smallest value that so many percent do not exceed (nearest rank)."""
    return round(ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)], 3)


def seen_of(injections: Iterable[Injection], attempts: Sequence[Attempt]) -> tuple[Seen, ...]:
    """What callers saw of each kind of fault: the codes of calls that were running when it struck."""
    kinds: dict[str, list[Injection]] = {}
    for injection in injections:
        kinds.setdefault(injection.what, []).append(injection)
    found = []
    for what, mine in kinds.items():
        hit: dict[int, Attempt] = {}
        for injection in mine:
            for attempt in attempts:
                running = attempt.started_s <= injection.at_s <= attempt.ended_s
                if running and injection.subject in ("", attempt.subject):
                    hit[id(attempt)] = attempt
        codes = Counter(attempt.code.name for attempt in hit.values())
        in_flight = max(injection.in_flight for injection in mine)
        found.append(Seen(what, len(mine), in_flight, dict(sorted(codes.items()))))
    return tuple(found)


def print_verdict(verdict: Verdict, console: Console) -> None:
    """For people: calls, faults, checks, and the last line says how it went."""
    table = Table(
        title=f"{sum(row.calls for row in verdict.rpcs)} calls", title_justify="left", box=None, pad_edge=False
    )
    for name in ("RPC", "calls", "p50 ms", "p95 ms", "max ms"):
        table.add_column(name, justify="left" if name == "RPC" else "right", no_wrap=True)
    table.add_column("codes", overflow="fold")
    for row in verdict.rpcs:
        times = (f"{value:.1f}" for value in (row.p50_ms, row.p95_ms, row.max_ms))
        table.add_row(row.rpc, str(row.calls), *times, _codes(row.codes))
    console.print(table)
    for seen in verdict.injected:
        crowd = f", up to {seen.calls_in_flight} NAS calls in flight" if seen.calls_in_flight else ""
        console.print(
            f"injected: {seen.what} x{seen.times}{crowd}; calls that it hit ended with {_codes(seen.codes) or '-'}",
            highlight=False, markup=False, soft_wrap=True,
        )  # fmt: skip
    for check in verdict.checks:
        mark = "ok  " if check.ok else "FAIL"
        detail = f": {check.detail}" if check.detail else ""
        console.print(f"{mark} {check.name}{detail}", highlight=False, markup=False, soft_wrap=True)
    word = "PASSED" if verdict.ok else "FAILED"
    console.print(
        f"{word}: {verdict.volumes} volumes in {verdict.duration_s:.1f} s, seed {verdict.seed}",
        highlight=False, markup=False, soft_wrap=True,
    )  # fmt: skip


def _codes(codes: dict[str, int]) -> str:
    names = sorted(codes, key=lambda name: (name != StatusCode.OK.name, name))
    return ", ".join(f"{name} {codes[name]}" for name in names)
