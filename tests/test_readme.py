"""The documents hold: commands exist, links resolve, named tests exist, and the marked examples run."""

import ast
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from csisim.cli.main import app
from csisim.mutants.registry import NAMES
from tests.support import processes

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
README = (ROOT / "README.md").read_text()
EXAMPLE = re.compile(r"<!-- run: (\w+) -->\n```python\n(.*?)```", re.DOTALL)
EXAMPLES = dict(EXAMPLE.findall(README))
DEFECTS = ["0", "1", "2", "4", *(f"BUG-00{n}" for n in range(1, 6)), *(f"PERF-00{n}" for n in range(1, 7)),
           *(f"OTHER-00{n}" for n in range(1, 6))]  # fmt: skip


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))


def linked(path: Path) -> list[str]:
    """Targets of all links that lead into the project."""
    return [link for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text()) if not link.startswith("https://")]


def headings(path: Path) -> set[str]:
    """Anchors as they are made from headings."""
    titles = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def defect_rows() -> list[list[str]]:
    """The cells of each row of the defects' table."""
    table = README.partition("## The defects it started from")[2].partition("\n## ")[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line.startswith("|")
    ]
    return rows[2:]


def serve_command() -> Any:
    """`csisim serve` as it is parsed."""
    from csisim.cli.main import app

    group: Any = typer.main.get_command(app)
    return group.commands["serve"]


def run_example(name: str, tmp_path: Path, **environment: str) -> str:
    script = tmp_path / f"{name}.py"
    script.write_text(EXAMPLES[name])
    done = subprocess.run(  # noqa: S603 - the example that a reader would run
        [sys.executable, str(script)],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_two_commands_come_first() -> None:
    start = README[:1500]
    assert "    make run " in start
    assert "    make test " in start


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_make_targets_named_in_documents_exist(path: Path) -> None:
    named = set(re.findall(r"(?:`|^    )make ([a-z-]+)", path.read_text(), re.MULTILINE))
    assert named - make_targets() == set()


def test_every_make_target_is_phony_and_described() -> None:
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert phony is not None
    assert set(phony[1].split()) == make_targets()
    assert {"run", "test", "check", "protos", "bench"} <= make_targets()


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_into_the_project_resolve(path: Path) -> None:
    for link in linked(path):
        target, _, anchor = link.partition("#")
        found = (path.parent / target).resolve() if target else path
        assert found.exists(), link
        if anchor:
            assert anchor in headings(found), link


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_documents_name_no_place_on_a_machine(path: Path) -> None:
    found = re.findall(r"(?<![\w.])/(?:home|root|work|Users|mnt/c)/\S*|\.local/", path.read_text())
    assert found == []


def test_files_and_directories_named_in_contributing_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    named = re.findall(r"`((?:tests|docs|protos|csisim|benchmarks)/[\w./]+|\.ci/run|[\w-]+\.(?:txt|toml))`", text)
    assert len(named) > 5
    for name in named:
        assert (ROOT / name).exists(), name


def test_ci_runs_the_commands_of_the_readme_and_is_executable() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    scenarios = ".venv/bin/csisim scenarios run --all"
    campaigns = [scenarios, f"{scenarios} --wrong", ".venv/bin/csisim explore --seeds 0:100"]
    commands = re.findall(r"^step \d+[ms] (.+)$", script.read_text(), re.MULTILINE)
    assert commands == ["make check", "make test", "make run", "make run", *campaigns]


def test_ci_is_bounded_below_fifteen_minutes() -> None:
    limits = re.findall(r"^step (\d+)([ms]) ", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    assert sum(int(number) * {"m": 60, "s": 1}[unit] for number, unit in limits) < 15 * 60


def test_flags_described_are_flags_of_the_command() -> None:
    options = [option.opts for option in serve_command().params]
    table = (ROOT / "docs" / "driver.md").read_text().partition("## Flags")[2].partition("\n## ")[0]
    described = set(re.findall(r"`(--?[a-z][\w-]*)", table))
    assert described - {spelling for option in options for spelling in option} == set()
    assert {option[0] for option in options if not described & set(option)} <= {"--version", "--seed"}


def test_every_defect_has_a_row_and_a_truthful_state() -> None:
    rows = defect_rows()
    assert sorted(row[0] for row in rows) == sorted(DEFECTS)
    for number, *_, test, mutant in rows:
        assert re.match(r"\[[^\]]+\]\(tests/|not yet$", test), number
        assert set(mutant.split(", ")) <= set(NAMES), number


def test_tests_named_for_defects_exist() -> None:
    for number, *_, test, _mutant in defect_rows():
        for name, path in re.findall(r"\[`?([\w]+)`?\]\((tests/[^)]+)\)", test):
            functions = [node.name for node in ast.walk(ast.parse((ROOT / path).read_text())) if hasattr(node, "name")]
            assert name in functions, f"{number}: {path} has no {name}"


def test_driver_example_runs(tmp_path: Path) -> None:
    driver = processes.driver(tmp_path).start()
    try:
        output = run_example("driver", tmp_path, CSI_ENDPOINT=f"unix://{tmp_path / 'csi.sock'}")
        assert "pvc-readme with 2147483648 bytes" in output
    finally:
        driver.stop()


def test_nas_example_runs(tmp_path: Path) -> None:
    port = processes.free_port()
    nas = processes.nas(tmp_path, port).start()
    try:
        url = f"ws://127.0.0.1:{port}/api/current"
        output = run_example("nas", tmp_path, FAKE_TRUENAS_URL=url, FAKE_TRUENAS_API_KEY=processes.API_KEY)
        assert output == "[{'id': 'tank/readme@first'}]\n"
    finally:
        nas.stop()


def test_every_marked_example_is_run_here() -> None:
    assert EXAMPLES.keys() == {"driver", "nas"}


def test_the_run_that_the_readme_shows_to_fail_fails_as_it_says() -> None:
    (command,) = re.findall(r"^    \$ csisim (run .*--faults .*)$", README, re.MULTILINE)
    result = CliRunner().invoke(app, [*shlex.split(command), "--json"])
    assert result.exit_code == 1
    found = {each["check"] for each in json.loads(result.stdout)["violations"]}
    assert found == {"I6"}
