"""A process that has imported everything the program needs, and forks for each command line.

A command then costs what it does, without seconds of imports, and still is a process of its own: its directory,
environment, streams, signals, exit code and what it leaves behind at its end are those of `prefrontal ...`.
"""

from __future__ import annotations

import atexit
import functools
import importlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

IMPORTED = (
    "hydra._internal.core_plugins.basic_launcher",
    "matplotlib.backends.backend_agg",
    "pyarrow.parquet",
    "ray",
    "scipy.optimize",
    "scipy.stats",
    "torch.utils.tensorboard",
    *(
        f"prefrontal.launch.verbs.{verb}"
        for verb in ("evaluate", "figures", "fit", "play", "pretrain", "tasks", "train")
    ),
)
"""None of these may start a thread: a forked process would lack it."""


def forked(arguments: list[str], folder: Path, stdin: str | None, timeout_s: float) -> tuple[int, str]:
    """Exit code and output (both streams) of `prefrontal` with these arguments, started in `folder`.

    Raises:
        TimeoutError: if it takes too long; it is killed.
    """
    server = _server()
    with tempfile.TemporaryDirectory() as place:
        output, given = Path(place) / "output", Path(place) / "input"
        given.write_text(stdin or "")
        order = [arguments, str(folder), dict(os.environ), str(given), str(output)]
        server.stdin.write(json.dumps(order) + "\n")
        server.stdin.flush()
        pid = int(server.stdout.readline())
        if not select.select([server.stdout], [], [], timeout_s)[0]:
            os.kill(pid, signal.SIGKILL)
            server.stdout.readline()
            raise TimeoutError(f"prefrontal {' '.join(arguments)} ran longer than {timeout_s} s:\n{output.read_text()}")
        code = int(server.stdout.readline())
        return code, output.read_text(errors="replace")


@functools.cache
def _server() -> subprocess.Popen[str]:
    """One for all tests of this process; it ends when its standard input does."""
    return subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )


def _serve() -> None:
    from prefrontal.launch import cli

    os.environ.update({name: value for name, value in cli.ENVIRONMENT.items() if name not in os.environ})
    for name in IMPORTED:
        importlib.import_module(name)
    threads = {task.joinpath("comm").read_text().strip() for task in Path("/proc/self/task").glob("*")}
    # That of jemalloc (in pyarrow) is started again after a fork by jemalloc itself.
    unknown = threads - {Path("/proc/self/comm").read_text().strip(), "jemalloc_bg_thd"} if threads else set()
    assert not unknown, f"threads after the imports, which a fork would lack: {unknown}"
    # Lines are read one by one from the file descriptor itself, so that nothing is left in a buffer to be inherited.
    orders = os.fdopen(os.dup(0), "rb", buffering=0)
    answers = os.dup(1)
    while order := orders.readline():
        arguments, folder, environment, given, output = json.loads(order)
        pid = os.fork()
        if pid == 0:
            orders.close()
            os.close(answers)
            os.chdir(folder)
            os.environ.clear()
            os.environ.update(environment)
            written = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            for stream, target in ((os.open(given, os.O_RDONLY), 0), (written, 1), (written, 2)):
                os.dup2(stream, target)
            sys.path[0] = folder
            sys.argv = [cli.__file__, *arguments]
            _run(cli.main)
        os.write(answers, f"{pid}\n".encode())
        _, status = os.waitpid(pid, 0)
        os.write(answers, f"{os.waitstatus_to_exitcode(status)}\n".encode())


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
