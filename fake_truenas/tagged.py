"""A parameter that is one of several objects, told apart by one member: the real server's discriminated unions."""

from collections.abc import Mapping
from typing import Any

from fake_truenas.schema import AnyOf, Check, Enum, Obj, Problem


class Tagged(AnyOf):
    """An object whose member `tag` says which of the variants it is; each variant declares that member.

    Refusals name the variant after the argument, as in `login_data.API_KEY_PLAIN.api_key`; they never show values.
    """

    __slots__ = ("tag", "variants")

    def __init__(self, tag: str, variants: Mapping[str, Obj]) -> None:
        super().__init__(*variants.values())
        self.tag = tag
        self.variants = dict(variants)

    def compile(self) -> Check:
        """Compile."""
        tag = self.tag
        checks = {value: variant.compile() for value, variant in self.variants.items()}
        check_tag = Enum(*self.variants).compile()

        def check(value: Any, problems: list[Problem]) -> Any:
            if type(value) is not dict:
                problems.append(("", "Input should be a valid dictionary"))
                return value
            if tag not in value:
                problems.append((tag, "Field required"))
                return value
            found: list[Problem] = []
            chosen = check_tag(value[tag], found)
            if found:
                problems.extend((tag, text) for _, text in found)
                return value
            result = checks[chosen](value, found)
            problems.extend((f"{chosen}.{path}" if path else chosen, text) for path, text in found)
            return result

        return check
