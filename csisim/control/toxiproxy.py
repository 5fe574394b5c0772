"""The connection to the NAS as a proxy of a Toxiproxy 2.x, so that its clients work: below /toxiproxy and at the root.

The proxy cannot be made or deleted: it is the link of the driver, and exists as long as that. Toxics are link rules
with names `toxic:<name>`; a rule that is taken out elsewhere takes the toxic with it.
"""

from functools import partial
from typing import Annotated, Any

from fastapi import Body, FastAPI
from fastapi.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from csisim import __version__
from csisim.control.controlled import Controlled
from csisim.control.errors import ControlError
from csisim.control.toxics import STREAMS, Toxic, ToxicError, read_toxic
from csisim.faults.grammar import parse_rule
from csisim.faults.model import Rule

ROOT = "/toxiproxy"
DISABLED = "toxiproxy:disabled"
_DISABLED_RULE = parse_rule("link.*: disconnect(rst)", name=DISABLED)

AnyBody = Annotated[Any, Body()]


def add_toxiproxy(app: FastAPI, controlled: Controlled) -> None:
    """The endpoints of a Toxiproxy, as in its api.go."""
    api = _Toxiproxy(controlled)
    add = partial(app.add_api_route, tags=["toxiproxy"])
    proxy = f"{ROOT}/proxies/{{proxy}}"
    toxics = f"{proxy}/toxics"
    one = f"{toxics}/{{toxic}}"
    add(f"{ROOT}/version", api.version, methods=["GET"])
    add(f"{ROOT}/reset", api.reset, methods=["POST"], status_code=204)
    add(f"{ROOT}/populate", api.populate, methods=["POST"], status_code=201)
    add(f"{ROOT}/proxies", api.proxies, methods=["GET"])
    add(f"{ROOT}/proxies", api.create, methods=["POST"])
    add(proxy, api.show, methods=["GET"])
    add(proxy, api.update, methods=["PATCH"])
    add(proxy, api.update, methods=["POST"], include_in_schema=False)  # for clients before 2.6
    add(proxy, api.destroy, methods=["DELETE"])
    add(toxics, api.toxics, methods=["GET"])
    add(toxics, api.add_toxic, methods=["POST"])
    add(one, api.show_toxic, methods=["GET"])
    add(one, api.update_toxic, methods=["PATCH"])
    add(one, api.update_toxic, methods=["POST"], include_in_schema=False)
    add(one, api.remove_toxic, methods=["DELETE"], status_code=204)


