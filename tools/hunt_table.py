"""Write the table of a hunt into a document: what stands between two lines, which are comments in Markdown.

csisim mutants hunt --against fifo --against real --out results/hunt.json
python tools/hunt_table.py results/hunt.json README.md
"""

import json
import statistics
import sys
from pathlib import Path
from typing import Any

BEGIN = "<!-- hunt: tools/hunt_table.py writes what follows -->"
END = "<!-- hunt: end -->"
_COLUMNS = (
    "mutant", "found", "schedules", "CPU ms", "hit rate (95 %)", "deviations", "replayed", "FIFO: schedules", "CPU ms",
    "real: schedules", "CPU ms", "ms by the clock", "times longer",
)  # fmt: skip
_WANTED = 50


def table(found: list[dict[str, Any]]) -> str:
    """The table, and what it comes to.

    Args:
        found: what `csisim mutants hunt --json` prints.
    """
    rule = "|---" * len(_COLUMNS) + "|"
    return "\n".join([f"| {' | '.join(_COLUMNS)} |", rule, *map(_row, found), "", *_sums(found)])


def _row(each: dict[str, Any]) -> str:
    fifo, real = (each["against"].get(name) for name in ("fifo", "real"))
    cells = [
        each["name"] + ("\\*" if each["race"] else ""),
        f"{each['hits']}/{each['campaigns']}",
        _mean(each, "schedules_mean", "runs", 1),
        _mean(each, "cpu_ms_mean", "cpu_ms"),
        f"{_share(each['hit_rate'])} ({_share(each['hit_rate_low'])} to {_share(each['hit_rate_high'])})",
        "-" if each["deviations"] is None else str(each["deviations"]),
        "-" if each["replayed"] is None else f"{each['replayed']:.0%} of {each['replays']}",
        _mean(fifo, "schedules_mean", "runs", 1),
        _mean(fifo, "cpu_ms_mean", "cpu_ms"),
        _mean(real, "schedules_mean", "runs", 1),
        _mean(real, "cpu_ms_mean", "cpu_ms"),
        _mean(real, "wall_ms_mean", "wall_ms"),
        _times(real),
    ]
    return f"| {' | '.join(cells)} |"


def _mean(of: dict[str, Any] | None, mean: str, spent: str, digits: int = 0) -> str:
    """What one hit took; where there was none, what was spent on it."""
    if of is None:
        return "-"
    return f"over {of[spent]:,.0f}" if of[mean] is None else f"{of[mean]:,.{digits}f}"


def _share(share: float) -> str:
    return f"{share:.2%}" if share < 0.1 else f"{share:.0%}"


def _times(real: dict[str, Any] | None) -> str:
    if real is None or real["times_longer"] is None:
        return "-"
    return f"{'' if real['hits'] else 'over '}{real['times_longer']:,.0f}"


def _sums(found: list[dict[str, Any]]) -> list[str]:
    all_of, shrunk = sum(each["found"] for each in found), sum(each["shrunk"] for each in found)
    most = max((each["deviations"] or 0 for each in found), default=0)
    cpu_s = sum(each["cpu_ms"] for each in found) / 1000
    first = (
        f"{all_of} of {len(found)} were found in each of their campaigns, by {sum(each['runs'] for each in found):,} "
        f"schedules in {cpu_s:,.0f} s of processor time. {shrunk} hits, the smallest of each, were shrunk, to at most "
        f"{most} {'deviation' if most == 1 else 'deviations'}."
    )
    lines = [first]
    times = sorted(
        each["against"]["real"]["times_longer"] or 0.0 for each in found if each["race"] and "real" in each["against"]
    )
    if times:
        sooner = sum(each >= _WANTED for each in times)
        lines.append(
            f"\\* Does harm only where two things go on at a time. Of these {len(times)} the simulation finds {sooner} "
            f"at least {_WANTED} times sooner than the stress test does; the median is {statistics.median(times):,.0f} "
            f"times, the least {times[0]:,.0f}."
        )
    return lines


def written(document: str, text: str) -> str:
    """The document with the text in its place.

    Raises:
        ValueError: it has no place for it.
    """
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the document has no place for the table: two lines, {BEGIN!r} and {END!r}")
    return f"{before}{begin}\n\n{text}\n\n{end}{after}"


def main(results: str, document: str) -> None:
    """Read one, write the other."""
    path = Path(document)
    path.write_text(written(path.read_text(), table(json.loads(Path(results).read_text()))))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
