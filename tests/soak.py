"""Many random faults in one long training on a real Ray cluster; not part of the test suite: `make soak`.

Three nodes on this machine. At random moments an actor is killed, stopped for longer than `actors.timeout_s` (a hang)
or for a moment (a pause), the learner is killed, a node is killed and another joins. After the last fault the driver
is preempted (SIGTERM), and the run goes on to its end. It has to have learnt, memory has to stay flat, and nothing may
be left running.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from pathlib import Path

import psutil
from prefrontal.launch.environment import ENVIRONMENT
from prefrontal.learner.checkpoint import CheckpointFolder
from ray.cluster_utils import Cluster
from rich.console import Console
from rich.table import Table

TIMEOUT_S = 8.0
NODES = 3
ENDLESS = 10**9
"""Environment steps that the run never makes."""
STOPPED = 130
"""Exit status of a run that was asked to stop."""
MARK = "PREFRONTAL_SOAK"
"""Environment variable that tells this soak's processes from all others."""
FAULTS = {"actor killed": 40, "actor hangs": 20, "actor paused": 22, "node killed": 14, "learner killed": 4}
"""How often each comes, relative to the others."""


def family(mark: str) -> list[psutil.Process]:
    """All processes of this soak but itself, also those whose parent has gone."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get(MARK) == mark:
                found.append(process)
        except psutil.Error:
            continue
    return found


def titled(mark: str, title: str) -> list[psutil.Process]:
    """Processes of Ray with this in their title, without those that are stopped or gone."""
    found = []
    for process in family(mark):
        try:
            if title in " ".join(process.cmdline()) and process.status() not in ("stopped", "zombie"):
                found.append(process)
        except psutil.Error:
            continue
    return found


def pause(process: psutil.Process, seconds: float) -> None:
    """SIGSTOP now, SIGCONT later, if it still lives."""
    process.send_signal(signal.SIGSTOP)

    def go_on() -> None:
        try:
            process.send_signal(signal.SIGCONT)
        except psutil.NoSuchProcess:
            return

    timer = threading.Timer(seconds, go_on)
    timer.daemon = True
    timer.start()


class Trouble:
    """Makes faults in a cluster. The head's node stays: with it the run would end."""

    def __init__(self, cluster: Cluster, mark: str, seed: int) -> None:
        self._cluster, self._mark = cluster, mark
        self._rng = random.Random(seed)
        self._workers = [cluster.add_node(num_cpus=1) for _ in range(NODES - 1)]
        self.made: Counter[str] = Counter()

    def make_one(self) -> None:
        """One fault, if there is somebody whom it can befall."""
        (what,) = self._rng.choices(list(FAULTS), weights=list(FAULTS.values()))
        try:
            done = self._node() if what == "node killed" else self._process(what)
        except psutil.NoSuchProcess:
            return  # it had just ended by itself
        self.made[what] += done

    def _node(self) -> bool:
        node = self._rng.choice(self._workers)
        self._cluster.remove_node(node, allow_graceful=False)
        self._workers.remove(node)
        self._workers.append(self._cluster.add_node(num_cpus=1))
        return True

    def _process(self, what: str) -> bool:
        victims = titled(self._mark, "RemoteLearner" if what == "learner killed" else "Rollouts")
        if not victims:
            return False
        victim = self._rng.choice(victims)
        if what == "actor hangs":
            pause(victim, 4 * TIMEOUT_S)
        elif what == "actor paused":
            pause(victim, self._rng.uniform(0.5, TIMEOUT_S / 2))
        else:
            victim.kill()
        return True


def memory_mb(mark: str, driver: int) -> dict[str, float]:
    """Unshared memory: driver, learner and the largest actor, each alone; Ray's own processes together."""
    used = {"driver": 0.0, "learner": 0.0, "largest actor": 0.0, "Ray's processes": 0.0}
    for process in family(mark):
        try:
            title, size = " ".join(process.cmdline()), process.memory_full_info().uss / 2**20
        except psutil.Error:
            continue
        if process.pid == driver:
            used["driver"] = size
        elif "RemoteLearner" in title:
            used["learner"] = size
        elif "Rollouts" in title:
            used["largest actor"] = max(used["largest actor"], size)
        elif "gcs_server" in title or "raylet" in title:
            used["Ray's processes"] += size
    used["shared memory"] = psutil.disk_usage("/dev/shm").used / 2**20
    return used