def at_the_root_too(app: ASGIApp) -> ASGIApp:
    """The same paths without /toxiproxy, because its clients know no prefix; none of them is one of ours."""

    async def rooted(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if path in {"/version", "/populate", "/proxies"} or path.startswith("/proxies/"):
            scope = {**scope, "path": f"{ROOT}{path}"}
        await app(scope, receive, send)

    return rooted


class _Toxiproxy:
    def __init__(self, controlled: Controlled) -> None:
        self._controlled = controlled
        self._plane = controlled.plane
        self._set: dict[str, tuple[Toxic, Rule]] = {}

    async def version(self) -> dict[str, str]:
        """Of csisim; Toxiproxy's clients read this."""
        return {"version": __version__}

    async def reset(self) -> None:
        """Take all toxics out and enable every proxy; other rules stay."""
        for toxic in self._toxics():
            self._remove(toxic)
        self._enable(enabled=True)

    async def populate(self, body: AnyBody) -> Response:
        """Enable or disable what is there already; nothing else can be made here. All of it or nothing."""
        if not isinstance(body, list) or not all(isinstance(entry, dict) for entry in body):
            raise ControlError(400, "bad request body: here should be a list of proxies")
        for entry in body:
            self._check_same(entry, self._find(entry.get("name")))
        for entry in body:
            self._enable(enabled=entry.get("enabled") is not False)
        return JSONResponse({"proxies": [self._show(entry["name"]) for entry in body]}, 201)

    async def proxies(self) -> dict[str, Any]:
        """All proxies with their toxics."""
        return {name: self._show(name) for name in self._controlled.links}

    async def create(self, body: AnyBody) -> Response:
        """Refused: the only proxies are those that are there."""
        name = body.get("name") if isinstance(body, dict) else None
        if not name:
            raise ControlError(400, "missing required field: name")
        if name in self._controlled.links:
            raise ControlError(409, "proxy already exists")
        raise ControlError(400, f"proxies cannot be made here: there are {', '.join(self._controlled.links) or 'none'}")

    async def show(self, proxy: str) -> dict[str, Any]:
        """One proxy with its toxics."""
        return self._show(self._find(proxy))

    async def update(self, proxy: str, body: AnyBody) -> dict[str, Any]:
        """Enable it, or disable it: every connection is reset, and so is every new one."""
        name = self._find(proxy)
        if not isinstance(body, dict):
            raise ControlError(400, "bad request body: here should be an object")
        self._check_same(body, name)
        if "enabled" in body:
            if not isinstance(body["enabled"], bool):
                raise ControlError(400, "bad request body: enabled is true or false")
            self._enable(enabled=body["enabled"])
        return self._show(name)

    async def destroy(self, proxy: str) -> None:
        """Refused: the connection is the driver's."""
        raise ControlError(400, f"proxy {self._find(proxy)} cannot be deleted; disable it instead")

    async def toxics(self, proxy: str) -> list[dict[str, Any]]:
        """The toxics of a proxy, upstream ones first."""
        return self._show(self._find(proxy))["toxics"]  # type: ignore[no-any-return] # made below

    async def add_toxic(self, proxy: str, body: AnyBody) -> dict[str, Any]:
        """Put a toxic into force."""
        self._find(proxy)
        toxic = _read(body)
        if any(toxic.name == other.name for other in self._toxics()):
            raise ControlError(409, "toxic already exists")
        rule = toxic.rule()
        try:
            self._plane.add(rule)
        except ValueError as error:
            raise ControlError(409, str(error)) from None
        self._set[toxic.name] = toxic, rule
        return toxic.to_json()

    async def show_toxic(self, proxy: str, toxic: str) -> dict[str, Any]:
        """One toxic."""
        self._find(proxy)
        return self._toxic(toxic).to_json()

    async def update_toxic(self, proxy: str, toxic: str, body: AnyBody) -> dict[str, Any]:
        """Change attributes or toxicity; what is left out stays."""
        self._find(proxy)
        new = _read(body, self._toxic(toxic))
        rule = new.rule()
        self._plane.change(rule.name, rule)
        self._set[new.name] = new, rule
        return new.to_json()

    async def remove_toxic(self, proxy: str, toxic: str) -> None:
        """Take a toxic out; what it held up goes on."""
        self._find(proxy)
        self._remove(self._toxic(toxic))

    def _find(self, name: Any) -> str:
        if name not in tuple(self._controlled.links):
            raise ControlError(404, "proxy not found")
        return str(name)

    def _check_same(self, entry: dict[str, Any], name: str) -> None:
        """Clients save all of a proxy; its addresses are not for them to choose."""
        address = self._controlled.links[name]
        for key in ("listen", "upstream"):
            if entry.get(key, address) != address:
                raise ControlError(400, f"{key} of proxy {name} is {address} and cannot be changed")

    def _show(self, name: str) -> dict[str, Any]:
        address = self._controlled.links[name]
        enabled = all(state.rule.name != DISABLED for state in self._plane.rules)
        order = tuple(STREAMS)
        found = sorted(self._toxics(), key=lambda toxic: order.index(toxic.stream))
        return {"name": name, "listen": address, "upstream": address, "enabled": enabled,
                "toxics": [toxic.to_json() for toxic in found]}  # fmt: skip

    def _toxics(self) -> list[Toxic]:
        """Those whose rules are still in force as they were set, in the order of the rules."""
        now = {state.rule.name: str(state.rule) for state in self._plane.rules}
        self._set = {key: (toxic, rule) for key, (toxic, rule) in self._set.items() if now.get(rule.name) == str(rule)}
        return [toxic for toxic, _ in self._set.values()]

    def _toxic(self, name: str) -> Toxic:
        for toxic in self._toxics():
            if toxic.name == name:
                return toxic
        raise ControlError(404, "toxic not found")

    def _remove(self, toxic: Toxic) -> None:
        _, rule = self._set.pop(toxic.name)
        if toxic.type == "timeout":
            self._controlled.disconnect_nas()  # a Toxiproxy closes them too: what they were sent is lost
        self._plane.remove(rule.name)

    def _enable(self, *, enabled: bool) -> None:
        is_enabled = all(state.rule.name != DISABLED for state in self._plane.rules)
        if enabled and not is_enabled:
            self._plane.remove(DISABLED)
        elif not enabled and is_enabled:
            self._plane.add(_DISABLED_RULE)
            self._controlled.disconnect_nas()


def _read(body: Any, old: Toxic | None = None) -> Toxic:
    if not isinstance(body, dict):
        raise ControlError(400, "bad request body: here should be an object")
    try:
        return read_toxic(body, old)
    except ToxicError as error:
        raise ControlError(400, str(error)) from None
