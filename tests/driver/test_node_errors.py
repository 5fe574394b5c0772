"""The table from errno to CSI code."""

# tests look at the real disk

import errno

import pytest

from csisim import errors
from csisim.driver.node_errors import ERRNO_TABLE, csi_error, system_call


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOENT, errors.NotFound),
        (errno.EBUSY, errors.Aborted),
        (errno.ENOTEMPTY, errors.FailedPrecondition),
        (errno.EROFS, errors.FailedPrecondition),
        (errno.ENOSPC, errors.ResourceExhausted),
        (errno.EDQUOT, errors.ResourceExhausted),
        (errno.EACCES, errors.PermissionDenied),
        (errno.ENAMETOOLONG, errors.InvalidArgument),
        (errno.EIO, errors.Unavailable),
        (errno.ESTALE, errors.Unavailable),
        (errno.ETIMEDOUT, errors.Unavailable),
        (errno.ECONNREFUSED, errors.Unavailable),
        (errno.ENODEV, errors.Unavailable),
        (9999, errors.Unavailable),
    ],
)
def test_errno_decides_the_code(number: int, kind: type[errors.CsiError]) -> None:
    with pytest.raises(kind) as caught, system_call("mount", "/staging"):
        raise OSError(number, "password=hunter2", "/elsewhere")
    assert str(caught.value).startswith("mount /staging: ")
    assert errno.errorcode.get(number, "9999") in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_no_errno_says_that_nothing_is_running() -> None:
    kinds = {type(csi_error(OSError(number, ""), "mount", "/x")) for number in errno.errorcode}
    assert errors.Internal not in kinds
    assert {kind for kind, _ in ERRNO_TABLE.values()} <= kinds


def test_errors_without_errno_are_told_apart() -> None:
    assert isinstance(csi_error(TimeoutError(), "mount", "/x"), errors.DeadlineExceeded)
    assert "ConnectionError" in str(csi_error(ConnectionError(), "mount", "/x"))


def test_other_exceptions_pass_through() -> None:
    with pytest.raises(KeyError), system_call("mount", "/x"):
        raise KeyError("bug")
