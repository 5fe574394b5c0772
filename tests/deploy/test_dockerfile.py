"""The Dockerfile builds from pinned things that exist, and ends as an ordinary user."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
DOCKERFILE = ROOT / "deploy" / "Dockerfile"


def instructions(text: str) -> list[tuple[str, str]]:
    """(instruction, rest) in order, continuation lines joined, comments left out."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in joined.splitlines() if line)]


STEPS = instructions(DOCKERFILE.read_text())


def all_of(name: str) -> list[str]:
    return [rest for instruction, rest in STEPS if instruction == name]


def copied() -> list[str]:
    """What COPY takes from the project, as opposed to another stage."""
    return [source for rest in all_of("COPY") if "--from" not in rest for source in rest.split()[:-1]]


def test_only_known_instructions_and_two_stages() -> None:
    assert {name for name, _ in STEPS} == {
        "FROM",
        "WORKDIR",
        "ENV",
        "RUN",
        "COPY",
        "LABEL",
        "USER",
        "ENTRYPOINT",
        "CMD",
    }
    assert len(all_of("FROM")) == 2


def test_base_images_are_one_exact_python_that_the_project_supports() -> None:
    bases = {rest.split()[0] for rest in all_of("FROM")}
    assert len(bases) == 1
    found = re.fullmatch(r"python:(3\.(\d+)\.\d+)-slim-\w+", bases.pop())
    assert found is not None
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert f"Programming Language :: Python :: 3.{found[2]}" in project["classifiers"]


def test_nothing_is_latest() -> None:
    assert "latest" not in DOCKERFILE.read_text()


def test_copied_paths_exist_and_are_let_through_to_the_build() -> None:
    let_through = (DOCKERFILE.parent / "Dockerfile.dockerignore").read_text().splitlines()
    assert copied()
    for path in copied():
        assert (ROOT / path).exists(), path
        assert f"!{path}" in let_through, path


def test_everything_that_the_build_of_the_package_reads_is_copied() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = [name.rstrip("*") for name in project["tool"]["setuptools"]["packages"]["find"]["include"]]
    needed = {"requirements.txt", "pyproject.toml", project["project"]["readme"], *project["project"]["license-files"]}
    assert set(copied()) == needed | set(packages)


def test_dependencies_come_with_hashes_and_the_package_without_fetching_more() -> None:
    installs = [rest for rest in all_of("RUN") if "pip install" in rest]
    assert len(installs) == 2
    assert "--require-hashes -r requirements.txt" in installs[0]
    assert "--no-deps --no-build-isolation ." in installs[1]
    requirements = (ROOT / "requirements.txt").read_text()
    assert "--hash=sha256:" in requirements
    assert re.search(r"^setuptools==", requirements, re.MULTILINE), "building without isolation needs it there"


def test_runs_as_a_numbered_user_other_than_root() -> None:
    # The kubelet can check runAsNonRoot only against a number.
    assert STEPS[-3:] == [("USER", "65532:65532"), ("ENTRYPOINT", '["csisim"]'), ("CMD", '["serve"]')]


@pytest.mark.parametrize("script", ["csisim", "fake-truenas"])
def test_commands_used_in_the_image_are_console_scripts(script: str) -> None:
    assert script in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]


def test_continuation_lines_and_comments_are_understood() -> None:
    text = "# c\nFROM a\nRUN one \\\n    && two\n"
    assert instructions(text) == [("FROM", "a"), ("RUN", "one && two")]
