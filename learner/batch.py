"""From trajectories to one batch of tensors on the learner's device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..models.agent import Seen
from ..models.core import State
from ..replay.trajectory import Data, Trajectory, join


@dataclass(frozen=True)
class Last:
    """Truncated episodes, see `replay.trajectory.LastSteps`."""

    time: Tensor
    row: Tensor
    obs: Tensor
    state: State
    recall: tuple[Tensor, ...]


@dataclass(frozen=True)
class Batch:
    """A joined trajectory as tensors; shapes as in `Trajectory`."""

    obs: Tensor
    first: Tensor
    prev_action: Tensor
    prev_reward: Tensor
    action: Tensor
    reward: Tensor
    discount: Tensor
    behaviour_logp: Tensor
    initial_state: State
    recall: tuple[Tensor, ...]
    last: Last | None
    fresh_env_steps: int
    """Environment steps that were not replayed."""
    params_versions: tuple[int, ...]
    """Version of the parameters that played each fresh trajectory."""

    @property
    def seen(self) -> Seen:
        """What the agent got in each step, [T+1, B, ...]."""
        return Seen(self.obs, self.prev_action, self.prev_reward, self.first, self.recall)

    def rows(self, index: Tensor) -> Batch:
        """The sequences of `index` [n] alone, whose returns are known: without `last`."""

        def chosen(tensor: Tensor) -> Tensor:
            return tensor.index_select(1, index)

        return Batch(
            obs=chosen(self.obs),
            first=chosen(self.first),
            prev_action=chosen(self.prev_action),
            prev_reward=chosen(self.prev_reward),
            action=chosen(self.action),
            reward=chosen(self.reward),
            discount=chosen(self.discount),
            behaviour_logp=chosen(self.behaviour_logp),
            initial_state=tuple(component.index_select(0, index) for component in self.initial_state),
            recall=tuple(chosen(component) for component in self.recall),
            last=None,
            fresh_env_steps=self.fresh_env_steps,
            params_versions=self.params_versions,
        )


class DeviceError(RuntimeError):
    """A device was asked for that is not there."""


def resolve_device(name: str) -> torch.device:
    """`auto` (CUDA where there is one), `cpu` or `cuda`.

    Raises:
        DeviceError: if CUDA is asked for where there is none, or the name is unknown.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise DeviceError(f"learner.device={name} is not known; choose one of: auto, cpu, cuda")
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        build = "this torch is a CPU build" if torch.version.cuda is None else "torch sees no CUDA device"
        raise DeviceError(
            f"learner.device=cuda was asked for, but {build}; use learner.device=auto, or install a CUDA build of torch"
        )
    return torch.device("cuda" if available and name != "cpu" else "cpu")


def make_batch(fresh: Sequence[Trajectory], replayed: Sequence[Trajectory], device: torch.device) -> Batch:
    """Join along B and move to `device` (through pinned memory where that is a GPU); what lies there already stays."""
    joined = join([*fresh, *replayed])

    def tensor(data: Data) -> Tensor:
        if isinstance(data, Tensor):
            return data.to(device)
        # Arrays that come out of Ray's object store are read-only, which torch refuses to share.
        host = torch.from_numpy(data if data.flags.writeable else data.copy())
        return host if device.type == "cpu" else host.pin_memory().to(device, non_blocking=True)

    last = joined.last
    return Batch(
        obs=tensor(joined.obs),
        first=tensor(joined.first),
        prev_action=tensor(joined.prev_action),
        prev_reward=tensor(joined.prev_reward),
        action=tensor(joined.action),
        reward=tensor(joined.reward),
        discount=tensor(joined.discount),
        behaviour_logp=tensor(joined.behaviour_logp),
        initial_state=tuple(tensor(component) for component in joined.initial_state),
        recall=tuple(tensor(component) for component in joined.recall),
        last=None
        if last is None
        else Last(
            time=tensor(last.time).long(),
            row=tensor(last.row).long(),
            obs=tensor(last.obs),
            state=tuple(tensor(component) for component in last.state),
            recall=tuple(tensor(component) for component in last.recall),
        ),
        fresh_env_steps=sum(trajectory.env_steps for trajectory in fresh),
        params_versions=tuple(trajectory.params_version for trajectory in fresh),
    )
