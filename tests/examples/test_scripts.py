"""The scripts, as a reader would run them against a running driver."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from csisim.control.client import FaultClient

pytestmark = pytest.mark.xdist_group("examples")
FOLDER = Path(__file__).parent.parent.parent / "examples"


def run(surroundings: dict[str, str], *command: str) -> str:
    done = subprocess.run(  # noqa: S603 - the example that a reader would run
        command, env=surroundings, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl on this machine")
def test_the_shell_script_drives_faults_and_heals(surroundings: dict[str, str]) -> None:
    parts: dict[str, Any] = {}
    for part in run(surroundings, "sh", str(FOLDER / "faults.sh")).split("--- ")[1:]:
        title, _, answers = part.partition("\n")
        parts[title] = answers.splitlines()
    added, refused, changed, seen = parts.values()
    assert [rule["name"] for rule in json.loads(added[0])] == ["busy", "lost"]
    assert json.loads(refused[0])["column"] == 21
    assert refused[-1] == "(refused)"
    assert json.loads(changed[0])["rule"] == "mount.umount{vol=pvc-7*}: error(EBUSY)"
    assert json.loads(seen[0]) == {"connections": 1}
    assert [site["name"] for site in json.loads(seen[2])] == ["mount.umount"]
    with FaultClient(surroundings["CSISIM_CONTROL"]) as faults:
        assert faults.rules() == []


def test_the_python_script_gets_its_volume_at_the_third_attempt(surroundings: dict[str, str]) -> None:
    assert run(surroundings, sys.executable, str(FOLDER / "faults.py")).splitlines() == [
        "attempt 1: UNAVAILABLE: injected by lost answer",
        "attempt 2: UNAVAILABLE: injected by lost answer",
        "attempt 3: pvc-example",
        "fired: 2",
        "on the NAS: ['dataset tank/csi/pvc-example', 'nfs share /mnt/tank/csi/pvc-example']",
        "after DeleteVolume: []",
    ]
