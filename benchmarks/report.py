"""Results as text for people and as JSON for tools."""

import importlib.metadata
import os
import platform
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.measure import Compared, LevelResult, PairsResult, Plan, memory_growth
from benchmarks.statistics import Spread

_PACKAGES = ("csisim", "grpcio", "protobuf", "websockets", "orjson", "uvloop")
_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Results:
    """All that one run measured.

    Attributes:
        date: day of the run, ISO 8601.
        pairs, levels: empty where they were left out.
    """

    date: str
    plan: Plan
    pairs: Sequence[PairsResult]
    levels: Sequence[LevelResult]


def machine() -> dict[str, Any]:
    """What the numbers depend on, besides the code."""
    versions = {name: importlib.metadata.version(name) for name in _PACKAGES}
    versions |= {"python": platform.python_version(), "sqlite": sqlite3.sqlite_version}
    return {"cores": len(os.sched_getaffinity(0)), "system": f"{platform.system()} {platform.machine()}", **versions}


def as_json(results: Results) -> dict[str, Any]:
    """Everything, with the ratios that are the claims."""
    document: dict[str, Any] = {"machine": machine(), **asdict(results)}
    if len(results.levels) > 1:
        document["memory_bytes_per_10000_volumes"] = memory_growth(results.levels)
    return document


def as_text(results: Results) -> str:
    """Tables, one per measurement; `median (low to high)` over the rounds."""
    parts = [", ".join(f"{name} {value}" for name, value in machine().items()), f"date {results.date}"]
    if results.pairs:
        parts.append(_pairs_table(results.pairs))
    for title, pick in (("CreateVolume", "create"), ("ListVolumes, first page of 100", "first_page")):
        if rows := [(level, getattr(level, pick)) for level in results.levels if getattr(level, pick)]:
            parts.append(_level_table(title, rows))
    if deep := [(f"{level.volumes:,}", _ms(level.last_page_ms)) for level in results.levels if level.last_page_ms]:
        parts.append(table("ListVolumes, last full page of 100", ("volumes", "p50 ms"), deep))
    if results.levels:
        parts.append(_memory_table(results.levels))
    return "\n\n".join(parts)


def table(title: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns aligned to the right, under a title."""
    lines = [tuple(header), *(tuple(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    ruled = [lines[0], tuple("-" * width for width in widths), *lines[1:]]
    body = ["  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in ruled]
    return "\n".join([title, *(f"  {line}" for line in body)])


def _pairs_table(pairs: Sequence[PairsResult]) -> str:
    header = ("at a time", "csisim pairs/s", "bare pairs/s", "ratio", "driver ms/RPC", "NAS ms/RPC", "bare ms/RPC")
    rows = [
        (
            str(each.concurrency),
            with_range(each.csisim_per_s, 0),
            with_range(each.bare_per_s, 0),
            with_range(each.ratio, 2),
            *(f"{each.cpu_ms_per_rpc[role]:.2f}" for role in ("driver", "nas", "bare")),
        )
        for each in pairs
    ]
    return table("CreateVolume + DeleteVolume, and CPU time of the servers", header, rows)


def _level_table(title: str, rows: Sequence[tuple[LevelResult, Compared]]) -> str:
    few = f"{rows[0][0].volumes:,}"
    header = ("volumes", "p50 ms", f"p50 ms with {few}", "ratio", "bare p50 ms")
    return table(
        title,
        header,
        [
            (f"{level.volumes:,}", _ms(each.many_ms), _ms(each.few_ms), with_range(each.ratio, 2), _ms(each.bare_ms))
            for level, each in rows
        ],
    )


def _memory_table(levels: Sequence[LevelResult]) -> str:
    roles = tuple(levels[0].peak_bytes)
    rows = [
        (f"{level.volumes:,}", f"{level.populated_per_s:,.0f}", *(f"{level.peak_bytes[r] / _MIB:,.0f}" for r in roles))
        for level in levels
    ]
    if len(levels) > 1:
        growth = memory_growth(levels)
        rows.append(("per 10,000", "", *(f"{growth[role] / _MIB:,.1f}" for role in roles)))
    return table("Peak memory", ("volumes", "created/s", *(f"{role} MiB" for role in roles)), rows)


def _ms(value: Spread | None) -> str:
    return "" if value is None else with_range(value, 2)


def with_range(value: Spread, digits: int) -> str:
    """`median (low to high)`."""
    return f"{value.median:,.{digits}f} ({value.low:,.{digits}f} to {value.high:,.{digits}f})"
