import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient

from csisim.control.errors import install, refused_rule
from csisim.errors import NasTimeout
from csisim.faults.grammar import RuleError, parse_rule


@pytest.fixture
async def failing():
    app = FastAPI()
    install(app)

    @app.get("/bug")
    async def bug():
        raise RuntimeError("canary")

    @app.get("/nas")
    async def nas():
        raise NasTimeout("core.ping", "x" * 1000, sent=True)

    transport = ASGITransport(app=app, raise_app_exceptions=False)
    async with AsyncClient(transport=transport, base_url="http://localhost") as http:
        yield http


async def test_a_defect_is_a_500_that_tells_nothing(failing):
    answer = await failing.get("/bug")

    assert (answer.status_code, answer.json()) == (500, {"error": "an internal error, see the log", "status": 500})


async def test_a_nas_that_is_away_is_a_503_of_bounded_length(failing):
    answer = await failing.get("/nas")

    assert answer.status_code == 503
    assert len(answer.json()["error"]) == 500


def test_a_refused_rule_tells_its_place():
    with pytest.raises(RuleError) as caught:
        parse_rule("link.up: bug")
    error = refused_rule(caught.value, item=3)

    assert error.status == 422
    assert error.more == {"column": 10, "rule": "link.up: bug", "item": 3}
    assert error.reason.startswith("'bug' is not an action")
