"""Fill a virtual environment with the pinned versions, on a machine that may have neither ensurepip nor pip.

Usage: python3 tools/setup_venv.py .venv requirements.txt
"""

import hashlib
import os
import subprocess
import sys
import tempfile
import urllib.request
import venv
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin, urlsplit

ROOT = Path(__file__).resolve().parent.parent
OLDEST = (3, 11)
# Used only where the machine has no pip at all; PIP_INDEX_URL overrides it, as it does for pip.
DEFAULT_INDEX = "https://pypi.org/simple"


def main(directory: str, requirements: str) -> None:
    """Create or reuse the environment, install the pinned packages, then the project itself, editable."""
    if sys.version_info < OLDEST:
        sys.exit(f"Python {sys.version.split()[0]} is too old: csisim needs 3.11 or newer. Try make PYTHON=python3.12")
    target = (ROOT / directory).resolve()
    python = target / "bin" / "python"
    print(f"Setting up {directory} from {requirements} (once; about a minute) ...", flush=True)
    if not python.exists():
        venv.create(target, with_pip=False, symlinks=True, clear=target.exists())
    with tempfile.TemporaryDirectory() as work:
        pip = find_pip(python, Path(work))
        install = [*pip, "install", "--quiet", "--disable-pip-version-check", "--no-warn-script-location"]
        run([*install, "--require-hashes", "-r", requirements])
        # The build backend comes from the environment itself, so nothing unpinned is fetched.
        run([*install, "--no-deps", "--no-build-isolation", "--editable", "."])


def find_pip(python: Path, work: Path) -> list[str]:
    """The command that installs into `python`'s environment: its own pip, this machine's, or one fetched for now."""
    if works([str(python), "-m", "pip", "--version"]):
        return [str(python), "-m", "pip"]
    if works([sys.executable, "-m", "pip", "--python", str(python), "--version"]):
        return [sys.executable, "-m", "pip", "--python", str(python)]
    return [str(python), str(fetch_pip(work) / "pip")]


def works(command: list[str]) -> bool:
    """Whether the command exits with status 0."""
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 0


class Links(HTMLParser):
    """The links of an index page (PEP 503): file name to address with its hash."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep the wheels that were not withdrawn."""
        attributes = dict(attrs)
        href = attributes.get("href") or ""
        name = urlsplit(href).path.rpartition("/")[2]
        if tag == "a" and name.endswith("-py3-none-any.whl") and "data-yanked" not in attributes:
            self.found[name] = href


def fetch_pip(work: Path) -> Path:
    """Download pip's newest wheel, check its hash, and return it: a wheel of pip runs as it is."""
    page = f"{os.environ.get('PIP_INDEX_URL', DEFAULT_INDEX).rstrip('/')}/pip/"
    links = Links()
    with urllib.request.urlopen(page, timeout=60) as reply:
        links.feed(reply.read().decode())
    if not links.found:
        sys.exit(f"{page} lists no wheel of pip; install pip, or set PIP_INDEX_URL to a package index")
    name = max(links.found, key=version)
    with urllib.request.urlopen(urljoin(page, links.found[name]), timeout=120) as reply:
        body = reply.read()
    if urlsplit(links.found[name]).fragment != f"sha256={hashlib.sha256(body).hexdigest()}":
        sys.exit(f"{name} does not have the hash that {page} states; try again")
    wheel = work / name
    wheel.write_bytes(body)
    return wheel


def version(filename: str) -> tuple[int, ...]:
    """The release numbers in a wheel's name; pre-releases sort first."""
    parts = filename.split("-")[1].split(".")
    return tuple(int(part) for part in parts) if all(part.isdigit() for part in parts) else (0,)


def run(command: list[str]) -> None:
    """Run a command from the project's root; its own output says what went wrong."""
    done = subprocess.run(command, check=False, cwd=ROOT)
    if done.returncode != 0:
        sys.exit(f"set-up failed: {' '.join(command)} ended with status {done.returncode}")


if __name__ == "__main__":
    main(*sys.argv[1:])
