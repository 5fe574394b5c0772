"""What an injected error can be: the sixteen status codes of gRPC that are errors, and errnos. Pure."""

import errno
from typing import Final

GRPC_CODES: Final = (
    "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE",
    "DATA_LOSS", "UNAUTHENTICATED",
)  # fmt: skip
"""Codes 1 to 16, in the order of their numbers."""

NAS_ERRNOS: Final = {
    "ENOMETHOD": 201, "ESERVICESTARTFAILURE": 202, "EALERTCHECKERUNAVAILABLE": 203, "EREMOTENODEERROR": 204,
    "EDATASETISLOCKED": 205, "EINVALIDRRDTIMESTAMP": 206, "ENOTAUTHENTICATED": 207, "ESSLCERTVERIFICATIONERROR": 208,
    "EREBOOTREQUIRED": 209, "EHAUNAVAILABLE": 210,
}  # fmt: skip
"""TrueNAS's own, by name (API 25.10)."""

ERRNOS: Final = {name: number for number, name in errno.errorcode.items()}
"""Those of this system, by name."""


def errno_of(name: str) -> int:
    """The number of an errno, TrueNAS's own included; KeyError if there is none of this name."""
    return NAS_ERRNOS[name] if name in NAS_ERRNOS else ERRNOS[name]
