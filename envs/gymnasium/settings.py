"""Options of the task `gymnasium`; each is explained in `conf/task/gymnasium.yaml`."""

from __future__ import annotations

from dataclasses import field
from typing import Any, Literal

from ...conf.settings import Count, Many, Recorded, Text, settings

TRIALS = 100
"""Trials in an episode of an environment that tells them, where nothing else is asked for."""


@settings
class GymnasiumSettings:
    """Which environment is played, and how."""

    id: Text = "CartPole-v1"
    module: Text | None = None
    options: dict[str, Any] = field(default_factory=dict)
    wrappers: Many[Text | dict[str, Any]] = ()
    max_steps: Count | None = None
    trials: Recorded | None = None
    info: Many[Text] = ()
    strength: Text | None = None
    vector: Literal["auto", "own", "single"] = "auto"
