"""An unroll in the making: where episodes stand between two unrolls, and the recorder that writes one row by row.

Works on the host through NumPy, whose rows cost less than torch's, and on a device with tensors, without a look at
them. Here, and nowhere else, previous action and reward are reset where an episode starts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

from ..models.acting import Acting
from ..models.agent import Seen
from ..models.core import State
from ..models.policy import Policy
from ..replay.trajectory import NO_ACTION, Array, Data, LastSteps, Trajectory, join_last, on_host

D = TypeVar("D", Array, Tensor)


@dataclass
class Episodes(Generic[D]):
    """Where B running episodes stand: what the next unroll begins with."""

    obs: D
    """[B, ...]"""
    first: D
    """[B] bool"""
    prev_action: D
    """[B, ...] as the policy's actions."""
    prev_reward: D
    """[B] float32"""
    returns: Array
    """[B] float64 undiscounted return of the episode so far, on the host."""
    lengths: Array
    """[B] int64 its steps so far, on the host."""

    @classmethod
    def begin(cls, obs: D, policy: Policy, view: Callable[[Tensor], D], device: torch.device) -> Episodes[D]:
        """New episodes that begin with `obs` [B, ...]."""
        batch, dtype = len(obs), policy.action_dtype
        nothing = torch.full((batch, *policy.action_shape), _nothing(dtype), dtype=dtype, device=device)
        return cls(
            obs=obs,
            first=view(torch.ones(batch, dtype=torch.bool, device=device)),
            prev_action=view(nothing),
            prev_reward=view(torch.zeros(batch, device=device)),
            returns=np.zeros(batch),
            lengths=np.zeros(batch, dtype=np.int64),
        )

    @classmethod
    def restored(cls, obs: D, arrays: Mapping[str, Array], put: Callable[[Array], D]) -> Episodes[D]:
        """Those of a `state`, in which `obs` is seen; `put` copies an array to where they are."""
        placed = {name: put(arrays[name]) for name in ("first", "prev_action", "prev_reward")}
        return cls(obs=obs, **placed, returns=arrays["return"].copy(), lengths=arrays["length"].copy())

    def state(self) -> dict[str, Array]:
        """All but the observation, which may be large, copied to the host."""
        placed = {name: getattr(self, name) for name in ("first", "prev_action", "prev_reward")}
        arrays = {name: on_host(data).copy() for name, data in placed.items()}
        return {**arrays, "return": self.returns.copy(), "length": self.lengths.copy()}

    def finished(self, reward: Array, ended: Array) -> tuple[Array, Array]:
        """Take in an unroll: returns and lengths [n] of the episodes that ended in it, in the order of their ends.

        Args:
            reward: [T, B].
            ended: [T, B] bool.
        """
        total = self.returns + np.cumsum(reward, 0, dtype=np.float64)
        steps = self.lengths + np.arange(1, len(reward) + 1)[:, None]
        row, time = np.nonzero(ended.T)
        found = []
        for sums, carried in ((total, self.returns), (steps, self.lengths)):
            at_end = sums[time, row]
            before = np.concatenate((at_end[:1] * 0, at_end[:-1])) * (np.diff(row, prepend=-1) == 0)
            found.append((at_end - before)[np.argsort(time, kind="stable")])
            carried[:] = sums[-1]
            last = np.flatnonzero(np.diff(row, append=-1))
            carried[row[last]] -= at_end[last]
        return found[0], found[1]


