"""One-time passwords against the vectors of RFC 6238, cut to six digits."""

import base64

import pytest

from fake_truenas import totp

SECRET = b"12345678901234567890"


@pytest.mark.parametrize(
    ("now", "code"),
    [(59.0, "287082"), (1111111109.0, "081804"), (1111111111.0, "050471"), (1234567890.0, "005924"),
     (2000000000.0, "279037"), (20000000000.0, "353130")],
)  # fmt: skip
def test_the_codes_of_the_rfc(now: float, code: str) -> None:
    assert totp.code(SECRET, now) == code
    assert totp.matches(SECRET, code, now)


def test_a_code_is_good_in_its_own_interval_only() -> None:
    assert [totp.matches(SECRET, "287082", now) for now in (29.9, 30.0, 59.9, 60.0)] == [False, True, True, False]
    assert not any(totp.matches(SECRET, wrong, 59.0) for wrong in ("", "28708", "287083", "0287082", "é", "\ud800"))


def test_secrets_are_base32_with_or_without_padding_in_either_case() -> None:
    text = base64.b32encode(SECRET).decode()
    assert totp.parse_secret(text) == totp.parse_secret(text.lower()) == SECRET
    assert totp.parse_secret("JBSWY3DPEHPK3PXP") == totp.parse_secret("jbswy3dpehpk3pxp======")


@pytest.mark.parametrize("text", ["", "JBSWY3DP", "JBSWY3DPEHPK3PX1", "JBSWY3DPEHPK3PX", "JBSWY3DP EHPK3PXP", "é" * 16])
def test_other_secrets_are_refused_without_showing_them(text: str) -> None:
    with pytest.raises(ValueError, match="one-time password secret") as caught:
        totp.parse_secret(text)
    assert not text or text not in str(caught.value)
