"""What faults cost as a table, and whether that keeps the bars."""

from dataclasses import asdict
from typing import Any

from benchmarks.fault_measure import FaultResults
from benchmarks.report import table, with_range


def as_json(results: FaultResults) -> dict[str, Any]:
    """Everything, with the bars."""
    document = asdict(results)
    document["results"] = [{**asdict(each), "met": each.met} for each in results.results]
    return document


def as_text(results: FaultResults) -> str:
    """One table; `median (low to high)` over the turns."""
    rows = [("no plane", with_range(results.bare_per_s, 0), "", "", "", "")]
    rows += [
        (
            each.name,
            with_range(each.per_s, 0),
            with_range(each.ratio, 3),
            f"{each.cpu_ratio:.3f}",
            f">= {1 - each.most:.2f}",
            "met" if each.met else "NOT MET",
        )
        for each in results.results
    ]
    header = ("driver and NAS in one process", "pairs/s", "ratio", "CPU ratio", "bar for the ratio", "")
    return table("CreateVolume + DeleteVolume with a fault plane", header, rows)
