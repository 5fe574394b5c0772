"""Which server an experiment means, from configuration, secrets and environment."""

from typing import Any

import pytest

from csisim.chaostoolkit.connection import TOKEN, URL, client
from csisim.control.client import Unreachable


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CSISIM_CONTROL", raising=False)
    monkeypatch.delenv("CSISIM_CONTROL_TOKEN", raising=False)


def sent_token(secrets: dict[str, Any] | None) -> str | None:
    with client({URL: "http://127.0.0.1:1"}, secrets) as found:
        return found._http.headers.get("authorization")


def test_the_configuration_comes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CSISIM_CONTROL", "http://127.0.0.1:2")
    with client() as found:
        assert found.url == "http://127.0.0.1:2"
    with client({URL: "http://127.0.0.1:1"}) as found:
        assert found.url == "http://127.0.0.1:1"


def test_no_server_named_says_so() -> None:
    with pytest.raises(Unreachable, match="CSISIM_CONTROL"):
        client({})


def test_the_token_is_a_secret_of_the_activity_or_of_any_group() -> None:
    assert sent_token(None) is None
    assert sent_token({TOKEN: "flat"}) == "Bearer flat"
    assert sent_token({"other": {"a": "b"}, "csisim": {TOKEN: "grouped"}}) == "Bearer grouped"
