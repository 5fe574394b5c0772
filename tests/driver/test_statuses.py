"""Which status an error becomes, and that passing trouble is never INTERNAL."""

import errno

import pytest
from grpc import StatusCode

from csisim.driver.statuses import status_of
from csisim.errors import Aborted, NasIndeterminate, NasRefused, NasTimeout, NotFound


def refused(code=-32001, number=errno.EFAULT, reason="[EFAULT] no", attributes=()):
    details = [(each, "not valid", number) for each in attributes]
    return NasRefused("pool.dataset.create", reason, code=code, errno=number, details=details)


def invalid(*attributes, number=errno.EINVAL):
    return refused(code=-32602, number=number, reason="[EINVAL] not valid", attributes=attributes)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (NotFound("volume x"), StatusCode.NOT_FOUND),
        (Aborted("busy"), StatusCode.ABORTED),
        (NasTimeout("m", "late", sent=True), StatusCode.DEADLINE_EXCEEDED),
        (NasTimeout("m", "no time left to send it", sent=False), StatusCode.DEADLINE_EXCEEDED),
        (NasTimeout("m", "16 calls are in flight, and none ended", sent=False), StatusCode.DEADLINE_EXCEEDED),
        (NasIndeterminate("m", "NAS unreachable at nas:80: connecting", sent=False), StatusCode.UNAVAILABLE),
        (NasIndeterminate("m", "cut", sent=True), StatusCode.UNAVAILABLE),
        (refused(), StatusCode.INTERNAL),
        (refused(number=errno.EBUSY), StatusCode.UNAVAILABLE),
        (refused(reason="cannot create: out of space"), StatusCode.RESOURCE_EXHAUSTED),
        (
            refused(code=-32602, reason="[EINVAL] pool_dataset_update.volsize: disk quota exceeded"),
            StatusCode.RESOURCE_EXHAUSTED,
        ),
        (refused(number=errno.EAGAIN), StatusCode.UNAVAILABLE),
        (refused(number=errno.EIO), StatusCode.UNAVAILABLE),
        (refused(number=errno.ETIMEDOUT), StatusCode.UNAVAILABLE),
        (refused(number=210), StatusCode.UNAVAILABLE),
        (refused(reason="cannot destroy 'x': dataset is busy"), StatusCode.UNAVAILABLE),
        (refused(number=errno.EEXIST), StatusCode.FAILED_PRECONDITION),
        (refused(number=errno.ENOTEMPTY), StatusCode.FAILED_PRECONDITION),
        (refused(code=-32601, number=0, reason="Method does not exist"), StatusCode.FAILED_PRECONDITION),
        (invalid("pool_dataset_create.comments"), StatusCode.INVALID_ARGUMENT),
        (invalid("pool_dataset_create.name"), StatusCode.FAILED_PRECONDITION),
        (invalid("pool_dataset_update.sync", "pool_dataset_update.volsize"), StatusCode.FAILED_PRECONDITION),
        (invalid(""), StatusCode.FAILED_PRECONDITION),
        (invalid(number=errno.E2BIG), StatusCode.INVALID_ARGUMENT),
        (invalid("id", number=errno.ENOENT), StatusCode.ABORTED),
        (invalid("iscsi_extent_create.name", number=errno.EEXIST), StatusCode.FAILED_PRECONDITION),
        (ZeroDivisionError(), StatusCode.INTERNAL),
    ],
)
def test_each_error_has_its_status(error, expected):
    assert status_of(error)[0] is expected


def test_a_method_that_the_nas_does_not_have_is_named():
    _, message = status_of(NasRefused("nvmet.subsys.create", "Method does not exist", code=-32601, errno=0))
    assert "the NAS does not offer nvmet.subsys.create" in message


def test_a_defect_keeps_its_text_to_the_log():
    assert "hunter2" not in status_of(ValueError("hunter2"))[1]
