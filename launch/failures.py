"""The door that every verb goes through: errors as a person wants them, the cause and the way out, without our stack.

Exit status 2: a wrong setting or folder. 1: a failure in mid-run, or one that nobody expected, whose traceback goes
into a file. 130: Ctrl-C. A reader of our output that closes it early is no error.
"""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode

from ..actors.settings import ActorsFailedError
from ..envs.registry import TaskUnavailableError
from ..envs.vector import EnvironmentFaultError
from ..learner.batch import DeviceError
from ..learner.checkpoint import DamagedCheckpointError, NoCheckpointError
from ..learner.learner import NonFiniteLossError
from ..learner.pretrained import PretrainedError
from ..learner.pretraining import NonFinitePretrainingError
from ..learner.snapshot import DifferentAgentError
from .composing import explained
from .config import ConfigError
from .console import errors, reader_is_gone
from .engines.protocol import LearnerFailedError, StoreFullError
from .run.folder import NotARunFolderError
from .run.storage import StorageError

_WRONG_INPUT = (
    ConfigError,
    DeviceError,
    DifferentAgentError,
    NoCheckpointError,
    NotARunFolderError,
    PretrainedError,
    StorageError,
    TaskUnavailableError,
)
_IN_MID_RUN = (
    ActorsFailedError,
    DamagedCheckpointError,
    EnvironmentFaultError,
    LearnerFailedError,
    NonFiniteLossError,
    NonFinitePretrainingError,
    OSError,
    StoreFullError,
)
STOPPED = 130
"""Exit status after Ctrl-C or SIGTERM."""


def told(error: BaseException) -> int:
    """Print what went wrong; returns the exit status."""
    if isinstance(error, KeyboardInterrupt):
        errors.print("stopped at once; checkpoints written so far are kept", style="bold")
        return STOPPED
    if isinstance(error, BrokenPipeError):
        reader_is_gone()
        return 0
    if (text := wrong_input(error, sys.argv[1:])) is not None:
        return _say(text, 2)
    if isinstance(error, _IN_MID_RUN):
        return _say(str(error), 1)
    if _out_of_memory(error):
        return _say(f"not enough memory for what the settings ask for: {_in_one_line(error)}", 1)
    return _say(f"unexpected: {_in_one_line(error)}\nthe traceback lies in {_logged(error)}", 1)


def wrong_input(error: BaseException, asked: Sequence[str]) -> str | None:
    """What was wrong with what was asked for; None for any other error.

    Args:
        error: what came of it.
        asked: for what, as overrides of Hydra.
    """
    return str(error) if isinstance(error, _WRONG_INPUT) else explained(error, asked)


@contextmanager
def reported() -> Iterator[None]:
    """Within a job of Hydra: `told`, then exit. In a sweep an error is passed on: Hydra tells which job failed."""
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        if HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN:
            raise
        raise SystemExit(told(error)) from None


def _say(text: str, status: int) -> int:
    errors.print("error: ", style="bold red", end="")
    errors.print(text)
    return status


def _out_of_memory(error: BaseException) -> bool:
    no_room = isinstance(error, MemoryError | torch.OutOfMemoryError)
    return no_room or (isinstance(error, RuntimeError) and "allocate memory" in str(error))  # torch on a CPU


def _in_one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]}" if text else type(error).__name__


def _logged(error: BaseException) -> str:
    """The path of a new file with the command and the traceback."""
    with tempfile.NamedTemporaryFile("w", prefix="prefrontal_", suffix=".log", delete=False) as log:
        log.write(f"command: {sys.argv}\nin: {os.getcwd()}\n\n")  # noqa: PTH109  # text, and it may be gone
        log.write("".join(traceback.format_exception(error)))
    return log.name
