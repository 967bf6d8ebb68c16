"""The base class of every light task: B episodes stepped side by side by one NumPy object.

A subclass writes three hooks (`_begin`, `_advance`, `_observe`) and declares its spaces and `info_spec`;
seeding, autoreset, saving and restoring are here. `SingleTask` turns the same class into an ordinary
one-episode `gymnasium.Env`. Called by the rollout worker, by the baselines and through `gymnasium.make_vec`.

Conventions that every task keeps:

- Autoreset is *same-step* (`gymnasium.vector.AutoresetMode.SAME_STEP`): when an episode ends in a step,
  that step returns the first observation of the next episode, and the real last observation lies in
  `info["final_obs"]` (rows where `info["_final_obs"]`).
- `info` holds the task's truth about the transition just made, for the analysis, never for the agent. It has
  exactly the keys and dtypes of `info_spec`, each an array `[B]` (or `[B, ...]`). Arrays that were handed out, in
  `info` or elsewhere, are never changed: not by the task, which may hand out the same one in several steps, and not by
  who got them. `trial_done` says where a trial was completed; the other keys describe that trial in those rows.
- Episodes may form *lives*: what an agent's episodic memory holds lasts for a life. Unless a task says otherwise an
  episode is a life. `cue` is what the task gives such a memory in each step.
- What is random and independent of what happens (noise, coins) is drawn for many steps at once: see `_draw`.
- Everything else that changes during an episode is an `ndarray` attribute whose first axis is B, so that
  `state`/`restore` can carry any task over a resume, bit for bit. Tables that never change are made `constant`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

Array = NDArray[Any]
Mask = NDArray[np.bool_]


class EnvironmentFaultError(RuntimeError):
    """An environment returned what it must not: a wrong shape, NaN or infinity."""


DRAWN_AHEAD = 32
"""Steps that random numbers are drawn for at once: few calls, and little to be saved."""
_DRAWN = "drawn."
"""What was drawn ahead is saved under this name and its number."""


def constant(array: Array) -> Array:
    """The same array, which can no longer be written to: a table of a task, not part of its state."""
    array.flags.writeable = False
    return array


class Cue(NamedTuple):
    """What an agent's episodic memory is told in a step, beside the observation. B rows, keys of size K."""

    new_life: Mask
    """[B] a life starts in this step: the memory is emptied before anything else."""
    query: Array
    """[B, K] float32, what to look up before the network's step."""
    retrieve: Mask
    """[B] whether to look it up; where not, nothing is recalled."""
    key: Array
    """[B, K] float32, under what to store the state that the network has after its step."""
    write: Mask
    """[B] whether to store it."""
    tag: Array
    """[B] int32, what the entry to be written is about; for analyses only (see `target`)."""
    target: Array
    """[B] int32, tag of the entries that the query should find, -1 where there is none; for analyses only."""


