"""Which daemons run."""

from fake_truenas import Nas, services


def test_what_is_stopped_does_not_run(nas: Nas) -> None:
    assert services.running(nas.db, "nvmet")
    assert not services.running(nas.db, "ftp")
    nas.call_direct("service.stop", "nvmet")
    assert not services.running(nas.db, "nvmet")


def test_a_service_that_there_is_not_does_not_run(nas: Nas) -> None:
    assert not services.running(nas.db, "nope")
