"""Write the table of a hunt into a document: what stands between two lines, which are comments in Markdown.

csisim mutants hunt --against fifo --against real --out results/hunt.json
csisim mutants hunt --races --against patient --no-shrink --out results/patient.json
python tools/hunt_table.py results/hunt.json results/patient.json README.md

Of the later hunts it takes what the first one lacks: other ways to search.
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
    "real, in haste: schedules", "CPU ms", "ms by the clock", "times longer", "real, patient: schedules",
    "ms by the clock", "times longer",
)  # fmt: skip
_WANTED = 50
_STRESS = {
    "patient": "the stress test that waits as the simulated runs do",
    "real": "the one in haste",
}


def table(found: list[dict[str, Any]]) -> str:
    """The table, and what it comes to.

    Args:
        found: what `csisim mutants hunt --json` prints.
    """
    rule = "|---" * len(_COLUMNS) + "|"
    return "\n".join([f"| {' | '.join(_COLUMNS)} |", rule, *map(_row, found), "", *_sums(found)])


def _row(each: dict[str, Any]) -> str:
    fifo, real, patient = (each["against"].get(name) for name in ("fifo", "real", "patient"))
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
        _mean(patient, "schedules_mean", "runs", 1),
        _mean(patient, "wall_ms_mean", "wall_ms"),
        _times(patient),
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
    return f"{'' if real['hits'] else 'over '}{_number(real['times_longer'])}"


def _number(times: float) -> str:
    """Not rounded up to what is asked for."""
    return f"{times:.1f}" if abs(times - _WANTED) < 1 else f"{times:,.0f}"


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
    races = [each for each in found if each["race"]]
    compared = [text for name, words in _STRESS.items() if (text := _sooner(races, name, words))]
    if compared:
        lines.append(
            f"\\* Does harm only where two things go on at a time. Of these {len(races)} the simulation finds "
            f"{'; '.join(compared)}."
        )
    return lines


def _sooner(races: list[dict[str, Any]], name: str, words: str) -> str:
    """How much sooner than by another way; where that found nothing, at least so much."""
    times = sorted(each["against"][name]["times_longer"] or 0.0 for each in races if name in each["against"])
    if not times:
        return ""
    sooner = sum(each >= _WANTED for each in times)
    return (
        f"{sooner} at least {_WANTED} times sooner than {words} (the median is {_number(statistics.median(times))} "
        f"times, the least {_number(times[0])})"
    )


def merged(hunts: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """The rows of the first hunt, with the other ways that the later ones have searched.

    How many times longer those take is counted by the first one's processor time too, beside which it stands.
    """
    first, *later = hunts
    rows = {each["name"]: {**each, "against": dict(each["against"])} for each in first}
    for each in (each for hunt in later for each in hunt):
        row = rows[each["name"]]
        share = each["cpu_ms_mean"] / row["cpu_ms_mean"] if each["cpu_ms_mean"] and row["cpu_ms_mean"] else 1.0
        for name, way in each["against"].items():
            times = way["times_longer"]
            row["against"][name] = {**way, "times_longer": None if times is None else round(share * times, 2)}
    return list(rows.values())


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


def main(*files: str) -> None:
    """Read all but the last, which is written."""
    *results, document = map(Path, files)
    found = merged([json.loads(each.read_text()) for each in results])
    document.write_text(written(document.read_text(), table(found)))


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
