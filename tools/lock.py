"""Renew requirements.txt (to run) and requirements-dev.txt (to develop): exact versions with hashes.

The files hold for every platform and Python version that pyproject.toml allows.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ["--group", "build"]
# The development file comes first and constrains the other: what is tested is what runs.
TARGETS = {
    "requirements-dev.txt": [*BUILD, "--group", "dev"],
    "requirements.txt": [*BUILD, "--constraint", "requirements-dev.txt"],
}


def main() -> None:
    """Resolve both files with uv, which is fetched for the occasion."""
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "uv"], check=True)
    for name, extra in TARGETS.items():
        command = ["-m", "uv", "pip", "compile", "pyproject.toml", *extra, "--universal", "--python-version", "3.11"]
        command += ["--generate-hashes", "--no-emit-index-url", "--quiet", "--output-file", name]
        subprocess.run([sys.executable, *command, *sys.argv[1:]], check=True, cwd=ROOT)
        print(name)


if __name__ == "__main__":
    main()
