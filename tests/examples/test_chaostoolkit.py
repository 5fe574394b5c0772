"""The experiment, run by the toolkit on a running driver: it holds, and it does not hold where something leaks."""

import json
from pathlib import Path
from typing import Any

import pytest
from chaoslib.experiment import ensure_experiment_is_valid, run_experiment

from csisim.control.client import FaultClient

pytestmark = pytest.mark.xdist_group("examples")
FOLDER = Path(__file__).parent.parent.parent / "examples" / "chaostoolkit"


@pytest.fixture
def experiment(monkeypatch: pytest.MonkeyPatch, surroundings: dict[str, str]) -> dict[str, Any]:
    for key in ("CSISIM_CONTROL", "CSI_ENDPOINT"):
        monkeypatch.setenv(key, surroundings[key])
    monkeypatch.syspath_prepend(FOLDER)
    found: dict[str, Any] = json.loads((FOLDER / "unmount-busy.json").read_text())
    ensure_experiment_is_valid(found)
    return found


def test_the_experiment_is_completed_and_its_journal_tells_what_fired(experiment: dict[str, Any]) -> None:
    journal = run_experiment(experiment)
    assert (journal["status"], journal["deviated"]) == ("completed", False)
    done = {run["activity"]["name"]: run for run in [*journal["run"], *journal["rollbacks"]]}
    assert {run["status"] for run in done.values()} == {"succeeded"}
    assert done["cut-off-the-nas"]["output"] == 1
    assert done["unmounts-were-busy"]["output"] == 4
    noted = journal["csisim"]
    assert noted["seed"] == 7
    assert noted["fired"] == {"lost-answer": 1, "busy": 4}
    assert {firing["vol"] for firing in noted["firings"]} == {"pvc-chaos", "pvc-chaos-2"}
    with FaultClient() as faults:
        assert faults.rules() == []


def test_the_experiment_deviates_where_a_delete_was_not_done(experiment: dict[str, Any]) -> None:
    lie = experiment["method"][0]["provider"]["arguments"]
    lie["rule"] = "nas.pool.dataset.delete.apply: lie(ok)"
    experiment["method"] = [
        step for step in experiment["method"] if step["name"] in {"unmounts-are-busy", "a-life-of-a-volume"}
    ]
    experiment["method"][1]["provider"]["arguments"]["name"] = "pvc-left"
    journal = run_experiment(experiment)
    assert journal["deviated"]
    failed = [
        probe["activity"]["name"] for probe in journal["steady_states"]["after"]["probes"] if not probe["tolerance_met"]
    ]
    assert failed[0] in {"volumes-consistent", "nothing-leaked"}
    with FaultClient() as faults:
        assert "dataset tank/csi/pvc-left" in faults.leftovers()
