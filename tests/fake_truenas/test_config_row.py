"""Single configuration objects."""

import random

import pytest

from fake_truenas.config import NasConfig
from fake_truenas.context import Ctx
from fake_truenas.errors import ValidationErrors
from fake_truenas.nas import Nas


def config_of(nas: Nas, name: str) -> dict:
    return nas.call_direct(f"{name}.config")


def test_defaults_are_made_once_and_survive_a_restart(tmp_path):
    seen = []
    for seed in (1, 2):
        nas = Nas(NasConfig(api_key="1-key", data_dir=tmp_path), rng=random.Random(seed), clock=lambda: 0.0)
        seen.append(config_of(nas, "nvmet.global")["basenqn"])
        nas.close()
    assert seen[0] == seen[1]


def test_a_refused_update_changes_nothing(nas):
    before = config_of(nas, "iscsi.global")
    with pytest.raises(ValidationErrors, match="ALUA"):
        nas.call_direct("iscsi.global.update", {"listen_port": 4000, "alua": True})
    assert config_of(nas, "iscsi.global") == before


def test_services_have_rows_of_their_own(nas):
    for name in ("nfs", "iscsi.global", "nvmet.global"):
        config_of(nas, name)
    rows = Ctx(nas).db.rows("select name from service_config order by name")
    assert [row["name"] for row in rows] == ["iscsi.global", "nfs", "nvmet.global"]
