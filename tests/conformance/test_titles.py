"""Every spec of csi-sanity has exactly one test, under the suite's own title."""

import ast
from pathlib import Path

HERE = Path(__file__).parent


def _titles() -> list[str]:
    """The argument of every `@spec("...")` in this directory."""
    return [
        ast.literal_eval(decorator.args[0])
        for module in sorted(HERE.glob("test_*.py"))
        for function in ast.walk(ast.parse(module.read_text()))
        if isinstance(function, ast.FunctionDef)
        for decorator in function.decorator_list
        if isinstance(decorator, ast.Call) and isinstance(decorator.func, ast.Name) and decorator.func.id == "spec"
    ]


def test_every_spec_has_one_test() -> None:
    specs = (HERE / "csi-sanity-specs.txt").read_text().splitlines()
    assert len(specs) == 96
    assert sorted(_titles()) == sorted(specs)
