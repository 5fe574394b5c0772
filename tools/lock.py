"""Renew requirements.txt (to run) and requirements-dev.txt (to develop): exact versions with hashes.

The files hold for every platform and Python version that pyproject.toml allows.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from setup_venv import find_pip

ROOT = Path(__file__).resolve().parent.parent
BUILD = ["--group", "build"]
# The development file comes first and constrains the other: what is tested is what runs.
TARGETS = {
    "requirements-dev.txt": [*BUILD, "--group", "dev"],
    "requirements.txt": [*BUILD, "--constraint", "requirements-dev.txt"],
}


def main() -> None:
    """Resolve both files with uv, which is fetched for the occasion; arguments go to it, such as `--upgrade`."""
    with tempfile.TemporaryDirectory() as work:
        target = Path(work) / "uv"
        pip = find_pip(Path(sys.executable), Path(work))
        subprocess.run([*pip, "install", "--quiet", "--target", str(target), "uv"], check=True)
        for name, extra in TARGETS.items():
            command = [str(target / "bin" / "uv"), "pip", "compile", "pyproject.toml", *extra, "--universal"]
            command += ["--python-version", "3.11", "--generate-hashes", "--no-emit-index-url", "--quiet"]
            subprocess.run([*command, "--output-file", name, *sys.argv[1:]], check=True, cwd=ROOT)
            print(name)


if __name__ == "__main__":
    main()
