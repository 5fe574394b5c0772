"""NVMe qualified names: which pass, and what is said of the others."""

import pytest

from fake_truenas.nqn import NQN, problem

UUID_FORM = "nqn.2014-08.org.nvmexpress:uuid:11111111-2222-3333-4444-555555555555"


@pytest.mark.parametrize(
    "nqn",
    ["nqn.2014-08.org.nvmexpress.discovery", UUID_FORM, "nqn.2020-01.org.example", "nqn.2020-01.org.example:a:b.c",
     "nqn.2011-06.com.truenas:uuid:11111111-2222-3333-4444-555555555555:pvc-1", "nqn.2020-99.com.a-1.b:x"],
)  # fmt: skip
def test_a_name_with_a_month_and_a_domain_passes(nqn: str) -> None:
    assert problem(nqn) is None


@pytest.mark.parametrize(
    ("nqn", "said"),
    [
        ("my-host-name", '{}: must start with "nqn"'),
        ("nqn.20-01.org.example", '{}: must start with "nqn.YYYY-MM.<reverse.domain>"'),
        ("nqn.2020-01.example", '{}: must start with "nqn.YYYY-MM.<reverse.domain>" - domain missing'),
        ("nqn.2020-01.", '{}: must start with "nqn.YYYY-MM.<reverse.domain>" - domain missing'),
        ("nqn.2020-01.example:a.b", "{}: domain does not appear to be valid"),
        ("nqn.2020-01.x1.example", "{}: domain does not appear to be valid"),
        ("nqn.2020-01.org.-example", "{}: domain does not appear to be valid"),
        ("nqn.2020-01.org.example\n", "{}: domain does not appear to be valid"),
        (UUID_FORM[:-1], "{}: uuid is incorrect length"),
        (UUID_FORM[:-1] + "-", "badly formed hexadecimal UUID string"),
        (UUID_FORM[:-1] + "x", "invalid literal for int() with base 16: '1111111122223333444455555555555x'"),
    ],
)
def test_what_is_wrong_with_another_is_said(nqn: str, said: str) -> None:
    assert problem(nqn) == said.format(nqn)


@pytest.mark.parametrize(
    ("value", "text"),
    [("nqn.2020-0", "at least 11 characters"), ("nqn.2020-01.org." + "x" * 208, "at most 223 characters")],
)
def test_lengths_are_checked_first(value: str, text: str) -> None:
    problems: list[tuple[str, str]] = []
    NQN.compile()(value, problems)
    assert problems == [("", f"String should have {text}")]
