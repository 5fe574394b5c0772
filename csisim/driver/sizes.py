"""Which size a volume gets; pure."""

from csisim.driver.parameters import Protocol
from csisim.driver.requests import CapacityRange
from csisim.errors import CsiError, OutOfRange

GIB = 1 << 30
# The NAS refuses a refquota below 1 GiB; a zvol must be a multiple of its volblocksize (16 KiB by default).
MINIMUM_BYTES = {Protocol.NFS: GIB, Protocol.ISCSI: 1 << 20, Protocol.NVMEOF: 1 << 20}
GRANULE_BYTES = {Protocol.NFS: 1, Protocol.ISCSI: 1 << 14, Protocol.NVMEOF: 1 << 14}
MAXIMUM_BYTES = 1 << 60
DEFAULT_BYTES = GIB


def rounded(size_bytes: int, protocol: Protocol) -> int:
    """The smallest size the NAS takes that is at least this."""
    granule = GRANULE_BYTES[protocol]
    return max(MINIMUM_BYTES[protocol], -(-size_bytes // granule) * granule)


def choose_size(wanted: CapacityRange, protocol: Protocol) -> int | CsiError:
    """The size for a new volume, or the error to answer once it is known that no volume of that name exists."""
    required = wanted.required_bytes or min(DEFAULT_BYTES, wanted.limit_bytes or DEFAULT_BYTES)
    size_bytes = rounded(required, protocol)
    if size_bytes > MAXIMUM_BYTES:
        return OutOfRange(f"capacity_range: {required} bytes is more than the {MAXIMUM_BYTES} that a volume can have")
    if wanted.limit_bytes and size_bytes > wanted.limit_bytes:
        return OutOfRange(
            f"capacity_range: {protocol} volumes have at least {MINIMUM_BYTES[protocol]} bytes, in steps of "
            f"{GRANULE_BYTES[protocol]}; the limit is {wanted.limit_bytes}"
        )
    return size_bytes
