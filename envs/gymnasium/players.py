"""Who plays B episodes: single environments side by side, or the environment's own vector version.

Both end an episode and begin the next when they are asked to (`begin`), whatever their library calls autoreset.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import iterate

from ...conf.checking import ConfigError
from ..vector import Array, EnvironmentFaultError, Mask
from .making import Single, make_single, plain_lists
from .settings import GymnasiumSettings
from .told import Told, TrialTeller, columns_of, tells_trials


class Played(NamedTuple):
    """What one step of B episodes gave."""

    reward: Array
    """[B] float64"""
    terminated: Mask
    truncated: Mask
    """[B], by the environment itself."""
    infos: Sequence[Mapping[str, Any]]
    """One a row; of a row whose episode goes on it may be empty."""
    trials: Sequence[Told | None] | None
    """What is told of the trials that ended; None of an environment without trials."""


class Players(ABC):
    """B episodes of one environment."""

    observation_space: gymnasium.Space[Any]
    action_space: gymnasium.Space[Any]
    metadata: Mapping[str, Any]
    columns: Mapping[str, type[np.generic]] | None
    """Of what is told of trials; None of an environment without trials."""
    seen: list[Any]
    """The last observation of each row."""

    @abstractmethod
    def begin(self, rows: Sequence[int], seeds: Sequence[int | None]) -> None:
        """Begin new episodes, in rows that have ended or by new seeds; `seen` is their first observation."""

    @abstractmethod
    def step(self, actions: Sequence[Any]) -> Played:
        """One step; where an episode ends, `seen` is its real last observation."""

    @abstractmethod
    def picture(self) -> Any:
        """Row 0 as it shows itself, or None."""

    @abstractmethod
    def close(self) -> None:
        """End all environments."""


class SideBySide(Players):
    """Single environments, stepped one after the other. All but the first are made when they begin to play."""

    def __init__(self, settings: GymnasiumSettings, spec: EnvSpec, num_envs: int) -> None:
        self._settings, self._spec, self._num_envs = settings, spec, num_envs
        first = make_single(settings, spec, pictures=True)
        self._envs: list[Single] = [first]
        self.observation_space, self.action_space = first.observation_space, first.action_space
        self.metadata = first.metadata or {}
        self.columns = columns_of(first) if tells_trials(first) else None
        self._tellers = [TrialTeller(first)] if self.columns is not None else []
        self.seen = [None] * num_envs

    def begin(self, rows: Sequence[int], seeds: Sequence[int | None]) -> None:
        """See `Players`."""
        while len(self._envs) < self._num_envs:
            env = make_single(self._settings, self._spec, pictures=False)
            self._envs.append(env)
            if self.columns is not None:
                self._tellers.append(TrialTeller(env))
        for row, seed in zip(rows, seeds, strict=True):
            env = self._envs[row]
            if seed is not None:
                _seed_of_its_own(env, seed)
            self.seen[row], _ = env.reset(seed=seed)
            if self.columns is not None:
                self._tellers[row].begin()

    def step(self, actions: Sequence[Any]) -> Played:
        """See `Players`."""
        count = self._num_envs
        reward, ended = np.empty(count), np.empty((2, count), dtype=bool)
        infos: list[Mapping[str, Any]] = []
        trials: list[Told | None] = []
        for row, (env, action) in enumerate(zip(self._envs, actions, strict=True)):
            if self._tellers:
                self._tellers[row].before()
            self.seen[row], earned, ended[0, row], ended[1, row], info = env.step(action)
            reward[row] = earned if isinstance(earned, float) else np.asarray(earned, dtype=float).item()
            infos.append(info)
            if self._tellers:
                trials.append(self._tellers[row].after(action, info))
        return Played(reward, ended[0], ended[1], infos, trials if self._tellers else None)

    def picture(self) -> Any:
        """See `Players`."""
        return self._envs[0].render() if self._envs[0].render_mode == "rgb_array" else None

    def close(self) -> None:
        """See `Players`."""
        for env in self._envs:
            env.close()


def _seed_of_its_own(env: Single, seed: int) -> None:
    """Environments that draw from a generator of their own, which `reset` does not seed (NeuroGym's), have `seed`."""
    own = getattr(env.unwrapped, "seed", None)
    if callable(own):
        own(seed)


class OwnVector(Players):
    """The vector version that an environment registers, where it ends and begins episodes in the same step.

    Raises:
        ConfigError: for options that it does not take.
    """

    columns = None

    def __init__(self, settings: GymnasiumSettings, spec: EnvSpec, num_envs: int) -> None:
        options: dict[str, Any] = plain_lists(settings.options)
        if settings.max_steps is not None:
            options["max_episode_steps"] = settings.max_steps
        try:
            self._env: gymnasium.vector.VectorEnv[Any, Any, Any] = gymnasium.make_vec(
                spec.id, num_envs, "vector_entry_point", **options
            )
        except Exception as error:  # whatever the constructor of others raises
            raise ConfigError(
                f"task.id={settings.id}: its vector version cannot be made: {type(error).__name__}: {error} "
                "(task.vector=single plays single environments)"
            ) from error
        self.observation_space = self._env.single_observation_space
        self.action_space = self._env.single_action_space
        self.metadata = self._env.metadata
        self.seen = [None] * num_envs
        self._next: list[Any] = []

    @property
    def begins_in_the_same_step(self) -> bool:
        """Whether the step that ends an episode gives its last and the next one's first observation."""
        return self._env.metadata.get("autoreset_mode") is AutoresetMode.SAME_STEP

    def begin(self, rows: Sequence[int], seeds: Sequence[int | None]) -> None:
        """See `Players`; a seed is one for all rows."""
        if seeds[0] is not None:
            obs, _ = self._env.reset(seed=seeds[0])
            self._next = self._rows(obs)
        elif not self._next:
            self._next = self._rows(self._env.reset()[0])
        for row in rows:
            self.seen[row] = self._next[row]

    def step(self, actions: Sequence[Any]) -> Played:
        """See `Players`."""
        obs, reward, terminated, truncated, info = self._env.step(np.asarray(actions))
        self._next = self._rows(obs)
        self.seen = list(self._next)
        infos: list[Mapping[str, Any]] = [{}] * len(self.seen)
        for row in np.flatnonzero(terminated | truncated).tolist():
            if "final_obs" not in info:
                raise EnvironmentFaultError(f"{self._env}: an episode ended, and its info has no final_obs")
            self.seen[row] = _row(info["final_obs"], row)
            infos[row] = _row(info.get("final_info", {}), row)
        return Played(np.asarray(reward, dtype=float), np.asarray(terminated), np.asarray(truncated), infos, None)

    def _rows(self, obs: Any) -> list[Any]:
        return list(iterate(self._env.observation_space, obs))

    def picture(self) -> Any:
        """See `Players`: vector versions show all rows in one picture, if any."""

    def close(self) -> None:
        """See `Players`."""
        self._env.close()


def _row(values: Any, row: int) -> Any:
    """One row of what Gymnasium has gathered in dictionaries of arrays, with a mask `_name` of who has a value."""
    if not isinstance(values, Mapping):
        return values[row]
    return {
        name: _row(value, row)
        for name, value in values.items()
        if not name.startswith("_") and np.ravel(values.get(f"_{name}", True))[row if f"_{name}" in values else 0]
    }


def make_players(settings: GymnasiumSettings, spec: EnvSpec, num_envs: int) -> Players:
    """The environment's own vector version where it can be played, or single environments side by side.

    Raises:
        ConfigError: if `task.vector=own` cannot be.
        TaskUnavailableError: if a package that the environment needs is missing.
    """
    why = ""
    if spec.vector_entry_point is None:
        why = "registers no vector version"
    elif settings.wrappers or spec.additional_wrappers:
        why = "is wrapped, and wrappers are for single environments"
    elif settings.vector != "single":
        players = OwnVector(settings, spec, num_envs)
        if players.begins_in_the_same_step:
            return players
        players.close()
        why = "has a vector version that begins the next episode a step late (its autoreset_mode is not SAME_STEP)"
    if settings.vector == "own":
        raise ConfigError(f"task.vector=own: {settings.id} {why}; play single environments with task.vector=auto")
    return SideBySide(settings, spec, num_envs)
