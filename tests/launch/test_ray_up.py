"""`ray up` on machines that SSH reaches, with `launch/cluster/onprem.yaml`: from no Ray at all to no Ray at all."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import psutil
import pytest
import yaml
from machines import BIN, ROOT, Machines, wait_until, why_not

WHY_NOT = why_not("sshd", "ssh", "ssh-keygen", "rsync")
pytestmark = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)

# In the place of the two that install: the wheels are 2 GB. The machines have the environment that runs this test; the
# package is the copied checkout, as it is after `pip install --editable`.
INSTALL = (
    "mkdir -p ~/site && ln -sfn ~/prefrontal ~/site/prefrontal && echo 'export PYTHONPATH=$HOME/site' >> ~/.bashrc"
)
SMALL = ["actors.envs=8", "run.env_steps=30000", "evaluate.episodes=20", "run.figures=0"]


def serve_ssh(machine, public_key):
    """A machine with SSH and Python, as one's own are; what `ray up` needs and no more."""
    machine.path(".ssh").mkdir(mode=0o700)
    machine.path(".ssh/authorized_keys").write_text(public_key)
    machine.path("venv").symlink_to(sys.prefix)
    machine.call("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "/run/key")
    machine.call("mkdir", "-p", "/run/sshd")
    options = ["HostKey=/run/key", "PidFile=none", "UsePAM=no", "PermitRootLogin=yes"]
    # Seconds for which a worker looks for a head that went; Ray's own value is 60.
    options.append("SetEnv=RAY_gcs_rpc_server_reconnect_timeout_s=10")
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


def titles(machine):
    """Command lines of what runs on a machine, but for its SSH server."""
    found = []
    for process in machine.processes():
        try:
            found.append(" ".join(process.cmdline()) or process.name())
        except (OSError, psutil.NoSuchProcess):
            continue
    return [title for title in found if "sshd" not in title]


def answer_to(laptop, url, *headers):
    """HTTP status that the laptop gets; 0 if nobody answers."""
    program = (
        "import sys, urllib.request as r, urllib.error as e\n"
        "try: print(r.urlopen(r.Request(sys.argv[1], headers=dict([h.split(': ') for h in sys.argv[2:]]))).status)\n"
        "except e.HTTPError as error: print(error.code)\n"
        "except OSError: print(0)"
    )
    return int(laptop.call(sys.executable, "-c", program, url, *headers))


def test_a_cluster_from_up_to_down(machines):
    laptop, head, workers = machines.switch, machines.add(), [machines.add(), machines.add()]
    laptop.path(".ssh").mkdir(mode=0o700)
    laptop.call("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", laptop.home / ".ssh/id_ed25519")
    for machine in (head, *workers):
        serve_ssh(machine, laptop.path(".ssh/id_ed25519.pub").read_text())
    file = laptop.home / "onprem.yaml"
    laptop.path("onprem.yaml").write_text(filled_in(head, workers))

    laptop.call("ray", "get-auth-token", "--generate")
    laptop.call("env", f"--chdir={ROOT}", "ray", "up", "--yes", file, limit_s=300)
    assert (head.path("prefrontal/pyproject.toml")).is_file()
    wait_until(lambda: all(any("raylet" in title for title in titles(worker)) for worker in workers), 180, 0.5)

    shell = laptop.start("ray", "attach", file, "-p", "8265", "-p", "6006", stdin=subprocess.PIPE)
    jobs = "http://127.0.0.1:8265/api/jobs/"
    wait_until(lambda: answer_to(laptop, jobs) == 401, 60, 1)  # through the tunnel, but not without the token
    client = {**laptop.env, "RAY_API_SERVER_ADDRESS": "http://127.0.0.1:8265"}
    command = ["prefrontal", "train", "cluster=auto", "actors.num=3", *SMALL]
    job = laptop.start("ray", "job", "submit", "--submission-id", "first", "--", *command, env=client)
    played = set()

    def ended():
        for machine in {head, *workers} - played:
            if any("Rollouts" in title for title in titles(machine)):
                played.add(machine)
        return job.poll() is not None

    wait_until(ended, 240, 0.3)
    output = job.stdout.read()
    assert job.returncode == 0, output[-3000:]
    assert "Ray on 3 node(s)" in output
    assert played == {head, *workers}, "an actor on each"
    laptop.call("ray", "rsync-down", file, "~/runs/", "runs/")
    (results,) = laptop.path("runs").glob("two_step/*_train/results.json")
    assert json.loads(results.read_text())

    shell.communicate("exit\n", timeout=60)
    laptop.call("ray", "down", "--yes", file)
    wait_until(
        lambda: not any(titles(machine) for machine in (head, *workers)),
        180,
        1,
        lambda: str([titles(machine) for machine in (head, *workers)]),
    )
