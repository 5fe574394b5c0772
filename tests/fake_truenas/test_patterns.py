"""Regular expressions from outside."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_truenas.errors import ValidationErrors
from fake_truenas.patterns import MAX_CHARS, Pattern

SIMPLE = st.recursive(
    st.sampled_from(["a", "b", ".", "[ab]", "[^a]", "x?"]),
    lambda inner: (
        st.tuples(inner, inner).map("".join)
        | st.tuples(inner, inner).map(lambda pair: f"(?:{pair[0]}|{pair[1]})")
        | inner.map(lambda one: f"(?:{one})*")
    ),
    max_leaves=8,
)


@given(SIMPLE, st.text("abx", max_size=8))
def test_it_matches_what_python_matches_from_the_start(pattern: str, text: str) -> None:
    assert Pattern(pattern).matches(text) == bool(re.match(pattern, text))


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+$", "(a*)*b", "((a*)*)*$|b", "(.*a){20}$"])
def test_what_explodes_elsewhere_is_linear_here(pattern: str) -> None:
    assert not Pattern(pattern).matches("a" * 20_000 + "!")


@pytest.mark.parametrize(
    "pattern",
    ["(?=a)", "(?!a)", "(?<=a)b", r"(a)\1", "(?>a)", "a++", "a{1001}", "((a{99}){99}){99}", "(", "[", "*", r"\Z"],
)
def test_another_syntax_is_refused_by_name(pattern: str) -> None:
    with pytest.raises(ValidationErrors) as caught:
        Pattern(pattern)
    ((attribute, text, errno),) = caught.value.items
    assert (attribute, errno) == ("filters", 22)
    assert re.fullmatch(r"Invalid regular expression: .+ \(RE2 syntax: without lookaround and backreferences\)", text)


def test_a_pattern_has_a_bounded_length() -> None:
    assert Pattern("a" * MAX_CHARS).matches("a" * MAX_CHARS)
    with pytest.raises(ValidationErrors, match="1025 characters; 1024 are allowed"):
        Pattern("a" * (MAX_CHARS + 1))


def test_a_match_costs_more_the_bigger_pattern_and_text_are() -> None:
    small, big = Pattern("a"), Pattern("(?:a{30}){30}")
    assert small.cost("name") == 1
    assert 1 < small.cost("a" * 1000) < big.cost("a" * 1000) < big.cost("a" * 2000)
