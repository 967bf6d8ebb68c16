"""Weights that were trained before: an encoder of `prefrontal pretrain`, or what is in another run's checkpoint.

An encoder's file is a checkpoint (`learner.checkpoint`) that holds nothing but the encoder's tensors and a description
of them, `EncoderSpec`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ..models.agent import AgentSpec
from ..models.encoders import EncoderName
from . import snapshot
from .checkpoint import Checkpoint, CheckpointFolder, read, write

AGENT, PREFIX = "agent.", "encoder."


class PretrainedError(ValueError):
    """There are no such weights, or they do not fit; the message says what differs."""


@dataclass(frozen=True)
class EncoderSpec:
    """All that determines an encoder's parameters."""

    name: EncoderName
    sizes: tuple[int, ...]
    obs_shape: tuple[int, ...]

    @classmethod
    def of(cls, agent: AgentSpec) -> EncoderSpec:
        """An agent's encoder."""
        return cls(agent.model.encoder, agent.model.encoder_sizes, agent.obs_shape)


def write_encoder(path: Path, encoder: nn.Module, spec: EncoderSpec, about: Mapping[str, Any]) -> None:
    """Write an encoder to `path`; `about` (plain JSON) says where it comes from.

    Raises:
        OSError: as `checkpoint.write`.
    """
    tensors = {f"{PREFIX}{name}": tensor.detach().cpu().contiguous() for name, tensor in encoder.state_dict().items()}
    write(path, Checkpoint(tensors, {**about, "encoder": dataclasses.asdict(spec)}))


def read_encoder(source: str, wanted: EncoderSpec) -> dict[str, Tensor]:
    """The tensors of an encoder, for `load_state_dict`.

    Args:
        source: a file of `write_encoder`; or a run's folder, whose newest checkpoint is taken; or one checkpoint.
        wanted: what it has to be.

    Raises:
        PretrainedError: if there is nothing, or another encoder than the one wanted.
        DamagedCheckpointError: if the file is damaged.
        NoCheckpointError: if the run has no whole checkpoint.
    """
    checkpoint, path = _found("model.encoder_from", source, "or the file encoder.safetensors that `pretrain` wrote")
    found, prefix = _described(checkpoint)
    if found != wanted:
        differ = [
            f"{label}: {getattr(found, name)} -> {getattr(wanted, name)}"
            for name, label in (
                ("name", "model.encoder"),
                ("sizes", "model.encoder_sizes"),
                ("obs_shape", "shape of an observation"),
            )
            if getattr(found, name) != getattr(wanted, name)
        ]
        raise PretrainedError(
            f"{path} holds another encoder than this run asks for (saved -> asked for):\n  " + "\n  ".join(differ)
        )
    return {k.removeprefix(prefix): v for k, v in checkpoint.tensors.items() if k.startswith(prefix)}


@dataclass(frozen=True)
class Weights:
    """What another agent lends a new one."""

    tensors: Mapping[str, Tensor]
    """By the names of `Agent.state_dict`."""
    anew: tuple[str, ...] = ()
    """What starts anew: a readable name each, with the shapes where they differ."""


def read_weights(source: str, agent: nn.Module) -> Weights:
    """Every tensor of another run's agent that this one has by the same name and in the same shape.

    Args:
        source: the run's folder, whose newest checkpoint is taken, or one checkpoint.
        agent: the new one.

    Raises:
        PretrainedError: if there is nothing, or no matrix of weights fits.
        DamagedCheckpointError: if the file is damaged.
        NoCheckpointError: if the run has no whole checkpoint.
    """
    checkpoint, path = _found("model.weights_from", source, "or one of its checkpoints")
    saved = {k.removeprefix(AGENT): tensor for k, tensor in checkpoint.tensors.items() if k.startswith(AGENT)}
    fitting, anew = {}, []
    for name, own in agent.state_dict().items():
        if name not in saved:
            anew.append(name)
        elif saved[name].shape != own.shape:
            anew.append(f"{name} {list(saved[name].shape)} -> {list(own.shape)}")
        else:
            fitting[name] = saved[name]
    if not any(tensor.dim() > 1 for tensor in fitting.values()):
        raise PretrainedError(f"{path} holds no agent of which any matrix fits this one (model.weights_from={source})")
    return Weights(fitting, tuple(anew))


def _found(setting: str, source: str, otherwise: str) -> tuple[Checkpoint, Path]:
    """The checkpoint that a path leads to, and its own path."""
    path = Path(source).expanduser()
    if path.is_dir():
        checkpoints = CheckpointFolder(path / "checkpoints")
        if not checkpoints.folder.is_dir():
            raise PretrainedError(
                f"{setting}={source} is a folder without checkpoints: give a run's folder, {otherwise}"
            )
        checkpoint, path, _ = checkpoints.newest()
        return checkpoint, path
    if path.is_file():
        return read(path), path
    raise PretrainedError(f"{setting}={source}: there is no such file or folder; give a run's folder, {otherwise}")


def _described(checkpoint: Checkpoint) -> tuple[EncoderSpec, str]:
    """What encoder a file holds, and what its tensors' names begin with."""
    saved = checkpoint.scalars.get("encoder")
    if saved is None:
        return EncoderSpec.of(snapshot.agent_of(checkpoint)), AGENT + PREFIX
    return EncoderSpec(saved["name"], tuple(saved["sizes"]), tuple(saved["obs_shape"])), PREFIX
