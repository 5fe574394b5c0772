"""What `csisim sweep` prints at the end."""

import json
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

from csisim.sweep.campaign import Sweep, by_site
from csisim.sweep.judge import Outcome
from csisim.sweep.world import Pace


def to_json(result: Sweep, duration_s: float) -> str:
    """One object on one line: what was asked for, sites, and every violation with the command that repeats it."""
    order = result.order
    shown: dict[str, Any] = {
        "ok": result.complete and not result.violations,
        "complete": result.complete,
        "protocols": order.protocols,
        "seed": order.seed,
        "duration_s": round(duration_s, 3),
        "cases": len(result.outcomes),
        "fired": result.fired,
        "pace": asdict(Pace()),
        "sites": [
            dict(zip(("site", "passes", "cases", "fired", "violations"), row, strict=True)) for row in by_site(result)
        ],
        "violations": [
            {
                "protocol": each.case.protocol,
                "story": each.case.story,
                "rule": each.case.rule,
                "command": each.case.command,
                "found": each.violations,
            }
            for each in result.violations
        ],
    }
    return json.dumps(shown)


def print_result(result: Sweep, duration_s: float, console: Console) -> None:
    """For people: sites, then violations; the last line says how it went."""
    table = Table(box=None, pad_edge=False)
    for name in ("site", "passes", "cases", "fired", "violations"):
        table.add_column(name, justify="left" if name == "site" else "right", no_wrap=True)
    for site, *counts in by_site(result):
        table.add_row(site, *map(str, counts))
    console.print(table, highlight=False)
    for each in result.violations:
        _print_violation(each, console)
    word = "FAILED" if result.violations else "PASSED" if result.complete else "INCOMPLETE"
    cases = f"{len(result.outcomes)}{'' if result.complete else f' of {result.known}'} cases"
    silent = len(result.outcomes) - result.fired
    console.print(
        f"{word}: {cases} over {', '.join(result.order.protocols)} in {duration_s:.1f} s, "
        f"{result.fired} faults fired{f', {silent} did not' if silent else ''}, {len(result.violations)} violations, "
        f"seed {result.order.seed}",
        highlight=False, markup=False, soft_wrap=True,
    )  # fmt: skip


def _print_violation(outcome: Outcome, console: Console) -> None:
    case = outcome.case
    lines = [f"VIOLATION {case.protocol} {case.story}: {case.rule}"]
    lines += [f"    {found}" for found in outcome.violations]
    lines.append(f"    repeat: {case.command}")
    console.print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)
