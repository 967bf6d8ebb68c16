"""Two-dimensional navigation (Finn et al. 2017, section 5.3): a point has to find a goal that it is not shown.

In each step it moves by the action, cut to ± `speed` in each direction, and pays the distance to the goal from where it
then is. An episode is over once both coordinates are within `reached` of the goal; here it rests there (see
`envs.families`).
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from gymnasium.spaces import Box

from ...conf.settings import Count, Positive, settings
from ..canvas import Canvas
from ..families import Family
from ..vector import Array, Mask

PATH = 10
"""Places that are told of an episode, evenly spread over its steps, without its start."""


@settings
class NavigationSettings:
    """Options of the task."""

    episodes: Count = 2
    steps: Count = 100
    goals: Positive = 0.5
    """Goals are drawn from ± this, uniformly in both directions."""
    speed: Positive = 0.1
    action_scale: Positive = 10.0
    """An action of so much is a move of 1."""
    reached: Positive = 0.01
    starts: bool = False
    """Tell in the observation that an episode starts."""


class NavigationEnv(Family):
    """B lives. Observation [2] (with `starts` [3]): where it is. Actions: a move times `action_scale`.

    `info` tells the goal and the path: where it was at `PATH` moments of the episode; at those to come, where it is.
    """

    info_spec: ClassVar = {
        **Family.info_spec,
        "goal_x": np.float32,
        "goal_y": np.float32,
        **{f"{axis}_{i}": np.float32 for i in range(1, PATH + 1) for axis in "xy"},
    }
    hidden = ("goal",)

    def __init__(self, settings: NavigationSettings, num_envs: int, render_mode: str | None = None) -> None:
        bound = settings.speed * settings.action_scale
        action = Box(-bound, bound, (2,), np.float32)
        life, reach = (settings.episodes, settings.steps, settings.starts), settings.speed * settings.steps
        super().__init__(num_envs, *life, action, 2, reach, render_mode)
        self.settings = settings
        self.goal = np.zeros((num_envs, 2), dtype=np.float32)
        self._place_now = np.zeros((num_envs, 2), dtype=np.float32)
        self._rests = np.zeros(num_envs, dtype=bool)
        self._path = np.zeros((num_envs, PATH, 2), dtype=np.float32)

    def _hide(self, which: Mask) -> None:
        size = self.settings.goals
        self.goal[which] = self.rng.uniform(-size, size, (int(which.sum()), 2))

    def _place(self, which: Mask) -> None:
        self._place_now[which] = 0
        self._rests[which] = False
        self._path = np.where(which[:, None, None], np.float32(0), self._path)

    def _see(self) -> Array:
        return self._place_now.copy()

    def _move(self, action: Array) -> Array:
        settings = self.settings
        move = np.clip(action / settings.action_scale, -settings.speed, settings.speed)
        self._place_now = np.where(self._rests[:, None], self._place_now, self._place_now + move).astype(np.float32)
        away = self._place_now - self.goal
        reward = np.where(self._rests, 0.0, -np.sqrt((away**2).sum(1)))
        self._rests = self._rests | (np.abs(away) < settings.reached).all(1)
        ahead = np.arange(PATH) >= (self._clock * PATH // self.steps)[:, None]
        self._path = np.where(ahead[:, :, None], self._place_now[:, None], self._path)
        return reward

    def _told(self) -> dict[str, Array]:
        path = {f"{axis}_{i + 1}": self._path[:, i, k] for i in range(PATH) for k, axis in enumerate("xy")}
        return {"goal_x": self.goal[:, 0].copy(), "goal_y": self.goal[:, 1].copy(), **path}

    def _render_rgb(self) -> Array:
        canvas = Canvas(320, 360)
        scale = 75 / self.settings.goals

        def at(place: Array) -> tuple[float, float]:
            x, y = np.clip(scale * place, -150, 150)
            return 160 + float(x), 195 - float(y)

        canvas.text(160, 24, self._render_ansi(), size=15)
        canvas.box(160 - 75, 195 - 75, 150, 150, (238, 238, 240))
        canvas.disc(*at(self.goal[0]), 8, (63, 155, 115))
        canvas.disc(*at(self._place_now[0]), 5, (200, 85, 61))
        return canvas.pixels
