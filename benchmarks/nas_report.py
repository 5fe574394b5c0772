"""What was measured of fake_truenas as tables, and which bars it keeps."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.nas_measure import CallsResult, NasResults, SizeResult
from benchmarks.report import table, with_range

_MIB = 1 << 20
_GIB = 1 << 30
BARRED_VOLUMES = 1_000_000


@dataclass(frozen=True, slots=True)
class Bar:
    """A figure and what it must stay below.

    Attributes:
        figure, limit: in `unit`.
        volumes: the bars are set for a million; with fewer, keeping one says little.
    """

    what: str
    figure: float
    limit: float
    unit: str
    volumes: int

    @property
    def met(self) -> bool:
        """Whether the figure keeps the bar."""
        return self.figure < self.limit


_LIMITS_MS = (("query by id", 2.0), ("page of 100", 5.0))


def bars(size: SizeResult) -> list[Bar]:
    """All bars with their figures: medians over the turns, and the peak of memory."""
    found = [Bar("start", size.start_s.median, 5.0, "s", size.volumes)]
    for each in size.calls:
        found += [
            Bar(each.what, each.many_ms.median, limit, "ms", size.volumes)
            for prefix, limit in _LIMITS_MS
            if each.what.startswith(prefix)
        ]
    return [*found, Bar("resident memory", size.peak_bytes / _GIB, 1.5, "GiB", size.volumes)]


def as_json(results: NasResults) -> dict[str, Any]:
    """Everything, with the bars."""
    document: dict[str, Any] = asdict(results)
    if results.size is not None:
        document["bars"] = [{**asdict(bar), "met": bar.met} for bar in bars(results.size)]
    return document


def as_text(results: NasResults) -> str:
    """Tables, one per measurement; `median (low to high)` over the rounds."""
    parts = []
    if results.calls:
        parts.append(_calls_table(results.calls))
    if results.size is not None:
        parts += [_size_table(results.size), _about(results.size), _bars_table(bars(results.size))]
    return "\n\n".join(parts)


def _calls_table(calls: Sequence[CallsResult]) -> str:
    header = ("method", "in flight", "NAS calls/s", "bare calls/s", "ratio", "NAS ms/call", "bare ms/call")
    rows = [
        (
            each.method,
            str(each.in_flight),
            with_range(each.nas_per_s, 0),
            with_range(each.bare_per_s, 0),
            with_range(each.ratio, 2),
            f"{each.nas_cpu_ms:.3f}",
            f"{each.bare_cpu_ms:.3f}",
        )
        for each in calls
    ]
    return table("fake_truenas beside a bare websocket server, and CPU time of the servers", header, rows)


def _size_table(size: SizeResult) -> str:
    rows = [
        (
            each.what,
            with_range(each.many_ms, 2),
            f"{each.slowest_ms:.1f}",
            with_range(each.few_ms, 2),
            with_range(each.ratio, 2),
        )
        for each in size.calls
    ]
    header = (f"among {size.volumes:,}", "p50 ms", "slowest ms", f"p50 ms with {size.few:,}", "ratio")
    return table(f"fake_truenas with {size.volumes:,} datasets", header, rows)


def _about(size: SizeResult) -> str:
    built = "kept from before" if size.built_s is None else f"made in {size.built_s:.0f} s"
    return f"data directory of {size.file_bytes / _MIB:,.0f} MiB, {built}; start {with_range(size.start_s, 2)} s"


def _bars_table(found: Sequence[Bar]) -> str:
    title = "Bars"
    if found[0].volumes < BARRED_VOLUMES:
        title += f" (set for {BARRED_VOLUMES:,}; this was {found[0].volumes:,})"
    rows = [
        (bar.what, f"{bar.figure:.2f} {bar.unit}", f"< {bar.limit:g} {bar.unit}", "met" if bar.met else "NOT MET")
        for bar in found
    ]
    return table(title, ("figure", "is", "bar", ""), rows)
