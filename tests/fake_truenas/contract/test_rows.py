"""Every row of the wire contract has a test that names it, or a reason in the documentation.

A row is a section of the API's description and what the row is about, as listed in `rows.txt`. A test names it by
`@pytest.mark.row("6.4 pool.dataset.delete")`; the documentation by a line "* row `12 REST v2.0`: why".
"""

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
ROWS = (Path(__file__).parent / "rows.txt").read_text().splitlines()


@cache
def named_by_tests() -> dict[str, list[str]]:
    """Rows by the tests that name them."""
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "tests" / "fake_truenas").rglob("test_*.py")):
        text = path.read_text()
        if "mark.row(" not in text:
            continue
        for node in ast.parse(text).body:
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("test_"):
                for mark in node.decorator_list:
                    if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.row":
                        for row in mark.args:
                            assert isinstance(row, ast.Constant), f"{path.name}: {node.name}: a row is a literal text"
                            found.setdefault(row.value, []).append(node.name)
    return found


@cache
def excused() -> set[str]:
    """Rows that the documentation says are not built."""
    text = (ROOT / "docs" / "fake-truenas.md").read_text()
    return set(re.findall(r"^\* row `([^`]+)`: \S", text, re.MULTILINE))


def test_every_row_has_a_test_or_a_reason() -> None:
    assert [row for row in ROWS if row not in named_by_tests() and row not in excused()] == []


def test_no_row_has_both() -> None:
    assert sorted(excused() & set(named_by_tests())) == []


def test_no_test_and_no_reason_names_a_row_that_is_not_listed() -> None:
    assert sorted((excused() | set(named_by_tests())) - set(ROWS)) == []
    assert len(ROWS) == len(set(ROWS))
