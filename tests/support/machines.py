"""Machines of a cluster on this one: Linux namespaces with an address, processes, a home and a /tmp of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
NET = "10.213.7"  # seen by the namespaces alone
HOME = Path.home()

# Its own /tmp, since Ray keeps sessions and ports there, /dev/shm for the object store, and home. What Python needs of
# the real ones is put back. It lives as long as its input is open, and then, as if switched off, all that runs in it
# ends; as the first process it also buries the orphans of the others.
BOOT = """
set -e
keep=("$@")
mount -t tmpfs tmpfs /run
for i in "${!keep[@]}"; do mkdir /run/keep$i && mount --bind "${keep[$i]}" /run/keep$i; done
mount -t tmpfs -o mode=1777 tmpfs /tmp
mount -t tmpfs -o size=1g,mode=1777 tmpfs /dev/shm
mount -t tmpfs -o mode=700 tmpfs "$HOME"
for i in "${!keep[@]}"; do mkdir -p "${keep[$i]}" && mount --bind /run/keep$i "${keep[$i]}"; done
cp -r /etc/skel/. "$HOME"
ip link set lo up
echo up
cat > /dev/null
"""
UNSHARE = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]


def why_not(*programs: str) -> str:
    """Why there can be no such machines here, or with these programs on them; empty if there can."""
    missing = [name for name in ("unshare", "nsenter", "ip", *programs) if shutil.which(name) is None]
    if os.geteuid() != 0:
        return "machines of namespaces need root"
    if missing:
        return f"machines of namespaces need {', '.join(missing)}"
    script = "mount -t tmpfs tmpfs /run && ip link add br0 type bridge"
    tried = subprocess.run([*UNSHARE, "sh", "-c", script], capture_output=True, text=True, check=False)
    return f"namespaces are not allowed here: {tried.stderr.strip()}" if tried.returncode else ""


def _kept() -> list[str]:
    """What Python needs of the folders that a machine has of its own."""
    needed = {str(path) for path in (ROOT, sys.prefix, sys.base_prefix, *sys.path) if Path(path).is_dir()}
    covered = {path for path in needed if any(str(parent) in needed for parent in Path(path).parents)}
    return sorted(path for path in needed - covered if any(Path(path).is_relative_to(own) for own in ("/tmp", HOME)))


class Machine:
    """One of them; `number` is the last part of its address."""

    def __init__(self, number: int, env: dict[str, str]) -> None:
        self.number, self.env = number, env
        self.address = f"{NET}.{number}"
        self._outside = subprocess.Popen(
            [*UNSHARE, "bash", "-c", BOOT, "boot", *_kept()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        said = self._outside.stdout.readline()
        assert said == "up\n", said + self._outside.stdout.read()
        (first,) = psutil.Process(self._outside.pid).children()
        self.pid, self.home = first.pid, HOME

    def path(self, relative: str | Path) -> Path:
        """A path below its home, as this process reaches it."""
        return Path(f"/proc/{self.pid}/root{HOME}") / relative

    def command(self, *command: str | Path) -> list[str]:
        """What runs a command on it, in its home."""
        enter = ["nsenter", f"--target={self.pid}", "--net", "--mount", "--pid", f"--wd=/proc/{self.pid}/root{HOME}"]
        return [*enter, "--", *map(str, command)]

    def start(self, *command: str | Path, env: dict[str, str] | None = None, stdin: int | None = None):
        """A command whose output is collected; `stop` ends it."""
        pipe = subprocess.PIPE
        return subprocess.Popen(
            self.command(*command), env=env or self.env, stdin=stdin, stdout=pipe, stderr=subprocess.STDOUT, text=True
        )

    def call(self, *command: str | Path, limit_s: float = 120, env: dict[str, str] | None = None) -> str:
        """Output of a command that has to succeed."""
        process = self.start(*command, env=env, stdin=subprocess.DEVNULL)
        output, _ = process.communicate(timeout=limit_s)
        assert process.returncode == 0, f"{command}: {output[-3000:]}"
        return output

    def processes(self) -> list[psutil.Process]:
        """All that was started on it and runs."""
        mine = Path(f"/proc/{self.pid}/ns/pid").readlink()
        found = []
        for process in psutil.process_iter():
            try:
                space = Path(f"/proc/{process.pid}/ns/pid").readlink()
                if space == mine and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except (OSError, psutil.NoSuchProcess):
                continue
        own = {self.pid, *(child.pid for child in psutil.Process(self.pid).children() if child.name() == "cat")}
        return [process for process in found if process.pid not in own]

    def switch_off(self) -> None:
        """As a power cut would: all at once."""
        if self._outside.poll() is None:
            psutil.Process(self.pid).kill()
        self._outside.wait()
        self._outside.stdin.close()
        self._outside.stdout.close()


def signal_to(process: subprocess.Popen, number: int) -> None:
    """Send a signal to what `Machine.start` started; nsenter, which stands before it, passes none on."""
    (inside,) = psutil.Process(process.pid).children()
    inside.send_signal(number)


class Machines:
    """A switch, which is a machine too (number 1), and what is plugged into it (2, 3, ...)."""

    def __init__(self, env: dict[str, str]) -> None:
        self.env = env
        self.switch = Machine(1, env)
        self.all = [self.switch]
        self._ip(self.switch, "link", "add", "br0", "type", "bridge")
        self._ip(self.switch, "addr", "add", f"{self.switch.address}/24", "dev", "br0")
        self._ip(self.switch, "link", "set", "br0", "up")

    def add(self) -> Machine:
        """Another machine on the network."""
        made = Machine(len(self.all) + 1, self.env)
        self.all.append(made)
        port = f"port{made.number}"
        self._ip(self.switch, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", str(made.pid))
        self._ip(self.switch, "link", "set", port, "master", "br0", "up")
        self._ip(made, "addr", "add", f"{made.address}/24", "dev", "eth0")
        self._ip(made, "link", "set", "eth0", "up")
        self._ip(made, "route", "add", "default", "via", self.switch.address)  # how Ray finds out its own address
        return made

    def unplug(self, machine: Machine) -> None:
        """Nothing goes to it or comes from it."""
        self._ip(self.switch, "link", "set", f"port{machine.number}", "down")

    def plug(self, machine: Machine) -> None:
        """The network is back."""
        self._ip(self.switch, "link", "set", f"port{machine.number}", "up")

    def close(self) -> None:
        """Switch all of them off; the network goes with them."""
        for machine in reversed(self.all):
            machine.switch_off()

    @staticmethod
    def _ip(machine: Machine, *arguments: str) -> None:
        # Only its network: the programs are those of this machine.
        command = ["nsenter", f"--target={machine.pid}", "--net", "ip", *arguments]
        subprocess.run(command, check=True, capture_output=True, text=True)


def wait_until(condition, limit_s: float, every_s: float = 0.2, otherwise=lambda: "") -> None:
    """Wait for a condition; the limit is there for a system that stands still, not for a slow one."""
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, otherwise()
        time.sleep(every_s)
