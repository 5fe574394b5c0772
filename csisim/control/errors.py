"""Errors of the control server: every one is JSON, `{"error": text, "status": number, ...}`."""

from typing import Any

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import Request

from csisim.errors import NasError
from csisim.faults.grammar import RuleError

_SHOWN = 10
_log = structlog.get_logger(__name__)


class ControlError(Exception):
    """A request that is refused.

    Attributes:
        status: of HTTP.
        reason: what is wrong, and what to do.
        more: further members of the answer.
    """

    def __init__(self, status: int, reason: str, **more: Any) -> None:
        super().__init__(reason)
        self.status, self.reason, self.more = status, reason, more

    def answer(self) -> JSONResponse:
        """As it goes out."""
        return JSONResponse({"error": self.reason, "status": self.status, **self.more}, self.status)


def refused_rule(error: ValueError, *, item: int | None = None, text: str = "") -> ControlError:
    """A rule that is none, or could not be honoured; `item` counts the rules of a list from 1."""
    more: dict[str, Any] = {"column": 1, "rule": text}
    reason = str(error)
    if isinstance(error, RuleError):
        reason, more = error.reason, {"column": error.column, "rule": error.text}
        if error.line is not None:
            more["line"] = error.line
    if item is not None:
        more["item"] = item
    return ControlError(422, reason, **more)


def install(app: FastAPI) -> None:
    """Have every error of the app answered as JSON."""
    app.add_exception_handler(ControlError, _refused)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(NasError, _nas)
    app.add_exception_handler(Exception, _unexpected)


async def _refused(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ControlError)  # noqa: S101 - registered for it
    return error.answer()


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it
    reason = str(error.detail)
    if error.status_code == 404:
        reason = f"there is nothing at {request.url.path[:200]}; GET /docs lists what there is"
    elif error.status_code == 405:
        reason = f"{request.method} is not for {request.url.path[:200]}"
    answer = ControlError(error.status_code, reason).answer()
    answer.headers.update(error.headers or {})
    return answer


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for it
    # What was sent is not told back: it may be anything, of any size.
    found = []
    for problem in error.errors()[:_SHOWN]:
        if problem["type"] == "json_invalid":
            found = [f"the body is not JSON: {problem.get('ctx', {}).get('error', 'it cannot be read')}"]
            break
        where = ".".join(str(part)[:60] for part in problem["loc"] if part != "body")
        found.append(f"{where}: {problem['msg']}" if where else str(problem["msg"]))
    return ControlError(422, "; ".join(dict.fromkeys(found))[:1000]).answer()


async def _nas(_request: Request, error: Exception) -> JSONResponse:
    return ControlError(503, f"the NAS could not be asked: {error}"[:500]).answer()


async def _unexpected(_request: Request, error: Exception) -> JSONResponse:
    _log.error("A control request failed", error=type(error).__name__)
    return ControlError(500, "an internal error, see the log").answer()
