"""A driver for the tests of conformance: as it is, or behind `csisim proxy` where CSISIM_TEST_PROXY is set."""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from tests.support.processes import Server, driver

VARIABLE = "CSISIM_TEST_PROXY"


class ProxiedDriver(Server):
    """The proxy's process, in the place of the driver's, which has a directory of its own."""

    def __init__(self, directory: Path, flags: tuple[str, ...], endpoint: Path) -> None:
        own = Path(tempfile.mkdtemp(prefix="csisim-"))  # beside the tests' own: they look at what is in those
        self._driver = driver(own, *flags)
        self._said = ""
        where = ["--listen", f"unix://{endpoint}", "--upstream", f"unix://{own}/csi.sock"]
        super().__init__(["csisim.cli.main", "proxy", *where, *_shared(flags)], directory, "csisim")

    @property
    def output(self) -> str:
        return super().output + (self._driver.output if self._driver.directory.exists() else self._said)

    def start(self) -> "ProxiedDriver":
        self._driver.start()
        super().start()
        return self

    def stop(self) -> None:
        super().stop()
        self._driver.stop()
        self._said += self._driver.output
        shutil.rmtree(self._driver.directory)

    def kill(self) -> None:
        super().kill()
        self._driver.kill()
        shutil.rmtree(self._driver.directory, ignore_errors=True)


def _shared(flags: tuple[str, ...]) -> list[str]:
    """Those of the driver's flags that are for its log."""
    pairs = zip(flags[::2], flags[1::2], strict=False)
    return [text for pair in pairs if pair[0] in {"--log-format", "-v"} for text in pair]


def plugin(directory: Path, *flags: str, endpoint: Path | None = None, **more: Any) -> Server:
    """`csisim serve` on `<directory>/csi.sock`, not yet started; behind a proxy if that is what is tested."""
    if os.environ.get(VARIABLE):
        return ProxiedDriver(directory, flags, endpoint or directory / "csi.sock")
    return driver(directory, *flags, endpoint=endpoint, **more)
