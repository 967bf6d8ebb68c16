"""Errors as a person wants them: the cause and the way out, without our own stack; an actor's traceback last."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode

from ..actors.rollout import EnvironmentFaultError
from ..actors.settings import ActorsFailedError
from ..envs.registry import TaskUnavailableError
from ..learner.batch import DeviceError
from ..learner.checkpoint import DamagedCheckpointError, NoCheckpointError
from ..learner.learner import NonFiniteLossError
from ..learner.pretrained import PretrainedEncoderError
from ..learner.pretraining import NonFinitePretrainingError
from ..learner.snapshot import DifferentAgentError
from .config import ConfigError
from .console import errors
from .engines.protocol import LearnerFailedError, StoreFullError
from .run.folder import NotARunFolderError
from .run.storage import StorageError

_EXPECTED = (
    ActorsFailedError,
    ConfigError,
    DamagedCheckpointError,
    DeviceError,
    DifferentAgentError,
    EnvironmentFaultError,
    LearnerFailedError,
    NoCheckpointError,
    NonFiniteLossError,
    NonFinitePretrainingError,
    NotARunFolderError,
    OSError,
    PretrainedEncoderError,
    StorageError,
    StoreFullError,
    TaskUnavailableError,
)
_WRONG_INPUT = (
    ConfigError,
    DeviceError,
    DifferentAgentError,
    NoCheckpointError,
    NotARunFolderError,
    PretrainedEncoderError,
    StorageError,
    TaskUnavailableError,
)


@contextmanager
def reported() -> Iterator[None]:
    """Print an expected error without a stack and exit with status 2 (1 for a failure in mid-run, 130 for Ctrl-C).

    In a sweep the error is passed on, so that Hydra reports which job failed.
    """
    try:
        yield
    except KeyboardInterrupt:
        errors.print("stopped at once; checkpoints written so far are kept", style="bold")
        raise SystemExit(130) from None
    except _EXPECTED as error:
        if HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN:
            raise
        errors.print("error: ", style="bold red", end="")
        errors.print(str(error), markup=False)
        raise SystemExit(2 if isinstance(error, _WRONG_INPUT) else 1) from None
