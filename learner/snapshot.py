"""Between a learner and its checkpoints: what is saved, what is checked before it is restored."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..models.agent import AgentSpec, ModelConfig, describe_difference
from ..models.dnd import MemoryConfig
from ..models.policy import Actions, discrete
from ..replay.trajectory import Array
from .batch import Batch
from .checkpoint import Checkpoint
from .combined import Combined
from .learner import Learner


class DifferentAgentError(ValueError):
    """A checkpoint of another network or task than the one asked for; the message says what differs."""


def take(learner: Learner, extra: Mapping[str, Any], worker_arrays: Mapping[str, Array]) -> Checkpoint:
    """Everything a run goes on from: the learner, the agent's description, and what the caller adds; all copies.

    Args:
        learner: whose state to save.
        extra: plain JSON that joins the counters.
        worker_arrays: state of the rollout workers (synchronous algorithms), stored under `worker.`.
    """
    tensors, scalars = learner.state()
    tensors |= {f"worker.{name}": torch.from_numpy(np.array(a, order="C")) for name, a in worker_arrays.items()}
    return Checkpoint(tensors, {**extra, **scalars, "agent": dataclasses.asdict(learner.spec)})


def agent_of(checkpoint: Checkpoint) -> AgentSpec:
    """The agent that a checkpoint holds."""
    saved = checkpoint.scalars["agent"]
    model: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in saved["model"].items()}
    model["memory"] = MemoryConfig(**model["memory"])
    if "actions" in saved:
        actions = Actions(saved["actions"]["kind"], tuple(saved["actions"]["sizes"]))
    else:  # of a run from before there were other kinds of actions
        actions = discrete(saved["num_actions"])
    return AgentSpec(tuple(saved["obs_shape"]), actions, ModelConfig(**model), saved["cue_size"])


def agent_tensors(checkpoint: Checkpoint) -> dict[str, Tensor]:
    """The agent's parameters and buffers, for `load_state_dict`."""
    return {k.removeprefix("agent."): v for k, v in checkpoint.tensors.items() if k.startswith("agent.")}


def worker_arrays_of(checkpoint: Checkpoint) -> dict[str, Array]:
    """The arrays that `take` stored for the rollout workers."""
    tensors = checkpoint.tensors.items()
    return {k.removeprefix("worker."): v.numpy() for k, v in tensors if k.startswith("worker.")}


def restore(learner: Learner, checkpoint: Checkpoint) -> None:
    """Go on from a checkpoint.

    Raises:
        DifferentAgentError: if it holds another agent than the learner's.
    """
    difference = describe_difference(agent_of(checkpoint), learner.spec)
    if difference:
        raise DifferentAgentError(
            "the checkpoint holds another agent than this run asks for (saved -> asked for):\n  "
            + "\n  ".join(difference)
        )
    learner.restore(checkpoint.tensors, checkpoint.scalars)


def batch_arrays(batch: Batch | Combined) -> dict[str, Array]:
    """A batch, or a gradient, on the host, by the names of its fields."""
    fields = {f.name: getattr(batch, f.name) for f in dataclasses.fields(batch)}
    return {name: value.cpu().numpy() for name, value in fields.items() if isinstance(value, Tensor)}


def save_batch(folder: Path, arrays: Mapping[str, Array]) -> Path:
    """Write a batch for inspection with `numpy.load`; returns its path."""
    path = folder / "nonfinite_batch.npz"
    columns: dict[str, Any] = dict(arrays)
    np.savez_compressed(path, **columns)
    return path
