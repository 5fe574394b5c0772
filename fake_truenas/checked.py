"""Parameter types whose rule is more than a form: a function says what is wrong with a value that has the right form.

Texts start with "Value error, " as those of the real server's own validators do.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fake_truenas.schema import Check, Problem, Str, Type


@dataclass(frozen=True, slots=True)
class Checked:
    """The inner type, whose valid values must pass a rule too.

    Attributes:
        inner: the form.
        problem: gives the text for a refused value, or None; sees only values of the right form.
    """

    inner: Type
    problem: Callable[[Any], str | None]

    def compile(self) -> Check:
        """Compile."""
        inner, problem = self.inner.compile(), self.problem

        def check(value: Any, problems: list[Problem]) -> Any:
            before = len(problems)
            result = inner(value, problems)
            if len(problems) == before:
                text = problem(result)
                if text is not None:
                    problems.append(("", f"Value error, {text}"))
            return result

        return check


def _mode_problem(text: str) -> str | None:
    try:
        mode = int(text, 8)
    except ValueError:
        return "Not a valid integer. Must be between 000 and 777"
    return None if 0 <= mode <= 0o777 else "Please supply a value between 000 and 777"


UNIX_MODE = Checked(Str(), _mode_problem)
"""Permission bits as octal text, such as "755"."""