def report(samples: list[dict[str, float]], made: Counter[str], output: str, folder: Path) -> None:
    """Print what was seen."""
    console = Console()
    table = Table(title="memory in MiB, medians", title_justify="left")
    for column in ("what", "second fifth", "last fifth"):
        table.add_column(column, justify="left" if column == "what" else "right")
    fifth = max(1, len(samples) // 5)
    for name in samples[0]:
        early = statistics.median(sample[name] for sample in samples[fifth : 2 * fifth] or samples)
        late = statistics.median(sample[name] for sample in samples[-fifth:])
        table.add_row(name, f"{early:.0f}", f"{late:.0f}")
    console.print("\n".join(output.splitlines()[-30:]), highlight=False, markup=False)
    console.print(f"{made.total()} faults: " + ", ".join(f"{count} x {what}" for what, count in made.items()))
    console.print(table)
    results = json.loads((folder / "results.json").read_text())
    console.print({name: results[name] for name in ("env_steps", "reward_per_trial", "stay_probability")})


def main() -> int:
    """Run the soak; the exit code is 0 if everything held."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", type=int, default=200)
    parser.add_argument("--every", type=float, default=6.0, metavar="SECONDS", help="mean time between two faults")
    parser.add_argument("--learn-steps", type=int, default=10_000_000, help="over which the learning rate goes to 0")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    mark = uuid.uuid4().hex
    os.environ |= {**ENVIRONMENT, MARK: mark}
    rng = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "run"
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        program = [sys.executable, "-m", "prefrontal.launch.cli", "train", f"cluster={cluster.address}"]
        fraction = options.learn_steps / ENDLESS
        start = ["actors.num=auto", f"actors.timeout_s={TIMEOUT_S}", "actors.max_restarts=10000"]
        start += ["learner.max_restarts=1000", "run.checkpoint_every_s=5", f"run.folder={folder}"]
        start += [f"run.env_steps={ENDLESS}", "run.log_points=10000", "run.figures=20"]
        start += [f"algo.learning_rate.fraction={fraction}", f"algo.entropy_weight.fraction={fraction}"]
        with (Path(name) / "output").open("w+") as log:
            driver = subprocess.Popen([*program, *start], stdout=log, stderr=subprocess.STDOUT)
            while not (folder / "checkpoints").is_dir() or not any((folder / "checkpoints").iterdir()):
                assert driver.poll() is None, (Path(name) / "output").read_text()
                time.sleep(0.5)
            # Not earlier: a driver that starts beside several nodes of one address may belong to any of them.
            trouble = Trouble(cluster, mark, options.seed)
            samples = []
            while driver.poll() is None and trouble.made.total() < options.faults:
                time.sleep(rng.expovariate(1 / options.every))
                samples.append(memory_mb(mark, driver.pid))
                trouble.make_one()
                print(f"{trouble.made.total()} faults", flush=True)
            driver.terminate()
            if driver.wait() == STOPPED:
                end = CheckpointFolder(folder / "checkpoints").newest()[0].scalars["env_steps"] + 200_000
                resume = [*program, f"resume={folder}", f"run.env_steps={end}"]
                driver = subprocess.Popen(resume, stdout=log, stderr=subprocess.STDOUT)
                driver.wait()
            output = (Path(name) / "output").read_text()
        cluster.shutdown()
        if driver.returncode:
            print(output)
            return driver.returncode
        report(samples, trouble.made, output, folder)
        time.sleep(5)
        left = [" ".join(process.cmdline())[:100] for process in family(mark)]
        print(f"left running: {left or 'nothing'}")
        learnt = json.loads((folder / "results.json").read_text())["reward_per_trial"] >= 0.695
        return 0 if learnt and not left and trouble.made.total() >= options.faults else 1


if __name__ == "__main__":
    sys.exit(main())
