"""The engine that a run asks for, open for the time of a training."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from torch import Tensor

from ...learner.checkpoint import Checkpoint
from ..config import TrainConfig
from ..console import console
from ..stopping import StopRequest
from .protocol import Engine
from .serial import SerialEngine


@contextlib.contextmanager
def open_engine(
    config: TrainConfig,
    folder: Path,
    stop: StopRequest,
    checkpoint: Checkpoint | None = None,
    weights: Mapping[str, Tensor] | None = None,
) -> Iterator[Engine]:
    """The engine for `config.cluster`; its processes end with the block.

    Args:
        config: of the run.
        folder: of the run, for checkpoints.
        stop: is asked while the engine waits.
        checkpoint: to go on from.
        weights: the agent's first weights (`learner.pretrained`), where there is no checkpoint.
    """
    if config.cluster == "none":
        with contextlib.closing(SerialEngine(config, folder, checkpoint, weights)) as serial:
            yield serial
        return
    # Importing Ray takes a second that one-process runs do not need.
    from .distributed import RayEngine, store_errors
    from .session import ray_session

    with console.status("starting Ray"):
        session = ray_session(config)
        description = session.__enter__()
    stop.listen()
    console.print(description, style="dim")
    try:
        with store_errors(config):
            with console.status("starting actors"):
                engine = RayEngine(config, folder, checkpoint, stop, weights=weights)
            try:
                yield engine
            finally:
                engine.close()
    finally:
        session.__exit__(None, None, None)
