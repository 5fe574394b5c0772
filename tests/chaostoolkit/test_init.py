"""What the toolkit finds in the extension."""

import subprocess
import sys

import pytest
from chaoslib.discovery import discover as toolkit_discover

from csisim import discover
from csisim.chaostoolkit import actions, probes


def test_every_activity_is_declared_with_its_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CSISIM_CONTROL", raising=False)
    found = discover()
    by_name = {activity["name"]: activity for activity in found["activities"]}
    assert found["extension"]["name"] == "csisim"
    assert sorted(by_name) == sorted([*actions.__all__, *probes.__all__])
    assert {activity["type"] for activity in found["activities"]} == {"action", "probe"}
    assert by_name["add_fault"]["mod"] == "csisim.chaostoolkit.actions"
    assert by_name["add_fault"]["arguments"][:2] == [
        {"name": "rule", "type": "string"},
        {"name": "name", "default": "", "type": "string"},
    ]
    assert by_name["faults_fired"]["return_type"] == "integer"
    assert all(activity["doc"] for activity in found["activities"])
    assert found["system"] is None


def test_the_toolkit_finds_it_by_the_name_of_the_distribution() -> None:
    found = toolkit_discover("csisim", discover_system=False, download_and_install=False)
    assert len(found["activities"]) == len(actions.__all__) + len(probes.__all__)


def test_the_extension_does_without_the_toolkit_until_it_is_discovered() -> None:
    code = (
        "import sys; sys.modules['chaoslib'] = None; import csisim.chaostoolkit.controls, csisim.chaostoolkit.actions"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)  # noqa: S603 - our own interpreter
