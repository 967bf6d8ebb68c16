"""Any Gymnasium environment as a task: B episodes, side by side in the process that plays them, never pickled.

An episode ends as Gymnasium defines it: by the environment (terminated) or by a time limit (truncated), which is the
one that it is registered with, `task.max_steps`, or, in an environment of trials (NeuroGym), `task.trials`. The real
last observation is kept, and the next episode begins in the same step.

A row of the table of trials is a trial where the environment tells them (see `told`), else an episode. What it tells
becomes columns of numbers (NaN where it did not tell one) or texts (empty where it did not). The columns are those of
the start: names that come up later are left out, so that an `info` whose keys change does no harm.

Rows are seeded as Gymnasium's `SyncVectorEnv` seeds them, `seed + row`, in the beginning only. Environments cannot be
put back into the middle of an episode: after a resume new episodes begin.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...conf.checking import ConfigError
from ..vector import Array, Mask, VectorTask
from .drawing import as_text, drawn
from .making import find_spec
from .players import Played, make_players
from .settings import TRIALS, GymnasiumSettings
from .spaces import Actions, Observations

LARGEST_SEED = 2**31 - 1


class GymnasiumEnv(VectorTask):
    """B episodes. Observations: see `spaces.Observations`. Actions: those of the environment.

    Raises:
        ConfigError: for an environment, an option, a wrapper or a space that cannot be, with the way out.
        TaskUnavailableError: if a package is missing.
    """

    restorable = False

    def __init__(self, settings: GymnasiumSettings, num_envs: int, render_mode: str | None = None) -> None:
        super().__init__(num_envs, render_mode)
        self.settings = settings
        spec = find_spec(settings)
        self._players = make_players(settings, spec, num_envs)
        self._of_trials = self._players.columns is not None
        if settings.trials is not None and not self._of_trials:
            raise ConfigError(
                f"task.trials={settings.trials}: {settings.id} tells no trials (info['new_trial'] and an attribute "
                "trial, as NeuroGym's environments have them); an episode is cut with task.max_steps"
            )
        if not self._of_trials and settings.max_steps is None and spec.max_episode_steps is None:
            raise ConfigError(
                f"task.max_steps has to be given: {settings.id} is registered without a time limit, so that an episode "
                "may never end; one is cut off (truncated) after so many steps"
            )
        self._trials = settings.trials or TRIALS
        self._observations = Observations(settings.id, self._players.observation_space)
        self._actions = Actions(settings.id, self._players.action_space)
        self._set_spaces(self._observations.space, self._actions.space)
        frames = self._players.metadata.get("render_fps") or VectorTask.metadata["render_fps"]
        self.metadata = {**VectorTask.metadata, "render_fps": frames}
        self.info_spec = {  # type: ignore[misc]  # those of this environment
            "trial": np.int32,
            "trial_done": np.bool_,
            **self._actions.columns,
            "reward": np.float32,
            "ended": np.bool_,
            "episode_return": np.float32,
            **dict.fromkeys(settings.info, np.float64),
            **(self._players.columns or {}),
        }
        self._untold = {
            name: np.full(num_envs, "" if dtype is np.str_ else np.nan, dtype)
            for name, dtype in self.info_spec.items()
            if name in settings.info or name in (self._players.columns or {})
        }
        self._seeds: Sequence[int | None] = [None] * num_envs
        self._obs = np.zeros((num_envs, *self._observations.space.shape), self._observations.space.dtype)
        self._steps = np.zeros(num_envs, np.int64)
        self._trial = np.zeros(num_envs, np.int32)
        self._trial_reward, self._return = np.zeros(num_envs), np.zeros(num_envs)
        self._shown: tuple[Any, float] = (0, 0.0)
        """Action and reward of row 0, for renderings."""

    def reset(
        self,
        *,
        seed: int | list[int | None] | None = None,
        options: dict[str, Any] | None = None,  # noqa: ARG002  # Gymnasium's signature
    ) -> tuple[Array, dict[str, Array]]:
        """Start B new episodes; with a `seed` row i by `seed + i`, or by the seed of its own in a list."""
        if seed is None:
            self._end_life()
        elif isinstance(seed, int):
            self.rng = np.random.default_rng(seed)
            self._seeds = [(seed + row) % LARGEST_SEED for row in range(self.num_envs)]
        else:
            self._seeds = seed
        self._fresh = self._everywhere
        self._begin(self._everywhere)
        return self._observe(), {}

    def _end_life(self) -> None:
        """The next episodes begin by seeds from `rng`."""
        self._seeds = [int(seed) for seed in self.rng.integers(LARGEST_SEED, size=self.num_envs)]

    def _begin(self, which: Mask) -> None:
        rows = np.flatnonzero(which).tolist()
        self._players.begin(rows, [self._seeds[row] for row in rows])
        self._seeds = [None] * self.num_envs
        self._obs = self._obs.copy()
        for row in rows:
            self._obs[row] = self._observations.encode(self._players.seen[row])
        for counter in (self._steps, self._trial, self._trial_reward, self._return):
            counter[which] = 0

    def _observe(self) -> Array:
        return self._obs.copy()

    def _advance(self, action: Array) -> tuple[Array, Mask, Mask, dict[str, Array]]:
        played = self._players.step(self._actions.decode(action))
        self._obs = np.stack([self._observations.encode(seen) for seen in self._players.seen])
        self._shown = (action[0], float(played.reward[0]))
        self._steps += 1
        self._trial_reward += played.reward
        self._return += played.reward
        truncated = played.truncated
        if self.settings.max_steps is not None:
            truncated = truncated | (self._steps >= self.settings.max_steps)
        if played.trials is not None:
            over = np.array([told is not None for told in played.trials])
            truncated = truncated | (over & (self._trial + 1 >= self._trials))
        ended = played.terminated | truncated
        if played.trials is None:
            over = ended
        info = {
            "trial": self._trial,
            "trial_done": over,
            **self._actions.told(action),
            "reward": self._trial_reward.astype(np.float32),
            "ended": ended,
            "episode_return": self._return.astype(np.float32),
            **self._told(played, over),
        }
        self._trial = self._trial + over.astype(np.int32)
        self._trial_reward[over] = 0
        return played.reward.astype(np.float32), played.terminated, truncated, info

    def _told(self, played: Played, over: Mask) -> dict[str, Array]:
        """The columns of others, filled in the rows where a trial is over."""
        if not over.any():
            return dict(self._untold)
        numbers = {name: column.copy() for name, column in self._untold.items() if column.dtype.kind == "f"}
        texts = {name: [""] * self.num_envs for name in self._untold if name not in numbers}
        for row in np.flatnonzero(over).tolist():
            told = dict(played.trials[row] or {}) if played.trials is not None else {}
            told |= {name: _number(played.infos[row], name) for name in self.settings.info}
            for name, value in told.items():
                if name in texts:
                    texts[name][row] = str(value)
                elif name in numbers and not isinstance(value, str):
                    numbers[name][row] = value
        return {**numbers, **{name: np.array(column) for name, column in texts.items()}}

    def close_extras(self, **kwargs: Any) -> None:  # noqa: ARG002  # Gymnasium's signature
        """End all environments."""
        self._players.close()

    def _render_rgb(self) -> NDArray[np.uint8]:
        return drawn(self._players.picture, self._lines(), self._obs[0])

    def _render_ansi(self) -> str:
        return "\n".join((*self._lines(), as_text(self._obs[0])))

    def _lines(self) -> tuple[str, str]:
        action, reward = self._shown
        where = f"trial {self._trial[0] + 1} of {self._trials}" if self._of_trials else f"step {self._steps[0] + 1}"
        return (
            f"{self.settings.id}   {where}",
            f"action {np.round(action, 2)}, reward {reward:+.2f}, return {self._return[0]:+.2f}",
        )


def _number(info: Mapping[str, Any], path: str) -> float:
    """The number at a (dotted) name of an `info`; NaN if there is none."""
    found: Any = info
    for name in path.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    try:
        return float(np.asarray(found, dtype=float).item())
    except (TypeError, ValueError):
        return float("nan")
