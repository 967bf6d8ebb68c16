"""Encoders that were trained before: written by `prefrontal pretrain`, or taken out of another run's checkpoint.

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

PREFIX = "encoder."


class PretrainedEncoderError(ValueError):
    """There is no such encoder, or it does not fit; the message says what differs."""


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
        PretrainedEncoderError: if there is nothing, or another encoder than the one wanted.
        DamagedCheckpointError: if the file is damaged.
        NoCheckpointError: if the run has no whole checkpoint.
    """
    path = Path(source).expanduser()
    if path.is_dir():
        checkpoints = CheckpointFolder(path / "checkpoints")
        if not checkpoints.folder.is_dir():
            raise PretrainedEncoderError(
                f"model.encoder_from={source} is a folder without checkpoints: give a run's folder, or the file "
                "encoder.safetensors that `prefrontal pretrain` wrote"
            )
        checkpoint, path, _ = checkpoints.newest()
    elif path.is_file():
        checkpoint = read(path)
    else:
        raise PretrainedEncoderError(
            f"model.encoder_from={source}: there is no such file or folder (`prefrontal pretrain` writes "
            "encoder.safetensors; a run's folder lends its newest checkpoint's encoder)"
        )
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
        raise PretrainedEncoderError(
            f"{path} holds another encoder than this run asks for (saved -> asked for):\n  " + "\n  ".join(differ)
        )
    return {k.removeprefix(prefix): v for k, v in checkpoint.tensors.items() if k.startswith(prefix)}


def _described(checkpoint: Checkpoint) -> tuple[EncoderSpec, str]:
    """What encoder a file holds, and what its tensors' names begin with."""
    saved = checkpoint.scalars.get("encoder")
    if saved is None:
        return EncoderSpec.of(snapshot.agent_of(checkpoint)), f"agent.{PREFIX}"
    return EncoderSpec(saved["name"], tuple(saved["sizes"]), tuple(saved["obs_shape"])), PREFIX
