"""What a package's environments are, and whether they can be played: each is made and played for a few steps."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import NamedTuple

import gymnasium
import numpy as np
from gymnasium.spaces import Discrete

from ...conf.checking import ConfigError
from ..registry import TaskUnavailableError
from ..trials import TrialRecorder
from ..vector import EnvironmentFaultError
from .baselines import Random
from .env import GymnasiumEnv
from .making import imported
from .settings import GymnasiumSettings

STEPS = 400


class Surveyed(NamedTuple):
    """One environment."""

    id: str
    observation: str
    """Shape and type, as the agent sees it."""
    actions: str
    """How many there are, or the space they are of."""
    steps: float
    """Of a trial, where there are trials, else of an episode, by random actions; NaN if none ended."""
    performance: float
    """Of random actions, where the environment tells it; else NaN."""
    problem: str
    """Why it cannot be played; empty: it can."""


def environments_of(module: str) -> list[str]:
    """The ids that a package registers, in alphabetical order.

    Raises:
        TaskUnavailableError: if the package cannot be imported.
    """
    imported(module, "module")

    def home(spec: gymnasium.envs.registration.EnvSpec) -> str:
        entry = spec.entry_point or spec.vector_entry_point
        return entry if isinstance(entry, str) else str(getattr(entry, "__module__", ""))

    return sorted(
        name
        for name, spec in gymnasium.registry.items()
        if home(spec).replace(":", ".").startswith(f"{module}.") or home(spec) == module
    )


def survey(module: str) -> Iterator[Surveyed]:
    """Each environment of a package in turn.

    Raises:
        TaskUnavailableError: if the package cannot be imported.
    """
    for name in environments_of(module):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield _played(name, module)
        except (ConfigError, TaskUnavailableError, EnvironmentFaultError) as error:
            yield Surveyed(name, "", "", np.nan, np.nan, " ".join(str(error).split()))
        except Exception as error:  # whatever the code of others does when it plays
            yield Surveyed(name, "", "", np.nan, np.nan, f"{type(error).__name__}: {' '.join(str(error).split())}")


def _played(name: str, module: str) -> Surveyed:
    limit = None if gymnasium.spec(name).max_episode_steps else STEPS
    env = GymnasiumEnv(GymnasiumSettings(id=name, module=module, max_steps=limit, trials=None), 1)
    agent, recorder = Random(env), TrialRecorder(env.info_spec, 1, STEPS)
    obs, _ = env.reset(seed=0)
    for _ in range(STEPS):
        action = agent.act(obs)
        obs, reward, terminated, truncated, info = env.step(action)
        if not np.isfinite(obs).all() or not np.isfinite(reward).all():
            raise EnvironmentFaultError("an observation or a reward is not a finite number")
        recorder.add(info, reward, terminated | truncated)
    trials = recorder.trials()
    env.close()
    space = env.single_observation_space
    shape = f"{list(space.shape or ())} {space.dtype}"
    steps = float(np.mean(trials["steps"])) if len(trials["steps"]) else float("nan")
    performance = np.asarray(trials.get("performance", [np.nan]), dtype=float)
    known = performance[np.isfinite(performance)]
    mean = float(known.mean()) if len(known) else float("nan")
    actions = env.single_action_space
    return Surveyed(name, shape, str(actions.n) if isinstance(actions, Discrete) else str(actions), steps, mean, "")
