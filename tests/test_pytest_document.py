"""The document of the pytest plugin: its script runs as it stands, and what it names is there."""

import inspect
import re
from pathlib import Path

import pytest

from csisim.runs.script import Script
from csisim.runs.under_test import _OPTIONS

pytest_plugins = ["pytester"]

DOCUMENT = (Path(__file__).parent.parent / "docs" / "pytest.md").read_text()
SCRIPTS = (Path(__file__).parent / "scenarios" / "test_scripts.py").read_text()


def test_the_script_of_the_document_passes_simulated_and_real(pytester: pytest.Pytester) -> None:
    (script,) = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function")
    pytester.makepyfile(test_ours=script)
    pytester.runpytest_inprocess("-p", "no:cacheprovider").assert_outcomes(passed=2)


def test_everything_that_it_names_of_a_cluster_is_there() -> None:
    named = set(re.findall(r"cluster\.(\w+)", DOCUMENT))
    attributes = set(
        re.findall(r"self\.(\w+)", inspect.getsource(Script.__init__) + inspect.getsource(Script.__base__))
    )
    assert {name for name in named if not hasattr(Script, name)} <= attributes
    assert len(named) > 15


def test_every_option_of_the_mark_is_in_the_table() -> None:
    table = DOCUMENT.partition("## How a test runs")[2]
    rows = [cell for row in re.findall(r"^\| (.*?) \|", table, re.MULTILINE) for cell in re.findall(r"`(\w+)`", row)]
    assert set(rows) == {"mode", *_OPTIONS}


def test_every_script_tells_its_story_and_its_source() -> None:
    told = re.findall(r'async def (test_\w+)\(.*?\):\n    """(.*?)"""', SCRIPTS, re.DOTALL)
    for name, text in told:
        source = " ".join(text.strip().split("\n\n")[-1].split())
        assert re.fullmatch(r"[A-Z]\d\d(, [A-Z]\d\d)*; .+", source), name
    assert len(told) == SCRIPTS.count("async def test_")
