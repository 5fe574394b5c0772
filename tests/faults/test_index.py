"""Which rules are found for a passing: the same as by asking each, in the same order."""

from hypothesis import given
from hypothesis import strategies as st

from csisim.faults.grammar import parse_rule
from csisim.faults.index import RuleIndex
from csisim.faults.matching import RuleState
from csisim.faults.plane import Passing

SITE = "rpc.CreateVolume.before"
TEXTS = st.text("ab-", max_size=5)
PATTERNS = st.text("ab-*?", min_size=1, max_size=5).filter(lambda text: text.count("*") <= 8)
MATCHES = st.lists(st.tuples(st.sampled_from(("vol", "node")), PATTERNS), max_size=2, unique_by=lambda pair: pair[0])


def state(text: str) -> RuleState:
    return RuleState(parse_rule(text), text, frozenset({SITE}), 0.0)


def of(match: list[tuple[str, str]]) -> RuleState:
    inside = ", ".join(f'{key}="{pattern}"' for key, pattern in match)
    return state(f"{SITE}{{{inside}}}: drop" if match else f"{SITE}: drop")


@given(st.lists(MATCHES, max_size=12), TEXTS, TEXTS)
def test_the_same_rules_are_found_as_by_asking_each(matches: list[list[tuple[str, str]]], vol: str, node: str) -> None:
    index = RuleIndex(map(of, matches))
    passing = Passing(SITE, vol=vol, node=node)
    assert index.select(passing) == [rule for rule in index.rules if rule.selects(passing)]


def test_rules_for_others_are_not_even_asked() -> None:
    asked = []

    class Counted(RuleState):
        def selects(self, passing: Passing) -> bool:
            asked.append(self.key)
            return super().selects(passing)

    texts = [f"{SITE}{{vol={pattern}}}: drop" for pattern in ("pvc-1-*", "pvc-2-*", "*-end", "pvc-2-x", "*")]
    index = RuleIndex(Counted(parse_rule(text), text, frozenset({SITE}), 0.0) for text in texts)
    found = index.select(Passing(SITE, vol="pvc-2-x"))
    assert [rule.key for rule in found] == asked == [texts[1], texts[3], texts[4]]
