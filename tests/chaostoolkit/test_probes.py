"""Probes against a real driver: each is seen to hold, and to fail when it should."""

from typing import Any

import pytest

from csisim.chaostoolkit import actions, probes
from csisim.chaostoolkit.connection import URL
from csisim.control.client import FaultClient
from tests.support.processes import free_port

pytestmark = pytest.mark.xdist_group("chaostoolkit")


def test_the_control_server_is_up_or_it_is_not(here: dict[str, Any]) -> None:
    assert probes.control_is_up(configuration=here)
    assert not probes.control_is_up(configuration={URL: f"http://127.0.0.1:{free_port()}"})


def test_fired_faults_are_counted_by_rule_and_by_site(here: dict[str, Any], volumes: Any) -> None:
    before = probes.faults_fired(site="rpc.DeleteVolume.*", configuration=here)
    actions.add_fault("rpc.DeleteVolume.before: 2*error(UNAVAILABLE)", "counted", configuration=here)
    for _ in range(3):
        volumes.code_of_delete("pvc-none")
    actions.remove_fault("counted", configuration=here)
    assert probes.faults_fired("counted", configuration=here) == 2
    assert probes.faults_fired("counted", site="mount.*", configuration=here) == 0
    assert probes.faults_fired("another", configuration=here) == 0
    assert probes.faults_fired(site="rpc.DeleteVolume.*", configuration=here) == before + 2


def test_what_is_left_on_the_nas_is_a_leak(here: dict[str, Any], volumes: Any) -> None:
    assert probes.nothing_leaked(configuration=here)
    volumes.create("pvc-left")
    assert not probes.nothing_leaked(configuration=here)
    assert probes.leftovers(configuration=here) == ["dataset tank/csi/pvc-left", "nfs share /mnt/tank/csi/pvc-left"]
    volumes.delete("pvc-left")
    assert probes.nothing_leaked(configuration=here)


def test_a_deletion_that_was_answered_and_not_done_is_inconsistent(
    here: dict[str, Any], volumes: Any, caplog: pytest.LogCaptureFixture
) -> None:
    volumes.create("pvc-lie")
    assert probes.volumes_consistent(configuration=here)
    actions.add_fault("nas.pool.dataset.delete.apply: lie(ok)", configuration=here)
    assert volumes.code_of_delete("pvc-lie") == "OK"
    assert not probes.volumes_consistent(configuration=here)
    assert "dataset pvc-lie was deleted, and is still there" in caplog.text
    actions.reset(configuration=here)
    volumes.delete("pvc-lie")
    assert probes.volumes_consistent(configuration=here)


def test_events_are_read_over_as_many_pages_as_there_are(here: dict[str, Any], volumes: Any) -> None:
    for _ in range(3):
        volumes.delete("pvc-none")

    class Paged(FaultClient):
        def events(self, **more: Any) -> Any:
            return super().events(**more | {"limit": 2})

    with FaultClient(here[URL]) as whole, Paged(here[URL]) as paged:
        events = probes.all_events(whole, "rpc")
        assert len(events) >= 6
        assert probes.all_events(paged, "rpc") == events
        assert probes.all_events(paged, "rpc", since=events[-3]["seq"]) == events[-2:]
