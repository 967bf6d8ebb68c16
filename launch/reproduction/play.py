"""A process that plays the commands of one job, one after the other, and ends them when who started it is gone.

It knows nothing of the program but its command line, so that it starts at once: the job is its argument, as JSON. The
end of its standard input, which comes also when its starter is killed, means stop: the command at hand gets SIGTERM, by
which a training saves a checkpoint. What is done is marked in a file, with what it was made with and how long it took.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

STOPPED = 130


def done(mark: Path) -> dict[str, Any]:
    """The commands that were played to their end, by name: `made_with`, `seconds`, `processor`."""
    if not mark.is_file():
        return {}
    found: dict[str, Any] = json.loads(mark.read_text())
    return found


def processor() -> str:
    """What computes here, as its maker calls it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def play(job: dict[str, Any], stop: threading.Event) -> int:
    """Play what is not done yet; the exit status of the command that failed, or 0."""
    folder, mark = Path(job["folder"]), Path(job["folder"], job["mark"])
    folder.mkdir(parents=True, exist_ok=True)
    found = done(mark)
    for step in job["steps"]:
        if found.get(step["name"], {}).get("made_with") == step["made_with"]:
            continue
        started = time.monotonic()
        if (status := _command(step["command"], Path(job["folder"], job["log"]), stop)) != 0:
            return status
        took = {"seconds": round(time.monotonic() - started, 3), "processor": processor(), "cpus": os.cpu_count()}
        found[step["name"]] = {"made_with": step["made_with"], **took}
        written = mark.with_name(f"{mark.name}.new")
        written.write_text(json.dumps(found, indent=2) + "\n")
        written.replace(mark)
    return 0


def _command(command: list[str], log: Path, stop: threading.Event) -> int:
    if stop.is_set():
        return STOPPED
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "prefrontal.launch.cli", *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    while (status := process.poll()) is None:
        if stop.wait(0.05):
            process.terminate()
            process.wait()
            return STOPPED
    return status


def main() -> None:
    """Play the job that the argument describes."""
    stop = threading.Event()

    def wait_for_the_end() -> None:
        os.read(0, 1)  # not of sys.stdin, whose lock would be held at the end
        stop.set()

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    raise SystemExit(play(json.loads(sys.argv[1]), stop))


if __name__ == "__main__":
    main()
