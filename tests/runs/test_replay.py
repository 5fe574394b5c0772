"""Tokens and files that repeat a run. They come from outside: anything may be in them."""

import base64
import contextlib
import json
import random
import zlib

import pytest

from csisim.runs.plan import RunPlan
from csisim.runs.replay import PREFIX, Replay, parse_file, parse_token, tape_of
from csisim.sim.tape import Tape

PLAN = RunPlan(seed=11, clients=8, operations=20, faults=("rpc.*.after: 3%drop",))
KNOWN = Replay(PLAN, "0123456789abcdef" * 2, "violation")


def token_of(found: object) -> str:
    return PREFIX + base64.urlsafe_b64encode(zlib.compress(json.dumps(found).encode())).decode().rstrip("=")


def test_a_token_is_one_short_line_and_read_back():
    token = KNOWN.token()
    assert token.startswith("csi1-")
    assert len(Replay(RunPlan(seed=1), "ab" * 16).token()) < 140
    assert not {" ", "\n", "="} & set(token)
    assert parse_token(token) == KNOWN


def test_a_file_is_read_back_and_has_the_schedule():
    tape = Tape({4: 1, 9: 2}, {3: 0.25}).dump()
    content = KNOWN.dump(tape).encode()
    assert parse_file(content) == KNOWN
    assert Tape.load(tape_of(content)) == Tape({4: 1, 9: 2}, {3: 0.25})
    assert RunPlan(seed=1, tape=tape_of(content)).tape == tape
    with pytest.raises(ValueError, match="there is no tape in the file"):
        tape_of(KNOWN.dump().encode())


@pytest.mark.parametrize(
    ("token", "said"),
    [
        ("", "begins with csi1-"),
        ("csi9-abc", "begins with csi1-, not with 'csi9-abc'"),
        ("csi1-", "cut off"),
        ("csi1-%%%%", "damaged"),
        ("csi1-äöü", "damaged"),
        ("csi1-YWJj", "damaged"),
        (KNOWN.token()[:-9], "cut off|damaged"),
        ("csi1-" + "A" * (1 << 20), "characters; at most"),
        (token_of([]), "not an object"),
        (token_of({"p": {"seed": 1}, "x": 1}), "not an object with h, p, r, v"),
        (token_of({"p": {"seed": "one"}, "h": "", "r": "ok"}), "seed: 'one' is not a whole number"),
        (token_of({"p": {"seed": 1}, "h": "xyz", "r": "ok"}), "'xyz' is not a trace hash"),
        (token_of({"p": {"seed": 1}, "h": 7, "r": "ok"}), "'7' is not a trace hash"),
        (token_of({"p": {"seed": 1}, "h": "", "r": "fine"}), "'fine' is not a verdict"),
        (token_of({"h": "", "r": "ok"}), "a plan is an object"),
        (token_of({"p": {"seed": 1}, "r": "ok", "v": "1\x1b[2J"}), "is not a version of csisim"),
        (token_of({"p": {"seed": 1, "network_s": [0, 10**400]}, "r": "ok"}), "not a shortest and a longest time"),
        (token_of({"p": {"seed": 1, "tape": "[" * 100_000}, "r": "ok"}), "a tape is one line of JSON"),
    ],
)
def test_a_hostile_token_is_refused_with_a_reason(token, said):
    with pytest.raises(ValueError, match=said) as refused:
        parse_token(token)
    assert len(str(refused.value)) < 400


def test_a_small_token_that_would_be_huge_is_refused_before_it_is():
    packed = zlib.compress(b'{"p": "' + b" " * (16 << 20) + b'"}', 9)
    token = PREFIX + base64.urlsafe_b64encode(packed).decode()
    assert len(token) < 100_000
    with pytest.raises(ValueError, match="far too large"):
        parse_token(token)


def test_deep_nesting_is_refused():
    with pytest.raises(ValueError, match="not JSON"):
        parse_file(b"[" * 200_000)
    with pytest.raises(ValueError, match="bytes; at most"):
        parse_file(b" " * (9 << 20))
    with pytest.raises(ValueError, match="form is 'csisim replay'"):
        parse_file(b'{"plan": {"seed": 1}}')


def test_a_token_with_any_character_changed_is_read_as_a_run_or_refused():
    rng, token = random.Random(5), KNOWN.token()
    for _ in range(300):
        at = rng.randrange(len(token))
        changed = token[:at] + rng.choice("Aa0-_%é\x00") + token[at + 1 :]
        with contextlib.suppress(ValueError):
            assert isinstance(parse_token(changed).plan, RunPlan)
