"""`ray up` on machines that SSH reaches, with `launch/cluster/onprem.yaml`: from no Ray at all to no Ray at all."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import yaml
from machines import BIN, ROOT, Machines, wait_until, why_not

WHY_NOT = why_not("sshd", "ssh", "ssh-keygen", "rsync")
pytestmark = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)

# In the place of the two that install: the wheels are 2 GB. The machines have the environment that runs this test; the
# package is the copied checkout, as it is after `pip install --editable`.
INSTALL = "mkdir -p ~/site && ln -sfn ~/prefrontal ~/site/prefrontal && echo 'export PYTHONPATH=$HOME/site' >> ~/.bashrc"
SMALL = ["actors.envs=8", "run.env_steps=30000", "evaluate.episodes=20", "run.figures=0"]


def serve_ssh(machine, public_key):
    """A machine with SSH and Python, as one's own are; what `ray up` needs and no more."""
    machine.path(".ssh").mkdir(mode=0o700)
    machine.path(".ssh/authorized_keys").write_text(public_key)
    machine.path("venv").symlink_to(sys.prefix)
    machine.call("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "/run/key")
    machine.call("mkdir", "-p", "/run/sshd")
    options = ["HostKey=/run/key", "PidFile=none", "UsePAM=no", "PermitRootLogin=yes", "Subsystem=sftp internal-sftp"]
    machine.call(shutil.which("sshd"), "-f", "/dev/null", *(word for option in options for word in ("-o", option)))


def filled_in(head, workers):
    """The file as a user fills it in, but for the installation."""
    config = yaml.safe_load((ROOT / "launch" / "cluster" / "onprem.yaml").read_text())
    config["provider"] |= {"head_ip": head.address, "worker_ips": [worker.address for worker in workers]}
    config["auth"]["ssh_user"] = "root"
    kept = [command for command in config["setup_commands"] if "pip install" not in command]
    assert len(kept) == len(config["setup_commands"]) - 2
    config["setup_commands"] = [*kept, INSTALL]
    return yaml.safe_dump(config)


@pytest.fixture
def machines():
    made = Machines({key: value for key, value in os.environ.items() if not key.startswith(("RAY_", "PYTHONPATH"))})
    made.env |= {"RAY_AUTH_MODE": "token", "PATH": f"{BIN}:{os.environ['PATH']}", "COLUMNS": "200"}
    yield made
    made.close()


def running(machine, title):
    found = []
    for process in machine.processes():
        try:
            found += [process] if title in " ".join(process.cmdline()) else []
        except (OSError, psutil.NoSuchProcess):
            continue
    return found
