"""The page of methods is made from the declarations and is up to date."""

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from fake_truenas.methods import default_registry
from fake_truenas.persona import TRAINS, persona
from fake_truenas.schema import ABSENT, AnyOf, Enum, Field, Int, List, Map, Nullable, Obj, Str

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "fake-truenas-methods.md"


def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("methods_doc", ROOT / "tools" / "methods_doc.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_what_the_tool_makes_of_the_declarations() -> None:
    assert PAGE.read_text() == tool().document(), "run `make docs-methods`"


def test_an_old_page_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = tool()
    target = tmp_path / "methods.md"
    monkeypatch.setattr(module, "TARGET", target)
    monkeypatch.setattr(sys, "argv", ["methods_doc.py"])
    module.main()
    assert target.read_text() == module.document()
    monkeypatch.setattr(sys, "argv", ["methods_doc.py", "--check"])
    with pytest.raises(SystemExit, match=r"^0$"):
        module.main()
    target.write_text("old")
    with pytest.raises(SystemExit, match="make docs-methods"):
        module.main()


def test_it_has_every_method_of_every_release() -> None:
    titles = set(re.findall(r"^### ([\w.]+)", PAGE.read_text(), re.MULTILINE))
    served = {name for train in TRAINS for name in default_registry().serving(persona(train)).methods}
    assert titles == served


def test_rows_tell_types_limits_and_defaults() -> None:
    data = Obj(
        Field("name", Str(min_length=1)),
        Field("size", Nullable(Int(0, 9)), default=None),
        Field("kind", Enum("A", True, 2), default="A"),
        Field("key", Str(secret=True, max_length=None), ABSENT),
        Field("tags", List(Obj(Field("tag", Str()))), default=()),
        Field("more", Map(AnyOf(Int(), Str())), default={}),
    )
    assert list(tool()._rows(Field("data", data), "data", partial=False)) == [
        "| `data` | object |  |",
        "| `data.name` | string (at least 1) |  |",
        "| `data.size` | integer from 0 to 9 or null | `null` |",
        '| `data.kind` | `"A"` or `true` or `2` | `"A"` |',
        "| `data.key` | string (long, secret) | absent |",
        "| `data.tags` | list of object | `[]` |",
        "| `data.tags[].tag` | string |  |",
        "| `data.more` | object with values integer or string | `{}` |",
    ]
    assert (
        list(tool()._rows(Field("data", data.patch()), "data", partial=False))[2]
        == "| `data.size` | integer from 0 to 9 or null |  |"
    )


def test_each_variant_of_an_object_has_its_own_members() -> None:
    either = AnyOf(Obj(Field("a", Str())), Obj(Field("b", Str())))
    rows = list(tool()._rows(Field("x", either), "x", partial=False))
    assert rows == ["| `x` | object |  |", "| `x(1).a` | string |  |", "| `x(2).b` | string |  |"]


def test_marks_tell_what_a_method_is() -> None:
    text = PAGE.read_text()
    for title in (
        "### core.bulk (job)", "### core.ping (public)", "### pool.snapshot.create (from 25.10)",
        "### service.reload (before 26.0)", "### zfs.snapshot.create (private from 25.10 on, before 26.0)",
    ):  # fmt: skip
        assert f"{title}\n" in text
