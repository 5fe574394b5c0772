"""I15: no secret in anything that is told. Which texts are secret is known outside of the history alone."""

import base64
import json
from collections.abc import Iterable
from typing import Final

from csisim.check.findings import Findings, at
from csisim.check.index import Index
from csisim.check.verdicts import Result

_WHY: Final = "No secret in logs, errors, events, traces, metrics labels or volume_context."
_SHORTEST: Final = 4


def i15(index: Index, secrets: Iterable[str] = ()) -> Result:
    """No secret.

    Args:
        index: of the history; every event of it is looked at as JSON.
        secrets: the texts that must not be there, of at least four characters; none: nothing can be looked for.

    Raises:
        ValueError: a secret is shorter, so that it would be found everywhere.
    """
    found = Findings("I15", _WHY)
    forms: list[tuple[int, str]] = []
    for number, secret in enumerate(secrets, start=1):
        if len(secret) < _SHORTEST:
            raise ValueError(f"secret {number} has {len(secret)} characters; use at least {_SHORTEST}")
        forms += [(number, form) for form in _forms(secret)]
    if not forms:
        return found.result()
    for event in index.events:
        found.looked_at += 1
        text = json.dumps(event.to_json(), ensure_ascii=False, default=str)
        for number, form in forms:
            if form in text:
                found.add(
                    f"At {at(event.at_s)} the {event.type} of {event.kind} {event.f} showed secret {number}.",
                    (event.seq,), event.at_s,
                )  # fmt: skip
                break
    return found.result()


def _forms(secret: str) -> list[str]:
    """How a text may look inside of JSON: as it is, escaped, as bytes in hexadecimal or base64."""
    content = secret.encode("utf-8", "surrogatepass")
    escaped = (json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1])
    return list(dict.fromkeys((secret, *escaped, content.hex(), base64.b64encode(content).decode().rstrip("="))))
