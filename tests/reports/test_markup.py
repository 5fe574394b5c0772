import base64
import hashlib
import tomllib
from pathlib import Path

import pytest

from csisim.reports.markup import asset, attribute, digest, limited, table, tag, text

HOSTILE = "<script>alert(1)</script>\"'&\x00\ud800"


def test_foreign_text_cannot_leave_its_place() -> None:
    assert text(HOSTILE) == "&lt;script&gt;alert(1)&lt;/script&gt;\"'&amp;"
    assert attribute(HOSTILE) == "&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#x27;&amp;"
    assert tag("a", text(HOSTILE), href=HOSTILE).count("<") == 2


def test_elements_have_the_attributes_that_are_given() -> None:
    assert tag("rect", None, class_="b", data_e=3, id=None) == '<rect class="b" data-e="3"/>'
    assert tag("p", "x", aria_hidden="true") == '<p aria-hidden="true">x</p>'
    assert tag("p") == "<p></p>"


def test_a_table_has_its_heads_and_rows() -> None:
    assert table(["a", "b"], [["1", "2"]], "t") == (
        '<div class="wide"><table class="t"><thead><tr><th scope="col">a</th><th scope="col">b</th></tr></thead>'
        "<tbody>\n<tr><td>1</td><td>2</td></tr>\n</tbody></table></div>"
    )


def test_a_long_list_says_how_much_is_missing() -> None:
    assert limited(["a", "b", "c"], 2) == "<li>a</li><li>b</li><li>and 1 more</li>"
    assert limited(["a"], 2) == "<li>a</li>"


@pytest.mark.parametrize("name", ["page.css", "page.js"])
def test_assets_do_not_end_their_element_and_load_nothing(name: str) -> None:
    source = asset(name)
    assert "</" not in source
    assert "<!--" not in source
    assert not any(
        each in source for each in ("http:", "https:", "//cdn", "@import", "fetch(", "XMLHttpRequest", "innerHTML")
    )


def test_assets_are_part_of_what_is_installed() -> None:
    given = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    assert {"reports/page.css", "reports/page.js"} <= set(given["tool"]["setuptools"]["package-data"]["csisim"])


def test_a_policy_names_a_source_by_its_hash() -> None:
    assert digest("a") == f"'sha256-{base64.b64encode(hashlib.sha256(b'a').digest()).decode()}'"
