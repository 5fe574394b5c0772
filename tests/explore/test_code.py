"""Which code runs."""

import pytest

from csisim import __version__
from csisim.explore.code import OtherCode, check, version


def test_the_version_says_more_than_the_release() -> None:
    release, plus, digest = version().partition("+")
    assert (release, plus, len(digest)) == (__version__, "+", 12)
    check(version(), "it was run by")


def test_other_code_is_refused() -> None:
    with pytest.raises(OtherCode, match=r"it was run by csisim 0\.0\.9, this is"):
        check("0.0.9", "it was run by")
