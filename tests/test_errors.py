"""The error types: every code of the specification has one, and texts can be searched."""

from grpc import StatusCode

from csisim.errors import CsiError, InjectedStatus, NasIndeterminate, NasRefused, NasTimeout


def test_each_error_has_a_code_of_its_own():
    codes = [kind.code for kind in CsiError.__subclasses__() if kind is not InjectedStatus]

    assert len(set(codes)) == len(codes) == 13
    assert StatusCode.OK not in codes


def test_a_refusal_is_searched_without_regard_to_case():
    error = NasRefused("pool.dataset.create", "Dataset Already Exists", code=-32001, errno=14)

    assert error.mentions("missing", "already exists")
    assert not error.mentions("missing")


def test_a_timeout_is_indeterminate():
    error = NasTimeout("core.ping", "no answer", sent=True)

    assert isinstance(error, NasIndeterminate)
    assert str(error) == "core.ping: no answer"
