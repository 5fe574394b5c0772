"""What runs in worker processes: plain data in and out, and no log."""

import pickle
import subprocess
import sys

from csisim.sweep import work
from csisim.sweep.cases import Case
from csisim.sweep.stories import stories_of

CASE = Case("nfs", "mount", "mount.bind", 1, "error(EIO)")


def test_what_goes_in_and_what_comes_out_can_be_sent_to_another_process():
    assert pickle.loads(pickle.dumps(CASE)) == CASE  # noqa: S301 - our own
    (outcome,) = work.run_batch([CASE], 1)
    assert pickle.loads(pickle.dumps(outcome)) == outcome  # noqa: S301 - our own
    assert (outcome.fired, outcome.violations) == (True, ())


def test_every_story_is_recorded():
    passes = work.record_stories("nfs", 1)

    assert tuple(passes) == stories_of("nfs")
    assert passes["mount"]["rpc.CreateVolume.before"] == 1
    assert passes["copies"]["rpc.CreateVolume.before"] == 3
    known = {"rpc.CreateVolume.before": 2, "rpc.CreateVolume.after": 3, "mount.bind": 1}
    assert work.passed_beyond("nfs", "copies", known, 1) == {"rpc.CreateVolume.before": 3, "mount.bind": 2}


def test_a_silenced_worker_says_nothing_about_faults():
    script = (
        "from csisim.logs import silence; from csisim.sweep import work; from csisim.sweep.cases import Case; silence();"
        "print(work.run_batch([Case('nfs', 'mount', 'process.driver', 2, 'crash')], 1)[0].fired)"
    )
    environment = {"GRPC_VERBOSITY": "NONE", "PATH": ""}

    found = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True, env=environment
    )

    assert (found.stdout, found.stderr) == ("True\n", "")
