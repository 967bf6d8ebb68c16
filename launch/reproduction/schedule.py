"""Jobs side by side, on this machine's cores or on a Ray cluster's; what fails lets the others go on."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from ..config import ConfigError
from ..console import ProgressLine, console, errors
from .plan import DRAWING_S, Experiment, Job
from .play import STOPPED

POLL_S, LOCK_S = 0.1, 60.0

Ended = Callable[[], int | None]


class Playing(Protocol):
    """A job that was started."""

    def poll(self) -> int | None:
        """Its exit status; None while it plays."""

    def stop(self) -> None:
        """Let it save what it has and end."""

    def kill(self) -> None:
        """End it at once."""


class Here:
    """In processes of this machine. They are in a session of their own: Ctrl-C in a terminal reaches us alone."""

    def __init__(self, job: str, kept_open: Sequence[int] = ()) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.play", job],
            stdin=subprocess.PIPE,
            start_new_session=True,
            pass_fds=kept_open,
        )

    def poll(self) -> int | None:  # noqa: D102  # see Playing
        return self._process.poll()

    def stop(self) -> None:  # noqa: D102
        if self._process.stdin is not None:
            self._process.stdin.close()

    def kill(self) -> None:  # noqa: D102
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


class There:
    """As a task of the Ray that this process has joined; its nodes see the same folders and have the program."""

    def __init__(self, job: str) -> None:
        import ray

        self._ray = ray
        self._reference = ray.remote(num_cpus=1, max_retries=0)(_in_a_task).remote(job)

    def poll(self) -> int | None:  # noqa: D102
        if not self._ray.wait([self._reference], timeout=0)[0]:
            return None
        try:
            return int(self._ray.get(self._reference))
        except self._ray.exceptions.TaskCancelledError:
            return STOPPED
        except self._ray.exceptions.RayError as error:
            errors.print(f"a task of Ray ended: {error}", style="yellow")
            return 1

    def stop(self) -> None:  # noqa: D102
        self._ray.cancel(self._reference)

    def kill(self) -> None:  # noqa: D102
        self._ray.cancel(self._reference, force=True)


def _in_a_task(job: str) -> int:
    playing = Here(job)
    try:
        while (status := playing.poll()) is None:
            time.sleep(POLL_S)
    finally:  # also of a task that is cancelled
        playing.stop()
        while playing.poll() is None:
            time.sleep(POLL_S)
    return status


@contextlib.contextmanager
def alone_in(home: Path) -> Iterator[int]:
    """The file descriptor of a lock on a folder; processes that keep it open hold the lock, too.

    Raises:
        ConfigError: if somebody else holds it, and goes on doing so.
    """
    with (home / "lock").open("w") as lock:
        deadline, told = time.monotonic() + LOCK_S, False
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise ConfigError(f"folder={home}: another `prefrontal reproduce` is at work there") from None
                if not told:
                    console.print(f"waiting for what else is at work in {home}", style="dim")
                told = True
                time.sleep(POLL_S)
        yield lock.fileno()


def play_all(
    experiments: Sequence[Experiment],
    start: Callable[[str], Playing],
    at_once: int,
    stop: Callable[[], bool],
    at_last: Callable[[], Sequence[Job]],
) -> dict[str, int] | None:
    """Play all that is missing; figures when the runs of a part are done.

    Args:
        experiments: whose.
        start: a job in the place where it is played.
        at_once: how many.
        stop: whether to end early.
        at_last: what is to be played when all that is over.

    Returns:
        The exit status of each job that failed, by its name; None after a stop.
    """
    everything = [run for one in experiments for run in one.runs]
    waiting = deque(run for run in everything if not run.finished)
    ahead = {one.part.name: sum(not run.finished for run in one.runs) for one in experiments}
    for one in experiments:
        if not ahead[one.part.name]:
            _draw(one, waiting)
    to_be_drawn = sum(1 for count in ahead.values() if count)
    total = DRAWING_S * to_be_drawn + sum(job.seconds for job in waiting)
    by_part = {one.part.name: one for one in experiments}
    playing: dict[str, tuple[Job, Any]] = {}
    failed: dict[str, int] = {}
    over, at_the_end = 0.0, False
    with ProgressLine(max(1, round(total)), 0) as line:
        try:
            while waiting or playing or not at_the_end:
                if not waiting and not playing and not stop():
                    waiting.extend(at_last())
                    at_the_end = True
                while waiting and len(playing) < at_once and not stop():
                    job = waiting.popleft()
                    playing[job.name] = (job, start(job.told))
                for name, (job, process) in list(playing.items()):
                    if (status := process.poll()) is None:
                        continue
                    del playing[name]
                    over += job.seconds
                    if status:
                        failed[name] = status
                    if job.seed is not None:
                        ahead[job.of] -= 1
                        if not ahead[job.of] and not stop():
                            _draw(by_part[job.of], waiting)
                if stop() and not playing:
                    return None
                if stop():
                    waiting.clear()
                    for _, process in playing.values():
                        process.stop()
                now = over + sum(job.seconds * job.share() for job, _ in playing.values())
                runs_over = len(everything) - sum(ahead.values())
                at_work = "; ".join(f"{job.name} {job.share():.0%}" for job, _ in playing.values())
                line.update(round(now), f"{runs_over} of {len(everything)} runs | {at_work}")
                time.sleep(POLL_S)
        except BaseException:
            for _, process in playing.values():
                process.kill()
            raise
    return None if stop() else failed


def _draw(one: Experiment, waiting: deque[Job]) -> None:
    """The figures of a part are next, if there is something that they do not show yet."""
    drawing = one.drawing()
    if one.finished and not drawing.finished:
        waiting.appendleft(drawing)
