"""`csisim check`."""

import json
from pathlib import Path

from typer.testing import CliRunner, Result

from csisim.check.history import dump
from csisim.cli.main import app
from tests.support.told import Told


def check(file: Path, *flags: str) -> Result:
    return CliRunner().invoke(app, ["check", str(file), *flags])


def written(path: Path, told: Told) -> Path:
    file = path / "history.jsonl"
    file.write_text("".join(dump(told.events)), encoding="utf-8")
    return file


def bad() -> Told:
    told = Told()
    told.create()
    told.attach(node="node-1")
    told.attach(node="node-2")
    return told


def test_a_history_that_holds(tmp_path: Path) -> None:
    told = Told()
    told.create()
    told.delete()
    result = check(written(tmp_path, told))
    assert result.exit_code == 0, result.output
    assert "I4               ok         never came near it" in result.output
    assert "I15              ok         no --secrets were given" in result.output
    assert result.output.endswith("4 events, 0 violations; races and termination are judged by csisim run alone\n")


def test_a_violation_is_told_with_its_rule_and_events(tmp_path: Path) -> None:
    result = check(written(tmp_path, bad()), "--only", "I4")
    assert result.exit_code == 1
    assert "I4: Volume v was published on node-2" in result.output
    assert "A single-node volume is never writable from two nodes at one time." in result.output
    assert "events 3, 4, 5, 6" in result.output


def test_json_is_one_object(tmp_path: Path) -> None:
    result = check(written(tmp_path, bad()), "--json")
    shown = json.loads(result.output)
    assert result.exit_code == 1
    assert (shown["verdict"], shown["invariants"]["I4"], shown["invariants"]["I1"]) == ("violation", "violation", "ok")
    assert "I4" in {found["check"] for found in shown["violations"]}


def test_secrets_come_from_a_file_and_are_not_told(tmp_path: Path) -> None:
    told = Told()
    told.create("canary-4711")
    secrets = tmp_path / "secrets"
    secrets.write_text("canary-4711\n\n", encoding="utf-8")
    file = written(tmp_path, told)
    result = check(file, "--only", "I15", "--secrets", str(secrets))
    assert result.exit_code == 1
    assert "showed secret 1" in result.output
    assert "canary-4711" not in result.output
    secrets.write_bytes(b"canary\xff")
    assert check(file, "--secrets", str(secrets)).exit_code == 2


def test_a_file_that_is_no_history_is_a_usage_error(tmp_path: Path) -> None:
    file = tmp_path / "history.jsonl"
    assert "No such file" in check(file).output
    for content, reason in ((b"", "no events in it"), (b"{}\n", "line 1: seq: None"), (b"\xff", "is not UTF-8")):
        file.write_bytes(content)
        result = check(file)
        assert result.exit_code == 2, result.output
        assert reason in " ".join(result.output.replace("│", " ").split())
    told = Told()
    told.create()
    assert check(written(tmp_path, told), "--only", "I99").exit_code == 2


def test_a_value_of_another_form_is_a_wrong_use_and_no_traceback(tmp_path: Path) -> None:
    told = Told()
    told.create()
    file = written(tmp_path, told)
    lines = file.read_text().splitlines()
    row = json.loads(lines[0])
    row["value"]["capacity_range"] = 7
    file.write_text("\n".join(["", json.dumps(row), *lines[1:]]))
    result = check(file)
    assert result.exit_code == 2
    assert (
        f"line 2 (seq 1, {row['kind']} CreateVolume): value.capacity_range: 7 is not an object: it has another form than"
        " docs/history.md gives"
    ) in " ".join(result.output.split())
