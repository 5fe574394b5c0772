"""The Indexed Job: its shards cover all seeds, and its command and exit codes are those of `csisim explore`."""

from itertools import pairwise
from typing import Any

import typer

from csisim import __version__
from csisim.cli import explore
from csisim.cli.main import app
from csisim.cli.run_options import seeds_of, shard_of
from tests.deploy.manifests import Manifest, examples


def job() -> Manifest:
    (only,) = [manifest for manifest in examples() if manifest["kind"] == "Job"]
    return only


def pod() -> Manifest:
    (only,) = job()["spec"]["template"]["spec"]["containers"]
    return only


def test_the_shards_of_its_pods_cover_all_seeds_once() -> None:
    spec, environ = job()["spec"], {each["name"]: each["value"] for each in pod()["env"]}
    assert spec["completionMode"] == "Indexed"
    assert int(environ["JOB_COMPLETIONS"]) == spec["completions"] == spec["parallelism"]
    (span,) = [arg.removeprefix("--seeds=") for arg in pod()["args"] if arg.startswith("--seeds=")]
    seeds = seeds_of(span)
    parts = [shard_of(seeds, None, environ | {"JOB_COMPLETION_INDEX": str(at)}) for at in range(spec["completions"])]
    assert parts[0].start == seeds.start
    assert parts[-1].stop == seeds.stop
    assert all(one.stop == other.start for one, other in pairwise(parts))


def test_its_command_is_one_that_the_image_has() -> None:
    group: Any = typer.main.get_command(app)
    name, *flags = pod()["args"]
    context = group.commands[name].make_context(name, flags)
    assert (context.params["jobs"], str(context.params["out"])) == (1, "-")
    assert pod()["image"] == f"csisim:{__version__}"


def test_what_would_end_the_same_again_is_not_repeated_and_what_would_not_is() -> None:
    rules = job()["spec"]["podFailurePolicy"]["rules"]
    (ends,) = [rule["onExitCodes"] for rule in rules if rule["action"] == "FailIndex"]
    assert (ends["operator"], ends["containerName"], sorted(ends["values"])) == ("In", pod()["name"], [1, 2])
    assert explore.BROKEN not in ends["values"]
    # Without these the policy is refused.
    assert job()["spec"]["template"]["spec"]["restartPolicy"] == "Never"
    assert "backoffLimitPerIndex" in job()["spec"]
