"""A process that has imported everything the program needs, and forks for each command line.

A command then costs what it does, without seconds of imports, and still is a process of its own: its directory,
environment, streams, signals, exit code and what it leaves behind at its end are those of `prefrontal ...`.
"""

from __future__ import annotations

import atexit
import functools
import gc
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

IMPORTED = (
    "hydra._internal.core_plugins.basic_launcher",
    "hydra._internal.core_plugins.basic_sweeper",
    "hydra_plugins.hydra_joblib_launcher.joblib_launcher",
    "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_svg",
    "matplotlib.figure",
    "pyarrow.parquet",
    "ray",
    "scipy.optimize",
    "scipy.stats",
    "tensorboard.plugins.hparams.api_pb2",
    "torch.utils.tensorboard",
    *(
        f"prefrontal.launch.verbs.{verb}"
        for verb in ("evaluate", "figures", "fit", "play", "pretrain", "reproduce", "tasks", "train")
    ),
)
"""None of these may start a thread: a forked process would lack it."""


class Forked:
    """`prefrontal` with these arguments, started in `folder`; what tests need of a `subprocess.Popen`.

    Args:
        arguments: of the command line.
        folder: its working directory.
        stdin: all that it can read.
        env: its environment, else this process's own. What `PYTHONPATH` names there is found, entry points too.
        start_new_session: it is the first of a session, and so of a group, of its own.
    """

    def __init__(
        self,
        arguments: list[str],
        folder: Path,
        stdin: str = "",
        env: Mapping[str, str] | None = None,
        start_new_session: bool = False,
    ) -> None:
        self.returncode: int | None = None
        self._place = tempfile.TemporaryDirectory()
        self._written = Path(self._place.name) / "output"
        given = Path(self._place.name) / "input"
        given.write_text(stdin)
        self._command = f"prefrontal {' '.join(arguments)}"
        order = (arguments, str(folder), dict(env or os.environ), start_new_session, str(given), str(self._written))
        self.pid: int = _answer(order)

    def poll(self) -> int | None:
        """Its exit code, or minus the signal that ended it; None while it runs."""
        if self.returncode is None:
            self.returncode = _answer(self.pid)
        return self.returncode

    def wait(self, timeout: float) -> int:
        """As `poll`, at its end.

        Raises:
            TimeoutError: if it takes too long; it is killed.
        """
        deadline = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > deadline:
                self.send_signal(signal.SIGKILL)
                raise TimeoutError(f"{self._command} ran longer than {timeout} s:\n{self.output()}")
            time.sleep(0.01)
        return self.returncode

    def output(self) -> str:
        """What it has written, to both streams."""
        return self._written.read_text(errors="replace") if self._written.exists() else ""

    def send_signal(self, number: int) -> None:
        """Unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)


@functools.cache
def _server() -> subprocess.Popen[str]:
    """One for all tests of this process; when its standard input ends it ends, and what it started."""
    return subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )


def _answer(order: Any) -> Any:
    server = _server()
    server.stdin.write(json.dumps(order) + "\n")
    server.stdin.flush()
    return json.loads(server.stdout.readline())


def _serve() -> None:
    """Orders are those of `Forked`: what to start, answered with its process id; a process id, with its exit code."""
    from prefrontal.launch import cli, environment

    environment.set_for_good()
    for name in IMPORTED:
        importlib.import_module(name)
    threads = {task.joinpath("comm").read_text().strip() for task in Path("/proc/self/task").glob("*")}
    # That of jemalloc (in pyarrow) is started again after a fork by jemalloc itself.
    unknown = threads - {Path("/proc/self/comm").read_text().strip(), "jemalloc_bg_thd"} if threads else set()
    assert not unknown, f"threads after the imports, which a fork would lack: {unknown}"
    gc.freeze()  # no collection of a fork looks through, and so copies, what was imported
    # Lines are read one by one from the file descriptor itself, so that nothing is left in a buffer to be inherited.
    orders = os.fdopen(os.dup(0), "rb", buffering=0)
    answers = os.dup(1)
    running = set()
    while line := orders.readline():
        order = json.loads(line)
        if isinstance(order, int):
            ended, status = os.waitpid(order, os.WNOHANG)
            running -= {ended}
            answer = os.waitstatus_to_exitcode(status) if ended else None
        else:
            answer = os.fork()
            running.add(answer)
            if answer == 0:
                orders.close()
                os.close(answers)
                _begin(*order)
                _run(cli.main)
        os.write(answers, f"{json.dumps(answer)}\n".encode())
    for pid in running:
        os.kill(pid, signal.SIGKILL)


def _begin(
    arguments: list[str], folder: str, environment: dict[str, str], new_session: bool, given: str, written: str
) -> None:
    """Become the process that was ordered."""
    import fsspec
    from ray._raylet import Config

    if new_session:
        os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    output = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream, target in ((os.open(given, os.O_RDONLY), 0), (output, 1), (output, 2)):
        os.dup2(stream, target)
    found = environment.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:1] = [folder, *(path for path in found if path not in sys.path)]
    fsspec.process_entries()  # as at its import
    Config.initialize("")  # Ray's own settings, from the environment, too
    tempfile.tempdir = None  # found anew, in its environment
    sys.argv = [__file__, *arguments]


def _run(main: Callable[[], None]) -> NoReturn:
    """To the end of a program, but for the teardown of modules, which would take most of the time."""
    code = 0
    try:
        main()
    except SystemExit as stopped:
        code = stopped.code if isinstance(stopped.code, int) else int(stopped.code is not None)
        if isinstance(stopped.code, str):
            print(stopped.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        code = 1
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    _serve()
