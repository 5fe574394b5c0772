"""The table of a hunt in a document."""

import json
from pathlib import Path
from typing import Any

import pytest

from tools.hunt_table import BEGIN, END, main, merged, table, written


def way(hits: int, runs: int, wall_ms: float) -> dict[str, Any]:
    mean = runs / hits if hits else None
    return {"found": hits == 2, "campaigns": 2, "hits": hits, "schedules_mean": mean, "runs": runs,
            "cpu_ms_mean": 10 * mean if mean else None, "cpu_ms": 10.0 * runs, "wall_ms": wall_ms,
            "wall_ms_mean": wall_ms / hits if hits else None, "hit_rate": hits / runs, "hit_rate_low": 0.01,
            "hit_rate_high": 0.5}  # fmt: skip


def mutant(name: str, times: float | None, hits: int = 2, *, race: bool = True) -> dict[str, Any]:
    own = {"name": name, "race": race, "deviations": 1, "shrunk": 2, "replays": 4, "replayed": 1.0, **way(2, 20, 250.0)}
    against = {"fifo": way(2, 40, 500.0), "real": way(hits, 30, 60_000.0) | {"times_longer": times}}
    return own | {"against": against if times else {}}


def cells(line: str) -> list[str]:
    return [each.strip() for each in line.strip("|").split("|")]


def test_a_row_has_what_each_way_took_and_a_race_is_marked() -> None:
    head, rule, one, other, never, _, sums, races = table(
        [mutant("M-A", 60.4), mutant("M-B", None, race=False), mutant("M-C", 49.7, hits=0)]
    ).splitlines()
    assert len({len(cells(line)) for line in (head, rule, one, other, never)}) == 1
    assert cells(one) == ["M-A\\*", "2/2", "10.0", "100", "10% (1.00% to 50%)", "1", "100% of 4", "20.0", "200", "15.0",
                          "150", "30,000", "60", "-", "-", "-"]  # fmt: skip
    assert cells(other)[0] == "M-B"
    assert cells(other)[7:] == ["-"] * 9
    assert cells(never)[9:] == ["over 30", "over 300", "over 60,000", "over 49.7", "-", "-", "-"]
    assert sums.startswith(
        "3 of 3 were found in each of their campaigns, by 60 schedules in 1 s of processor time. 6 hits"
    )
    assert "Of these 2 the simulation finds 1 at least 50 times sooner than the one in haste" in races
    assert races.endswith("the least 49.7).")


def test_what_a_later_hunt_has_tried_stands_beside_the_first_one() -> None:
    later = mutant("M-A", None) | {"against": {"patient": way(1, 3, 90_000.0) | {"times_longer": 450.0}},
                                         "cpu_ms_mean": 200.0}  # fmt: skip
    *rows, _, _, races = table(merged([[mutant("M-A", 60.4), mutant("M-B", 2.0)], [later]])).splitlines()
    assert [cells(row)[9:] for row in rows[2:]] == [
        ["15.0", "150", "30,000", "60", "3.0", "90,000", "900"],
        ["15.0", "150", "30,000", "2", "-", "-", "-"],
    ]
    patient, real = races.split(";")
    assert patient.endswith("1 at least 50 times sooner than the stress test that waits as the simulated runs do"
                            " (the median is 900 times, the least 900)")  # fmt: skip
    assert real.startswith(" 1 at least 50 times sooner than the one in haste (the median is 31 times")


def test_only_what_is_between_the_two_lines_is_written_and_written_again(tmp_path: Path) -> None:
    results, document = tmp_path / "hunt.json", tmp_path / "README.md"
    results.write_text(json.dumps([mutant("M-A", 60.0)]))
    document.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    main(str(results), str(document))
    first = document.read_text()
    assert first.startswith(f"before\n{BEGIN}\n\n| mutant |")
    assert first.endswith(f"\n\n{END}\nafter\n")
    assert "old" not in first
    main(str(results), str(document))
    assert document.read_text() == first


def test_a_document_without_a_place_for_it_is_refused() -> None:
    with pytest.raises(ValueError, match="no place for the table"):
        written("text", "table")
