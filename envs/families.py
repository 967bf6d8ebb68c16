"""Families of tasks: at the start of a life one task is drawn, which nobody is told, and played for several episodes.

A life is what an agent with a recurrent state lives through (its state goes on from episode to episode, RL² of Duan et
al. 2016); each of its episodes is a trial. Algorithms that adapt parameters between episodes play the same hidden task
with `VectorTask.play_hidden`. All episodes have the same length: what is over before (a goal reached, a robot fallen)
rests, without reward, so that returns are those of an episode that ends there.
"""

from __future__ import annotations

from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium.spaces import Box

from .groups import welch
from .means import mean_by
from .trials import Trials
from .vector import Array, Mask, VectorTask

LIFE = ("episodes", "starts")
"""Of a family's options (`registry.Task.life`)."""
RETURNS = ("return_per_episode", "return_first", "return_second", "return_last")
"""The measures of `summarise`."""
COMPARED = ("return_second", "return_last", "return_first")
"""Of them, those in which agents are compared."""


class Family(VectorTask):
    """B lives of a family; subclasses write `_hide`, `_place`, `_move`, `_see` and `_told`.

    `info` has `trial`, the number of the episode within the life, and in `reward` the episode's return; subclasses add
    what is hidden.

    Args:
        num_envs: B.
        episodes: in a life.
        steps: in an episode.
        starts: whether the observation ends with a number that is 1 where an episode starts.
        action: the action space.
        seen: how many numbers are seen, without `starts`.
        bound: of what is seen, in both directions.
        render_mode: of Gymnasium.
    """

    info_spec: ClassVar = {"trial": np.int32, "trial_done": np.bool_, "reward": np.float32}
    hidden: ClassVar[tuple[str, ...]]

    def __init__(
        self,
        num_envs: int,
        episodes: int,
        steps: int,
        starts: bool,
        action: gymnasium.Space[Any],
        seen: int,
        bound: float,
        render_mode: str | None,
    ) -> None:
        super().__init__(num_envs, render_mode)
        self.episodes, self.steps, self._starts = episodes, steps, starts
        self._set_spaces(Box(-max(1.0, bound), max(1.0, bound), (seen + starts,), np.float32), action)
        self._trial, self._clock = np.zeros(num_envs, dtype=np.int32), np.zeros(num_envs, dtype=np.int32)
        self._return = np.zeros(num_envs, dtype=np.float32)

    # Hooks -------------------------------------------------------------------------------------------------

    def _hide(self, which: Mask) -> None:
        """Draw the hidden task of new lives in the rows of `which` [B]: the attributes that `hidden` names."""
        raise NotImplementedError

    def _place(self, which: Mask) -> None:
        """Begin an episode in the rows of `which` [B]."""
        raise NotImplementedError

    def _move(self, action: Array) -> Array:
        """Play `action` [B, ...]: the reward [B]."""
        raise NotImplementedError

    def _see(self) -> Array:
        """What the agent sees, a new array [B, F] float32."""
        raise NotImplementedError

    def _told(self) -> dict[str, Array]:
        """What `info` holds beside the rest, [B] each."""
        raise NotImplementedError

    # What all families share -------------------------------------------------------------------------------

    def _begin(self, which: Mask) -> None:
        self._trial = np.where(which, np.int32(0), self._trial)
        self._hide(which)
        self._open(which)

    def _open(self, which: Mask) -> None:
        self._clock[which] = 0
        self._return = np.where(which, np.float32(0), self._return)
        self._place(which)

    def _observe(self) -> Array:
        seen = self._see()
        if not self._starts:
            return seen
        return np.concatenate((seen, (self._clock == 0).astype(np.float32)[:, None]), axis=1)

    def _advance(self, action: Array) -> tuple[Array, Mask, Mask, dict[str, Array]]:
        reward = self._move(action).astype(np.float32)
        self._clock += 1
        self._return = self._return + reward
        over = self._clock >= self.steps
        info = {"trial": self._trial, "trial_done": over, "reward": self._return, **self._told()}
        terminated = over & (self._trial + 1 >= self.episodes)
        self._trial = self._trial + over
        again = over & ~terminated
        if again.any():
            self._open(again)
        return reward, terminated, self._nowhere, info

    def _render_ansi(self) -> str:
        return f"trial {min(int(self._trial[0]) + 1, self.episodes)} of {self.episodes}, step {int(self._clock[0])}"


def place_in_life(trials: Trials) -> Array:
    """How many episodes of its life came before each trial, whether an agent's state or its parameters went on."""
    count = np.asarray(trials["trial"], dtype=int)
    return np.maximum(count, trials["adaptation"]) if "adaptation" in trials else count


def returns_by_episode(trials: Trials, most: int | None = None) -> list[float]:
    """Mean return of the first, second, ... episode of a life; NaN up to `most` where there is none."""
    if not len(trials.get("trial", ())):
        return [float("nan")] * (most or 0)
    return by_episode(trials, np.asarray(trials["reward"]), most)


def by_episode(trials: Trials, values: Array, most: int | None = None) -> list[float]:
    """Means of `values` [N], one a trial, over the first, second, ... episodes of lives; NaN up to `most`."""
    place = place_in_life(trials)
    means: list[float] = mean_by(place, values, max(most or 0, int(place.max()) + 1)).tolist()
    return means


def summarise(trials: Trials, episodes: int) -> dict[str, Any]:
    """`return_per_episode`, of all; `return_first`, `return_second` and `return_last`, of episodes by place in a life.

    With parameters that adapt, `return_second` is after one step of adaptation and `return_last` after the last one.
    NaN where there is no such trial.
    """
    means = returns_by_episode(trials, episodes)
    rewards = np.asarray(trials.get("reward", ()), dtype=float)
    of_all = float(rewards.mean()) if len(rewards) else float("nan")
    second = means[1] if len(means) > 1 else float("nan")
    return dict(zip(RETURNS, (of_all, means[0], second, means[-1]), strict=True))


def analyse(trials: Trials) -> dict[str, Any]:
    """`return_by_episode`: before anything is learned of the hidden task, after one episode (or step), ...

    `gain`: by how much the last returns of lives are higher than the first, with Welch's t-test of the two.
    """
    if not len(trials.get("trial", ())):
        return {}
    means, place = returns_by_episode(trials), place_in_life(trials)
    rewards = np.asarray(trials["reward"], dtype=float)
    test = welch(rewards[place == place.max()], rewards[place == 0])
    return {"return_by_episode": means, "gain": {"mean": means[-1] - means[0], **test}}
