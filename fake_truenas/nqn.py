"""NVMe qualified names as TrueNAS 25.10 takes them, with its texts. Pure."""

import re
from typing import Final
from uuid import UUID

from fake_truenas.checked import Checked
from fake_truenas.schema import Str

MAX_LENGTH: Final = 223
_DISCOVERY = "nqn.2014-08.org.nvmexpress.discovery"
_UUID_PREFIX = "nqn.2014-08.org.nvmexpress:uuid:"
_UUID_LENGTH = 36
_DATED = re.compile(r"nqn.\d{4}-\d{2}\.")
_DATE_LENGTH = len("nqn.2014-08.")
_LABEL = r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)"
_DOMAIN = re.compile(rf"({_LABEL}\.)+[A-Za-z]{{2,}}")


def problem(nqn: str) -> str | None:
    """What is wrong with a name, or None: it is the discovery's, has a UUID, or begins with a month and a domain."""
    if nqn == _DISCOVERY:
        return None
    if nqn.startswith(_UUID_PREFIX):
        return _uuid_problem(nqn)
    return _domain_problem(nqn) if nqn.startswith("nqn.") else f'{nqn}: must start with "nqn"'


def _domain_problem(nqn: str) -> str | None:
    if not _DATED.match(nqn):
        return f'{nqn}: must start with "nqn.YYYY-MM.<reverse.domain>"'
    rest = nqn[_DATE_LENGTH:]
    if "." not in rest:
        return f'{nqn}: must start with "nqn.YYYY-MM.<reverse.domain>" - domain missing'
    labels = rest.partition(":")[0].split(".")
    if not _DOMAIN.fullmatch(".".join(reversed(labels))):
        return f"{nqn}: domain does not appear to be valid"
    return None


def _uuid_problem(nqn: str) -> str | None:
    text = nqn.removeprefix(_UUID_PREFIX)
    if len(text) != _UUID_LENGTH:
        return f"{nqn}: uuid is incorrect length"
    try:
        UUID(text)
    except ValueError as error:
        return str(error)
    return None


NQN: Final = Checked(Str(min_length=11, max_length=MAX_LENGTH), problem)
"""Parameter type of an NQN."""
