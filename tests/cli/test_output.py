"""Standard output that takes nothing."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from csisim.cli.output import CUT, LOST, NotWritten, watched


def write_to(stream, work: Callable[[], None], monkeypatch) -> object:
    """The exit status of a command that does this work, with such a standard output; 0 where it came to its end."""
    monkeypatch.setattr("sys.stdout", stream)
    try:
        with watched("csisim"):
            work()
    except SystemExit as ended:
        return ended.code
    finally:
        assert sys.stdout is stream
        monkeypatch.undo()
    return 0


def test_what_is_written_arrives(tmp_path: Path, monkeypatch):
    with (tmp_path / "out").open("w") as stream:
        assert write_to(stream, lambda: typer.echo("grüße"), monkeypatch) == 0
    assert (tmp_path / "out").read_text() == "grüße\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this machine has no /dev/full")
@pytest.mark.parametrize(
    "work", [lambda: typer.echo("a"), lambda: sys.stdout.write("a"), lambda: sys.stdout.write("a" * 100_000)]
)
def test_a_full_disk_ends_the_command_and_is_told_once(work, monkeypatch, capsys):
    with Path("/dev/full").open("w") as stream:
        assert write_to(stream, work, monkeypatch) == LOST
    assert capsys.readouterr().err == "csisim: standard output could not be written: No space left on device\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this machine has no /dev/full")
def test_it_is_told_whatever_a_command_makes_of_the_failure(monkeypatch, capsys):
    def swallowed() -> None:
        with pytest.raises(NotWritten):
            typer.echo("a")
        typer.echo("b")
        raise SystemExit(1)

    with Path("/dev/full").open("w") as stream:
        assert write_to(stream, swallowed, monkeypatch) == LOST
    assert capsys.readouterr().err.count("\n") == 1


def test_a_reader_that_has_gone_is_no_news(monkeypatch, capsys):
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        assert write_to(stream, lambda: typer.echo("a"), monkeypatch) == CUT
    assert capsys.readouterr().err == ""


def test_an_error_of_the_command_stays_one(tmp_path: Path, monkeypatch):
    def wrong() -> None:
        raise SystemExit(2)

    with (tmp_path / "out").open("w") as stream:
        assert write_to(stream, wrong, monkeypatch) == 2


def test_a_command_without_a_standard_output_says_that_it_has_none():
    command = f"exec {sys.executable} -m csisim.cli.main --version >&-"
    found = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, timeout=60, check=False)  # noqa: S603
    assert (found.returncode, found.stderr) == (
        LOST, "csisim: standard output could not be written: Bad file descriptor\n",
    )  # fmt: skip


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this machine has no /dev/full")
@pytest.mark.parametrize(("out", "status"), [("/dev/null", 2), ("/dev/full", LOST)])
def test_what_cannot_be_told_on_standard_error_does_not_decide(out: str, status: int, monkeypatch):
    def wrong() -> None:
        typer.echo("no such flag", err=True)
        sys.stderr.write("x" * 100_000)
        typer.echo("a")
        raise SystemExit(2)

    with Path(out).open("w") as stream, Path("/dev/full").open("w") as full:
        monkeypatch.setattr("sys.stderr", full)
        assert write_to(stream, wrong, monkeypatch) == status


def test_what_is_told_on_standard_error_arrives_and_a_missing_one_leads_nowhere():
    work = "print(sys.stderr.isatty(), os.fstat(2).st_rdev == os.stat(os.devnull).st_rdev, file=sys.stderr)"
    script = f"import os, sys\nfrom csisim.cli.output import watched\nwith watched('csisim'):\n {work}\n print('a')\n"
    for end, told in (("", "False False\n"), (" 2>&-", "")):
        command = ["/bin/sh", "-c", f'exec "$0" -c "$1"{end}', sys.executable, script]
        found = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603
        assert (found.returncode, found.stdout, found.stderr) == (0, "a\n", told)