class VectorTask(gymnasium.vector.VectorEnv[Array, Array, Array]):
    """B copies of one task. Subclasses set the spaces in `__init__` through `_set_spaces` and write the hooks.

    Actions are `Discrete`, `MultiDiscrete` or a `Box`.
    """

    metadata: dict[str, Any] = {
        "autoreset_mode": AutoresetMode.SAME_STEP,
        "render_modes": ["rgb_array", "ansi"],
        "render_fps": 4,
    }
    info_spec: ClassVar[Mapping[str, type[np.generic]]]
    """Keys and dtypes of `info`, fixed for the class; always with `trial` (0-based) and `trial_done`."""
    phases: tuple[str, ...] = ()
    """Names of a trial's steps in their order, where a table of trials is to hold `value` and `rpe` of each (see
    `envs.trials`); may be set in `__init__`."""
    hidden: ClassVar[tuple[str, ...]] = ()
    """Attributes [B, ...] that make up what an episode is about and nobody is told, such as where a goal is: see
    `play_hidden`. Empty: there are none that could be played again."""
    restorable: ClassVar[bool] = True
    """False for a simulator that cannot be put back into the middle of an episode: `restore` is followed by `reset`."""

    def __init__(self, num_envs: int, render_mode: str | None = None) -> None:
        if num_envs < 1:
            raise ValueError(f"a task needs at least one environment, got num_envs={num_envs}")
        self.num_envs = num_envs
        self.render_mode = render_mode
        self._rng = np.random.default_rng()
        self._drawn: tuple[Array, ...] = ()
        """What `_draw` made last, and how many of its steps are still to come."""
        self._to_come = 0
        self._everywhere, self._nowhere = constant(np.ones(num_envs, bool)), constant(np.zeros(num_envs, bool))
        self._fresh = np.ones(num_envs, dtype=bool)
        """Rows where an episode has just begun."""
        self.final_cue: Cue | None = None
        """What belongs to the last observations of the episodes that were truncated last."""

    @property
    def rng(self) -> np.random.Generator:
        """Source of everything random; another one takes effect at once (nothing that was drawn ahead is used)."""
        return self._rng

    @rng.setter
    def rng(self, generator: np.random.Generator) -> None:
        self._rng = generator
        self._drawn, self._to_come = (), 0

    def _set_spaces(self, observation: gymnasium.Space[Any], action: gymnasium.Space[Any]) -> None:
        self.single_observation_space = observation
        self.single_action_space = action
        self.observation_space = batch_space(observation, self.num_envs)
        self.action_space = batch_space(action, self.num_envs)

    # Hooks -------------------------------------------------------------------------------------------------

    def _begin(self, which: Mask) -> None:
        """Start a new episode in the rows of `which` [B], drawing whatever is random from `self.rng`."""
        raise NotImplementedError

    def _advance(self, action: Array) -> tuple[Array, Mask, Mask, dict[str, Array]]:
        """Play `action` [B, ...] and return reward [B] (float32), terminated [B], truncated [B] and info."""
        raise NotImplementedError

    def _observe(self) -> Array:
        """What the agent sees now, `[B, ...]`, a new array."""
        raise NotImplementedError

    def _draw(self, steps: int) -> tuple[Array, ...]:
        """What is random in so many steps, whatever happens in them: arrays `[steps, B, ...]` made from `self.rng`."""
        raise NotImplementedError

    def _next_draws(self) -> list[Array]:
        """The rows `[B, ...]` of `_draw`'s arrays for the step that is being made; asked for once a step."""
        if not self._to_come:
            self._drawn, self._to_come = self._draw(DRAWN_AHEAD), DRAWN_AHEAD
        place = -self._to_come
        self._to_come -= 1
        return [numbers[place] for numbers in self._drawn]

    def _end_life(self) -> None:
        """Make the next `_begin` start new lives (tasks whose lives are longer than an episode)."""

    def _cue(self) -> Cue:
        """See `cue`. As it is here: the observation is key and query, each state is stored, an episode is a life."""
        everywhere = np.ones(self.num_envs, dtype=bool)
        flat = self._observe().reshape(self.num_envs, -1).astype(np.float32)
        nothing = np.full(self.num_envs, -1, dtype=np.int32)
        return Cue(self._fresh, flat, everywhere, flat, everywhere, tag=nothing, target=nothing)

    def _render_rgb(self) -> NDArray[np.uint8]:
        """Episode 0 as a picture, `[height, width, 3]`."""
        raise NotImplementedError

    def _render_ansi(self) -> str:
        """Episode 0 as text for a terminal; may span lines; no trailing newline."""
        raise NotImplementedError

    # Gymnasium's interface ---------------------------------------------------------------------------------

    def reset(
        self,
        *,
        seed: int | list[int | None] | None = None,
        options: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> tuple[Array, dict[str, Array]]:
        """Start B new episodes; `seed` (one integer for the whole batch) makes everything after it repeatable."""
        if seed is not None:
            self.rng = np.random.default_rng(seed)  # type: ignore[arg-type]  # a list seeds NumPy as well
        self._end_life()
        self._fresh = np.ones(self.num_envs, dtype=bool)
        self._begin(self._fresh)
        return self._observe(), {}

    def step(self, actions: Array) -> tuple[Array, Array, Mask, Mask, dict[str, Array]]:
        """One step of all B episodes; see the module's text for `info` and for autoreset.

        Raises:
            ValueError: for an action outside of the action space.
        """
        chosen = np.asarray(actions)
        _check_actions(chosen, self.single_action_space)
        return self.play(chosen)

    def play(self, actions: Array) -> tuple[Array, Array, Mask, Mask, dict[str, Array]]:
        """`step` for a policy that knows its actions: they are not checked.

        Those of a `Box` may be drawn from all numbers: they are clipped to its bounds here.
        """
        chosen, space = np.asarray(actions), self.single_action_space
        if isinstance(space, gymnasium.spaces.Box):
            chosen = np.clip(chosen.reshape(-1, *space.shape), space.low, space.high)
        elif isinstance(space, gymnasium.spaces.MultiDiscrete):
            chosen = chosen.reshape(-1, *space.shape)
        reward, terminated, truncated, info = self._advance(chosen)
        obs = self._observe()
        ended = terminated | truncated
        info["_final_obs"] = self._fresh = ended
        if np.count_nonzero(ended):  # a third of the time of `any`
            info["final_obs"] = obs
            if np.count_nonzero(truncated):
                self.final_cue = self._cue()
            self._begin(ended)
            obs = self._observe()
        return obs, reward, terminated, truncated, info

    def render(self) -> Any:
        """Episode 0 in the form that `render_mode` asks for."""
        if self.render_mode == "ansi":
            return self._render_ansi()
        if self.render_mode == "rgb_array":
            return self._render_rgb()
        return None

    def cue(self) -> Cue:
        """What an episodic memory is told in the step that is about to be made; new arrays."""
        return self._cue()

    @property
    def cue_size(self) -> int:
        """K, the size of keys and queries."""
        return int(np.prod(self.single_observation_space.shape or (1,)))

    def hidden_tasks(self) -> dict[str, Array]:
        """What the running episodes are about, by the names of `hidden`; copies."""
        return {name: getattr(self, name).copy() for name in self.hidden}

    def play_hidden(self, tasks: Mapping[str, Array]) -> Array:
        """Make episodes that have just begun be about these `hidden_tasks`; what is seen of them [B, ...]."""
        for name, value in tasks.items():
            setattr(self, name, value.copy())
        return self._observe()

    # Exact resume ------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Try what only a try can tell, such as whether a game knows its level; nothing stays open.

        Asked once before any process of a run is started. Raises what tells why it cannot be played.
        """

    def state(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Everything needed to go on from here: the arrays, and the random generator's state (plain JSON).

        There are no arrays of one that is not `restorable`.
        """
        if not self.restorable:
            return {}, dict(self.rng.bit_generator.state)
        arrays = {
            name: value.copy()
            for name, value in vars(self).items()
            if isinstance(value, np.ndarray) and value.flags.writeable
        }
        if self._to_come:
            arrays |= {f"{_DRAWN}{i}": numbers[-self._to_come :].copy() for i, numbers in enumerate(self._drawn)}
        return arrays, dict(self.rng.bit_generator.state)

    def restore(self, arrays: Mapping[str, Array], rng_state: Mapping[str, Any]) -> None:
        """Go on from a `state` of an object built with the same settings and `num_envs`.

        One that is not `restorable` goes on with the seeds that would have followed: `reset` begins new episodes.
        """
        self.rng.bit_generator.state = dict(rng_state)
        if not self.restorable:
            return
        ahead = [name for name in arrays if name.startswith(_DRAWN)]
        self._drawn = tuple(arrays[name].copy() for name in sorted(ahead))
        self._to_come = len(self._drawn[0]) if ahead else 0
        for name, value in arrays.items():
            if name not in ahead:
                setattr(self, name, value.copy())


def _check_actions(actions: Array, space: gymnasium.Space[Any]) -> None:
    if isinstance(space, gymnasium.spaces.Discrete):
        count = int(space.n)
        if actions.dtype.kind not in "iu" or actions.min() < 0 or actions.max() >= count:
            raise ValueError(f"actions are whole numbers from 0 to {count - 1}, got {actions.tolist()}")
        return
    if isinstance(space, gymnasium.spaces.Box):
        low, high, whole = space.low, space.high, False
    else:
        assert isinstance(space, gymnasium.spaces.MultiDiscrete)
        low, high, whole = space.start, space.start + space.nvec - 1, True
    fits = actions.shape[actions.ndim - low.ndim :] == low.shape and (actions.dtype.kind in "iu" or not whole)
    if not fits or not ((actions >= low) & (actions <= high)).all():
        raise ValueError(f"actions lie in {space}, got {actions.tolist()}")


class SingleTask(gymnasium.Env[Array, Any]):
    """One episode of a task as an ordinary Gymnasium environment (no autoreset)."""

    metadata: dict[str, Any] = {"render_modes": ["rgb_array", "ansi"], "render_fps": 4}

    def __init__(self, batch: VectorTask) -> None:
        if batch.num_envs != 1:
            raise ValueError(f"a single environment needs a batch of one, got num_envs={batch.num_envs}")
        self._batch = batch
        self.render_mode = batch.render_mode
        self.observation_space = batch.single_observation_space
        self.action_space = batch.single_action_space

    def reset(
        self,
        *,
        seed: int | None = None,
        options: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> tuple[Array, dict[str, Any]]:
        """Start an episode: the next one of the current life, or with a `seed` the first of a new one."""
        super().reset(seed=seed)
        if seed is not None:
            self._batch.rng = self.np_random
            self._batch._end_life()
        self._batch._begin(np.ones(1, dtype=bool))
        return self._batch._observe()[0], {}

    def step(self, action: Any) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """Play one action; `info` has one value a key."""
        _check_actions(np.asarray(action), self.action_space)
        reward, terminated, truncated, info = self._batch._advance(np.asarray([action]))
        single_info = {name: value[0] for name, value in info.items()}
        return self._batch._observe()[0], float(reward[0]), bool(terminated[0]), bool(truncated[0]), single_info

    def render(self) -> Any:
        """The episode in the form that `render_mode` asks for."""
        return self._batch.render()

    def close(self) -> None:
        """End what the task holds open."""
        self._batch.close()
