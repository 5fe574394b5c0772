"""I15: no secret in anything that is told. Which texts are secret is known outside of the history alone."""

import base64
import json
from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Final

import orjson

from csisim.check.findings import Findings, at
from csisim.check.index import Index, value_of
from csisim.check.verdicts import Result
from csisim.events import Event

_WHY: Final = "No secret in logs, errors, events, traces, metrics labels or volume_context."
_SHORTEST: Final = 4
_NAMES: Final = [field.name for field in fields(Event)]
_AS_JSON_MODULE: Final = orjson.OPT_NON_STR_KEYS | orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME


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
    found.looked_at = len(index.events)
    for event in index.events if _may_show(index.events, [form for _, form in forms]) else ():
        text = json.dumps(event.to_json(), ensure_ascii=False, default=str)
        for number, form in forms:
            if form in text:
                found.add(
                    f"At {at(event.at_s)} the {event.type} of {event.kind} {event.f} showed secret {number}.",
                    (event.seq,), event.at_s,
                )  # fmt: skip
                break
    return found.result()


def _may_show(events: Sequence[Event], forms: Sequence[str]) -> bool:
    """Whether any form is anywhere: nearly never, so all events are written down together before each one is."""
    try:
        text = orjson.dumps([_NAMES, *map(_written, events)], default=str, option=_AS_JSON_MODULE)
    except TypeError:  # what only the other writer can write, such as lone surrogates
        return True
    return any(form.encode("utf-8", "surrogatepass") in text for form in forms)


def _written(event: Event) -> tuple[object, ...]:
    """All that `Event.to_json` shows, in less time."""
    return (
        event.seq, round(event.at_s, 6), event.type, event.kind, event.f, event.call, event.process, event.parent,
        dict(value_of(event)),
    )  # fmt: skip


def _forms(secret: str) -> list[str]:
    """How a text may look inside of JSON: as it is, escaped, as bytes in hexadecimal or base64."""
    content = secret.encode("utf-8", "surrogatepass")
    escaped = (json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1])
    return list(dict.fromkeys((secret, *escaped, content.hex(), base64.b64encode(content).decode().rstrip("="))))
