"""service.*: behaviour and refusals."""

import pytest

from fake_truenas.errors import CallError


def state(box, name: str) -> str:
    return box("service.query", [["service", "=", name]], {"get": True})["state"]


@pytest.mark.parametrize("name", ["nfs", "iscsitarget", "nvmet", "cifs"])
def test_share_services_run_on_a_set_up_box(box, name):
    entry = box("service.query", [["service", "=", name]], {"get": True})
    assert (entry["state"], entry["enable"], len(entry["pids"])) == ("RUNNING", True, 1)
    assert box("service.get_instance", entry["id"]) == entry


async def test_control_is_a_job_whose_result_tells_the_outcome(box):
    assert await box.nas.call("service.control", "STOP", "nfs", {"ha_propagate": False}) is True
    assert state(box, "nfs") == "STOPPED"
    assert await box.nas.call("service.control", "RELOAD", "nfs") is False
    assert await box.nas.call("service.control", "START", "nfs") is True
    before = box("service.query", [["service", "=", "nfs"]], {"get": True})["pids"]
    assert await box.nas.call("service.control", "RESTART", "nfs") is True
    assert box("service.query", [["service", "=", "nfs"]], {"get": True})["pids"] != before
    jobs = box.nas.jobs.entries()
    assert [(job["method"], job["state"], job["result"]) for job in jobs] == [
        ("service.control", "SUCCESS", result) for result in (True, False, True, True)
    ]


async def test_a_missing_service_fails_the_job(box):
    with pytest.raises(CallError, match=r"^nope$"):
        await box.nas.call("service.control", "START", "nope")
    assert box.nas.jobs.entries()[0]["state"] == "FAILED"


def test_the_older_calls_answer_at_once(box):
    events = box.listen()
    assert box("service.stop", "nvmet") is True
    assert box("service.started", "nvmet") is False
    assert box("service.reload", "nvmet") is False
    assert box("service.start", "nvmet", {"silent": False}) is True
    assert box("service.restart", "nvmet") is True
    assert box("service.reload", "nvmet") is True
    assert [fields["state"] for _, _, _, fields in events] == ["STOPPED", "STOPPED", "RUNNING", "RUNNING", "RUNNING"]


def test_start_at_boot_is_set_by_id_or_name(box):
    number = box("service.update", "ssh", {"enable": False})
    assert box("service.get_instance", number)["enable"] is False
    assert box("service.update", number, {"enable": True}) == number
    assert box("service.started_or_enabled", "ftp") is False
    assert box("service.update", "ftp", {"enable": True}) == box("service.query", [["service", "=", "ftp"]])[0]["id"]
    assert box("service.started_or_enabled", "ftp") is True


def test_unknown_services_are_not_found(box):
    assert box.failed("service.update", "nope", {"enable": True}) == (2, "[ENOENT] Service nope not found.")
    for method in ("start", "started"):
        assert box.failed(f"service.{method}", "nope") == (22, "nope")
    assert box.failed("service.started_or_enabled", "nope") == (22, "")
    assert box.refused("service.get_instance", 99) == [(None, "Service 99 does not exist", 2)]
    assert box.refused("service.update", "nfs", {"enable": "yes"})[0][0] == "service_update.enable"


def test_a_daemon_that_cannot_reload_is_restarted(box):
    assert (box("service.reload", "snmp"), state(box, "snmp")) == (True, "RUNNING")


def test_states_can_be_left_out(box):
    options = {"extra": {"include_state": False}, "select": ["state", "pids"], "limit": 1}
    assert box("service.query", [], options) == [{"state": "UNKNOWN", "pids": []}]


@pytest.mark.parametrize(("daemon", "protocol"), [("iscsitarget", "iscsi"), ("nvmet", "nvmet")])
def test_a_stopped_daemon_serves_nobody(box, daemon, protocol):
    box("iscsi.target.create", {"name": "t", "groups": [{"portal": 1}]})
    box("nvmet.subsys.create", {"name": "s", "subnqn": "nqn.2014-08.org.x:1", "allow_any_host": True})
    name = {"iscsi": "iqn.2005-10.org.freenas.ctl:t", "nvmet": "nqn.2014-08.org.x:1"}[protocol]
    session = {"protocol": protocol, "name": name, "initiator": "iqn.1993-08.org:n1"}
    box("fake.block.connect", session)
    box("service.restart", daemon)
    assert len(box(f"{protocol}.global.sessions")) == 1
    box("service.stop", daemon)
    assert box(f"{protocol}.global.sessions") == []
    refused = (111, f"[ECONNREFUSED] Connection refused: service {daemon} is not running")
    assert box.failed("fake.block.connect", session) == refused
    box("service.start", daemon)
    assert box("fake.block.connect", session) > 1