class Recorder(Generic[D]):
    """Writes T steps of B episodes.

    Args:
        length: T.
        episodes: where they stand.
        info_spec: names and dtypes of the task's truth.
        view: from a tensor to what rows are written through.
        device: where the buffers lie.
        code: what is written of observations [B, ...]; they themselves without one.
    """

    seen: Seen
    """[T+1, B, ...] what the agent gets; row t is there once step t - 1 is recorded."""

    def __init__(
        self,
        length: int,
        episodes: Episodes[D],
        info_spec: Mapping[str, type[np.generic]],
        view: Callable[[Tensor], D],
        device: torch.device,
        code: Callable[[D], D] | None = None,
    ) -> None:
        self._code: Callable[[D], D] = as_it_is if code is None else code
        start = self._code(episodes.obs)
        obs, prev_action = torch.as_tensor(start), torch.as_tensor(episodes.prev_action)

        def rows(count: int, dtype: torch.dtype, *shape: int) -> Tensor:
            return torch.empty(count, len(obs), *shape, dtype=dtype, device=device)

        self.seen = Seen(
            obs=rows(length + 1, obs.dtype, *obs.shape[1:]),
            prev_action=rows(length + 1, prev_action.dtype, *prev_action.shape[1:]),
            prev_reward=rows(length + 1, torch.float32),
            first=(first := rows(length + 1, torch.bool)),
        )
        self.first = first
        reward, terminated = rows(length, torch.float32), rows(length, torch.bool)
        self.ended = first[1:]
        """[T, B] bool, where an episode ended with the step."""
        self.reward = reward
        """[T, B]; row t is there once step t is recorded."""
        self.terminated = terminated
        """[T, B] bool, where it truly ended; the others were cut off."""
        self.info: dict[str, list[D]] = {name: [] for name in info_spec}
        """Rows [B] of the task's truth."""
        self._view: Callable[[Tensor], D] = view
        self._obs: D = view(self.seen.obs)
        self._first: D = view(first)
        self._prev_action: D = view(self.seen.prev_action)
        self._nothing = _nothing(prev_action.dtype)
        self._prev_reward: D = view(self.seen.prev_reward)
        self._reward: D = view(reward)
        self._terminated: D = view(terminated)
        self._recalls: list[Sequence[Tensor]] = []
        self._last: list[LastSteps] = []
        self._now: D = episodes.obs
        self._obs[0], self._first[0] = start, episodes.first
        self._prev_action[0], self._prev_reward[0] = episodes.prev_action, episodes.prev_reward

    def recall(self, recall: Sequence[Tensor]) -> None:
        """What an episodic memory returned before the step that comes; once more after the last one."""
        self._recalls.append(recall)

    def step(self, t: int, action: D, reward: D, terminated: D, ended: D, obs: D, info: Mapping[str, D]) -> None:
        """Step t: all [B, ...], `obs` of the next episode where one `ended` (terminated or cut off)."""
        self._reward[t], self._terminated[t] = reward, terminated
        for name, column in self.info.items():
            column.append(info[name])
        t += 1
        self._now, self._obs[t], self._first[t] = obs, self._code(obs), ended
        self._prev_action[t], self._prev_reward[t] = action, reward
        _blank(self._prev_action[t], ended, self._nothing)
        _blank(self._prev_reward[t], ended, 0)

    def cut(self, t: int, rows: D, final_obs: D, state: State, recall: Sequence[Tensor] = ()) -> None:
        """The episodes of `rows` [K] were cut off after step t.

        Args:
            t: the step.
            rows: numbers of the rows.
            final_obs: [K, ...] their real last observations.
            state: of all B episodes after the step.
            recall: of all B episodes, what the memory would return next.
        """
        view = self._view
        time: Data = torch.full_like(rows, t) if isinstance(rows, Tensor) else np.full_like(rows, t)
        states, recalls = (tuple(view(c)[rows] for c in components) for components in (state, recall))
        self._last.append(LastSteps(time, rows, self._code(final_obs), states, recalls))

    def trajectory(self, acting: Acting, state: State, params_version: int, actor_id: int) -> Trajectory:
        """The whole, once all steps are recorded; `state` is the one of t = 0, policy and actions are `acting`'s."""
        view = self._view
        return Trajectory(
            obs=self._obs,
            first=self._first,
            prev_action=self._prev_action,
            prev_reward=self._prev_reward,
            action=view(acting.actions),
            reward=self._reward,
            discount=view((~self.terminated).float()),
            behaviour_logp=view(acting.log_prob()),
            initial_state=tuple(view(component) for component in state),
            recall=tuple(view(torch.stack(component)) for component in zip(*self._recalls, strict=True)),
            last=join_last([(part, 0) for part in self._last]),
            params_version=params_version,
            actor_id=actor_id,
        )

    def carry(self, episodes: Episodes[D]) -> None:
        """Let the next unroll begin where this one ends."""
        episodes.obs, episodes.first = _copy(self._now), _copy(self._first[-1])
        episodes.prev_action, episodes.prev_reward = _copy(self._prev_action[-1]), _copy(self._prev_reward[-1])


def _blank(row: D, where: D, value: int) -> None:
    """`value` in the rows [B, ...] where it says so [B], without a look at a device's data."""
    if isinstance(row, Tensor):
        row.masked_fill_(where.view(-1, *[1] * (row.dim() - 1)), value)
    elif row.ndim == 1:
        np.putmask(row, where, value)
    else:
        row[where] = value


def _nothing(dtype: torch.dtype) -> int:
    """The previous action where an episode starts."""
    return 0 if dtype.is_floating_point else NO_ACTION


def as_it_is(data: D) -> D:
    """No other view of it, or no code."""
    return data


def _copy(row: D) -> D:
    return row.clone() if isinstance(row, Tensor) else row.copy()
