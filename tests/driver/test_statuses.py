"""Which status an error becomes, and that passing trouble is never INTERNAL."""

import errno

import pytest
from grpc import StatusCode

from csisim.driver.statuses import status_of
from csisim.errors import Aborted, NasIndeterminate, NasRefused, NasTimeout, NotFound


def refused(code=-32001, number=errno.EFAULT, reason="[EFAULT] no"):
    return NasRefused("pool.dataset.create", reason, code=code, errno=number)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (NotFound("volume x"), StatusCode.NOT_FOUND),
        (Aborted("busy"), StatusCode.ABORTED),
        (NasTimeout("m", "late", sent=True), StatusCode.DEADLINE_EXCEEDED),
        (NasTimeout("m", "late", sent=False), StatusCode.UNAVAILABLE),
        (NasIndeterminate("m", "cut", sent=True), StatusCode.UNAVAILABLE),
        (refused(), StatusCode.INTERNAL),
        (refused(number=errno.EBUSY), StatusCode.UNAVAILABLE),
        (refused(reason="cannot create: out of space"), StatusCode.RESOURCE_EXHAUSTED),
        (refused(code=-32602, number=errno.EINVAL), StatusCode.INVALID_ARGUMENT),
        (refused(code=-32602, number=errno.ENOENT), StatusCode.ABORTED),
        (ZeroDivisionError(), StatusCode.INTERNAL),
    ],
)
def test_each_error_has_its_status(error, expected):
    assert status_of(error)[0] is expected


def test_a_defect_keeps_its_text_to_the_log():
    assert "hunter2" not in status_of(ValueError("hunter2"))[1]
