import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from csisim import __version__
from csisim.cli.main import app, main


@pytest.mark.parametrize("args", [["--version"], ["serve", "--version"]])
def test_the_version_is_told(args):
    assert CliRunner().invoke(app, args).stdout == f"csisim {__version__}\n"


def test_help_lists_the_commands_and_loads_nothing_heavy():
    code = "import sys; from csisim.cli import main; sys.argv = ['csisim', '--help']\n"
    code += "try: main.main()\nfinally: print(sorted({'grpc', 'websockets', 'sqlite3'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)  # noqa: S603

    assert found.returncode == 0
    assert "serve" in found.stdout
    assert "demo" in found.stdout
    assert found.stdout.splitlines()[-1] == "[]"


def test_an_unknown_command_is_a_usage_error(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["csisim", "make-coffee"])
    with Path(os.devnull).open("w") as nowhere:
        monkeypatch.setattr("sys.stdout", nowhere)  # which has a descriptor, as a process has it
        with pytest.raises(SystemExit) as ended:
            main()

    assert ended.value.code == 2
    assert "make-coffee" in capsys.readouterr().err


def test_help_of_serve_shows_every_flag_with_its_other_spelling():
    text = CliRunner().invoke(app, ["serve", "--help"]).stdout

    for flag in (
        "--endpoint",
        "--nodeid",
        "--drivername",
        "--maxvolumespernode",
        "--attach-limit",
        "--statedir",
        "--v ",
    ):
        assert flag in text
