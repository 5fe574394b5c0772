"""Traces and pickled exceptions of error replies."""

import base64
import pickle
import pickletools

import pytest

from fake_truenas.errors import ApiError, CallError, Unexpected, invalid
from fake_truenas.traces import trace


def raised(error: ApiError, value: str = "hunter2") -> ApiError:
    """The error as it is after it went through a frame that knows a secret."""
    try:
        raise error
    except ApiError as caught:
        return caught


def test_a_trace_tells_class_frames_text_and_repr() -> None:
    found = trace(raised(CallError("no", 5)))
    assert (found["class"], found["repr"]) == ("CallError", "CallError('no')")
    (frame,) = found["frames"]
    assert frame["filename"] == "tests/fake_truenas/test_traces.py"
    assert (frame["method"], frame["line"], frame["argspec"]) == ("raised", "raise error", ["error", "value"])
    assert found["formatted"].startswith(
        'Traceback (most recent call last):\n  File "tests/fake_truenas/test_traces.py", line '
    )
    assert found["formatted"].endswith("in raised\n    raise error\nCallError: no\n")


def test_a_trace_shows_no_values() -> None:
    assert "hunter2" not in repr(trace(raised(CallError("no", 5))))


def test_an_exception_that_was_never_raised_has_no_frames() -> None:
    assert trace(CallError("no"))["frames"] == []
    assert trace(CallError("no"))["formatted"] == "CallError: no\n"


def loaded(error: ApiError) -> BaseException:
    data = error.data(py_exceptions=True)
    assert data is not None
    raw = base64.b64decode(data["py_exception"])
    modules = {argument.split()[0] for op, argument, _ in pickletools.genops(raw) if op.name == "GLOBAL"}
    strings = [argument for op, argument, _ in pickletools.genops(raw) if "UNICODE" in op.name]
    assert not modules
    assert strings[0] == "builtins"
    result = pickle.loads(raw)  # noqa: S301 - made a line above
    assert isinstance(result, BaseException)
    return result


def test_a_pickled_exception_is_one_of_pythons_own() -> None:
    missing = loaded(CallError("gone", 2))
    assert (type(missing), missing.errno, missing.strerror) == (FileNotFoundError, 2, "[ENOENT] gone")  # type: ignore[attr-defined]
    assert repr(loaded(invalid("a.b", "is wrong"))) == repr(ValueError("[EINVAL] a.b: is wrong\n"))
    assert repr(loaded(Unexpected(ZeroDivisionError("by zero")))) == repr(ZeroDivisionError("by zero"))
    with pytest.raises(UnicodeDecodeError) as caught:
        b"\xff".decode()
    assert isinstance(loaded(Unexpected(caught.value)), RuntimeError)


def test_nobody_gets_one_unasked_and_not_authenticated_never_has_one() -> None:
    for error in (CallError("no"), invalid("a", "is wrong"), Unexpected(KeyError("x"))):
        data = error.data()
        assert data is not None
        assert "py_exception" not in data
    assert "py_exception" not in CallError("Not authenticated", 207).data(py_exceptions=True)
