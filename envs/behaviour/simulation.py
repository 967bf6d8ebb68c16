"""Subjects that are models: each plays a task's own environment with parameters of its own."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..registry import Task
from ..trials import simulate
from ..vector import Array
from .model import ChoiceModel


def simulated(
    task: Task, settings: Any, model: ChoiceModel, parameters: Array, sessions: int, seed: int = 0
) -> dict[str, dict[str, Array]]:
    """Trials of N subjects, by the names "1" to "N".

    Args:
        task: that has models (`Task.models`).
        settings: of the task.
        model: of all of them.
        parameters: of each, [N, P].
        sessions: that each plays.
        seed: of the task and of the choices.
    """
    assert task.player is not None, task.name
    count = len(parameters)
    env = task.make(settings, count * sessions)
    learner = model.learner(np.repeat(parameters, sessions, axis=0))
    player = task.player(env, learner, np.random.default_rng((seed, 1)))
    trials, _ = simulate(env, player, count * sessions, seed)
    whose = trials["episode"] // sessions
    ends = np.searchsorted(whose, np.arange(count + 1))
    return {
        str(number + 1): {name: column[ends[number] : ends[number + 1]] for name, column in trials.items()}
        for number in range(count)
    }


def drawn(model: ChoiceModel, count: int, seed: int = 0) -> Array:
    """Parameters [count, P], uniform in their typical ranges."""
    low, high = np.array([parameter.typical for parameter in model.parameters]).T
    return np.random.default_rng((seed, 2)).uniform(low, high, (count, len(low)))
