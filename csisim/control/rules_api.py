"""Rules over HTTP: add, list, change, remove; and the reset that heals everything."""

from functools import partial
from typing import Any

from fastapi import FastAPI, Response

from csisim.control.controlled import Controlled
from csisim.control.errors import ControlError, refused_rule
from csisim.control.records import RuleRecord
from csisim.control.schemas import RuleChange, RuleIn, RulesIn, RulesTextIn
from csisim.faults.files import check_name, checked_rule, rules_of_text
from csisim.faults.matching import RuleState
from csisim.faults.model import Rule

_REFUSED: Any = {422: {"description": "Refused, with reason and column (and line or item); nothing was changed."}}
_UNKNOWN: Any = {404: {"description": "There is no rule of this name."}}


def add_rules(app: FastAPI, controlled: Controlled) -> None:
    """The endpoints below /rules, and /reset."""
    api = _Rules(controlled)
    add = partial(app.add_api_route, tags=["rules"])
    add("/rules", api.list_all, methods=["GET"], response_model=list[RuleRecord])
    add(
        "/rules", api.add, methods=["POST"], status_code=201, response_model=RuleRecord | list[RuleRecord],
        responses=_REFUSED,
    )  # fmt: skip
    one = "/rules/{name}"
    add(one, api.get, methods=["GET"], response_model=RuleRecord, responses=_UNKNOWN)
    add(one, api.put, methods=["PUT"], response_model=RuleRecord, responses=_REFUSED)
    add(one, api.patch, methods=["PATCH"], response_model=RuleRecord, responses=_REFUSED | _UNKNOWN)
    add(one, api.delete, methods=["DELETE"], status_code=204, responses=_UNKNOWN)
    add("/reset", api.reset, methods=["POST"], status_code=204)


class _Rules:
    def __init__(self, controlled: Controlled) -> None:
        self._plane = controlled.plane

    async def list_all(self) -> list[RuleRecord]:
        """The rules in force with their counts, in the order in which they are asked."""
        return [_record(state) for state in self._plane.rules]

    async def add(self, body: RulesIn) -> RuleRecord | list[RuleRecord]:
        """Put one rule or several into force, behind the others: all of them or none."""
        if isinstance(body, RuleIn):
            return self._add([self._read(body.rule, body.name)])[0]
        if isinstance(body, RulesTextIn):
            try:
                return self._add(rules_of_text(body.text, self._plane.catalogue.check))
            except ValueError as error:
                raise refused_rule(error) from None
        items = [RuleIn(rule=item) if isinstance(item, str) else item for item in body]
        return self._add([self._read(item.rule, item.name, number) for number, item in enumerate(items, 1)])

    async def get(self, name: str) -> RuleRecord:
        """One rule with its counts."""
        return _record(self._state(name))

    async def put(self, name: str, body: RuleChange, response: Response) -> RuleRecord:
        """Put a rule into force under this name, in the place of the one that has it."""
        rule = self._read(body.rule, name)
        if any(state.rule.name == name for state in self._plane.rules):
            return _record(self._plane.change(name, rule))
        response.status_code = 201
        return self._add([rule])[0]

    async def patch(self, name: str, body: RuleChange) -> RuleRecord:
        """Change the text of a rule; its counts begin anew, and what hung on it goes on."""
        self._state(name)
        return _record(self._plane.change(name, self._read(body.rule, name)))

    async def delete(self, name: str) -> None:
        """Take a rule out; what hung on it goes on."""
        self._state(name)
        self._plane.remove(name)

    async def reset(self) -> None:
        """Take all rules out, release every barrier and heal every connection."""
        self._plane.reset()

    def _read(self, text: str, name: str, item: int | None = None) -> Rule:
        try:
            return checked_rule(text, self._plane.catalogue.check, name=check_name(name))
        except ValueError as error:
            raise refused_rule(error, item=item, text=text) from None

    def _add(self, rules: list[Rule]) -> list[RuleRecord]:
        try:
            return [_record(state) for state in self._plane.add_all(rules)]
        except ValueError as error:  # each is a rule that could be honoured: names are taken, or there are too many
            raise ControlError(409, str(error)) from None

    def _state(self, name: str) -> RuleState:
        for state in self._plane.rules:
            if state.rule.name == name:
                return state
        raise ControlError(404, f"there is no rule {name[:100]!r}; GET /rules lists them")


def _record(state: RuleState) -> RuleRecord:
    return RuleRecord(state.rule.name, str(state.rule), state.asked, state.fired)
