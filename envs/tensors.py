"""What a task is that plays on one torch device: B episodes as tensors, stepped at once, without a look at the data.

`VectorTask` is the face of every task (NumPy, any process); a task that is written in torch operations may have this
one too. Then a whole rollout stays where the learner is. The contract, beside `VectorTask`'s:

- Everything that `step` takes and gives lies on `device`. Tensors that were handed out are never changed.
- `step` asks the device nothing: no `.item()`, no `bool` of a tensor, no size that depends on data. On a GPU the host
  then runs ahead of it. (On the CPU a look is free, and saves work where there is nothing to do.)
- Autoreset is same-step. The real last observation of an episode that was cut off would cost a second view of every
  row in every step; so only rows that `may_be_cut` named beforehand get one.
- What is random in an episode is made of uniform numbers: so many for each row in each step, used or not. Who gives
  the same numbers gets the same episodes, on every device.
"""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import gymnasium
import numpy as np
import torch
from torch import Tensor

from .vector import Array


class NoTensorTaskError(ValueError):
    """A task, or the form of it that was asked for, cannot be played as tensors; the message says what else to do."""


class Played(NamedTuple):
    """What an action led to, before any autoreset; [B]."""

    reward: Tensor
    """float32"""
    terminated: Tensor
    truncated: Tensor
    info: dict[str, Tensor]
    """See `VectorTask.info_spec`."""


class Step(NamedTuple):
    """One step of all B episodes."""

    obs: Tensor
    """[B, ...] what the agent sees now: of the next episode, where one has ended."""
    played: Played
    final_obs: Tensor | None
    """[K, ...] what the rows that were watched saw before any autoreset."""


def make_generator(device: torch.device) -> torch.Generator | None:
    """A random generator on `device`; None on torch's `meta` device, where nothing is computed."""
    return None if device.type == "meta" else torch.Generator(device)


def restore_generator(generator: torch.Generator, saved: Array) -> None:
    """Go on from a saved state. One of another kind of device, which has another form, gives a seed."""
    state = torch.from_numpy(saved.copy())
    if state.shape == generator.get_state().shape:
        generator.set_state(state)
    else:
        generator.manual_seed(zlib.crc32(saved.tobytes()))


class TensorTask(ABC):
    """B copies of one task on one device; see the module's text."""

    info_spec: ClassVar[Mapping[str, type[np.generic]]]
    """As in `VectorTask`."""
    phases: tuple[str, ...] = ()
    """As in `VectorTask`."""
    single_observation_space: gymnasium.spaces.Box
    single_action_space: gymnasium.spaces.Discrete
    numbers: int
    """Uniform numbers that an episode is made of."""

    def __init__(self, num_envs: int, device: torch.device) -> None:
        self.num_envs = num_envs
        self.device = device
        self.may_look = device.type == "cpu"
        """Whether a look at data is free, so that work may be left out where there is nothing to do."""
        self.generator = make_generator(device)

    @property
    def cue_size(self) -> int:
        """See `VectorTask.cue_size`."""
        return int(np.prod(self.single_observation_space.shape))

    # Hooks -------------------------------------------------------------------------------------------------

    @abstractmethod
    def begin(self, which: Tensor, numbers: Tensor) -> None:
        """Start new episodes in the rows of `which` [B] bool, made of `numbers` [B, N] (float64, in 0..1)."""

    @abstractmethod
    def advance(self, action: Tensor) -> Played:
        """Play `action` [B] int64."""

    @abstractmethod
    def observe(self, rows: Tensor | None = None) -> Tensor:
        """What the agent sees now, [B, ...], or in `rows` [K] (numbers) alone, [K, ...]."""

    @abstractmethod
    def tensors(self) -> dict[str, Tensor]:
        """All that changes during an episode, by name."""

    @abstractmethod
    def set_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from what `tensors` gave."""

    def may_be_cut(self, steps: int) -> Sequence[Tensor | None]:
        """For each of the next `steps` steps the rows [K] that may be truncated in it, None where there are none.

        May look at the data: it is called once an unroll. Here: any row at any time.
        """
        return [torch.arange(self.num_envs, device=self.device)] * steps

    # Playing -----------------------------------------------------------------------------------------------

    def reset(self, seed: int | None = None) -> Tensor:
        """Start B new episodes and return what is seen; a `seed` makes everything after it repeatable."""
        if seed is not None and self.generator is not None:
            self.generator.manual_seed(seed)
        self.begin(torch.ones(self.num_envs, dtype=torch.bool, device=self.device), self._uniform())
        return self.observe()

    def step(self, action: Tensor, watched: Tensor | None = None) -> Step:
        """Play `action` [B] int64, with autoreset; `watched` [K] are rows whose real last observation is wanted."""
        played = self.advance(action)
        final_obs = None if watched is None else self.observe(watched)
        ended = played.terminated | played.truncated
        numbers = self._uniform()
        if not self.may_look or bool(ended.any()):
            self.begin(ended, numbers)
        return Step(self.observe(), played, final_obs)

    def _uniform(self) -> Tensor:
        return torch.rand(
            self.num_envs, self.numbers, dtype=torch.float64, device=self.device, generator=self.generator
        )

    # Exact resume ------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Array]:
        """Everything needed to go on from here, on the host."""
        arrays: dict[str, Any] = {name: tensor.cpu().numpy().copy() for name, tensor in self.tensors().items()}
        if self.generator is not None:
            arrays["generator"] = self.generator.get_state().numpy().copy()
        return arrays

    def restore(self, arrays: Mapping[str, Array]) -> None:
        """Go on from a `state` of an object built with the same settings and `num_envs`."""
        names = self.tensors()
        self.set_tensors({name: torch.from_numpy(arrays[name].copy()).to(self.device) for name in names})
        if self.generator is not None:
            restore_generator(self.generator, arrays["generator"])
