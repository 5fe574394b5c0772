"""Which size a volume gets."""

import pytest

from csisim.driver.parameters import Protocol
from csisim.driver.requests import CapacityRange
from csisim.driver.sizes import GIB, MAXIMUM_BYTES, choose_size
from csisim.errors import OutOfRange


@pytest.mark.parametrize(
    ("required", "limit", "protocol", "expected"),
    [
        (0, 0, Protocol.NFS, GIB),
        (10 * GIB, 0, Protocol.NFS, 10 * GIB),
        (1, 0, Protocol.NFS, GIB),
        (1, 0, Protocol.ISCSI, 1 << 20),
        (GIB + 1, 0, Protocol.NFS, GIB + 1),
        (GIB + 1, 0, Protocol.NVMEOF, GIB + (1 << 14)),
        (0, 2 * GIB, Protocol.NFS, GIB),
        (0, 1 << 21, Protocol.ISCSI, 1 << 21),
    ],
)
def test_the_smallest_size_that_fits_is_chosen(required, limit, protocol, expected):
    assert choose_size(CapacityRange(required, limit), protocol) == expected


@pytest.mark.parametrize(
    ("required", "limit", "protocol"),
    [
        (0, GIB - 1, Protocol.NFS),
        (GIB + 1, GIB + 2, Protocol.ISCSI),
        (MAXIMUM_BYTES + 1, 0, Protocol.ISCSI),
        ((1 << 63) - 1, 0, Protocol.NFS),
    ],
)
def test_a_size_that_cannot_be_is_out_of_range(required, limit, protocol):
    assert isinstance(choose_size(CapacityRange(required, limit), protocol), OutOfRange)
