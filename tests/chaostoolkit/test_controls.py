"""The control by itself; tests/examples runs it inside of an experiment."""

from typing import Any

import pytest

from csisim.chaostoolkit import actions, controls

pytestmark = pytest.mark.xdist_group("chaostoolkit")


def test_the_journal_gets_the_seed_and_what_fired_since_the_start(here: dict[str, Any], volumes: Any) -> None:
    actions.add_fault("rpc.DeleteVolume.before: error(UNAVAILABLE)", "earlier", configuration=here)
    volumes.code_of_delete("pvc-none")
    actions.remove_fault("earlier", configuration=here)
    controls.before_experiment_control({}, configuration=here)
    actions.add_fault("rpc.DeleteVolume.before: error(UNAVAILABLE)", "during", configuration=here)
    volumes.code_of_delete("pvc-none")
    volumes.code_of_delete("pvc-none")
    actions.reset(configuration=here)
    journal: dict[str, Any] = {"status": "completed"}
    controls.after_experiment_control({}, journal, configuration=here)
    noted = journal["csisim"]
    assert (noted["seed"], noted["driver"]) == (7, "csi.csisim.dev")
    assert noted["fired"] == {"during": 2}
    assert [firing["ordinal"] for firing in noted["firings"]] == [1, 2]
    assert journal["status"] == "completed"
