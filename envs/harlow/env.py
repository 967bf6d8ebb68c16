"""Harlow's learning set in one dimension: a ring of cells, a gaze that rotates, a cross to fixate, two objects.

Fixating the cross (bringing it to the centre of the view) pays a little and shows two objects, one on each side; one of
them is the rewarded one for the whole episode. Fixating an object ends the trial, and the cross is shown again where
it was. An agent that has learned to learn is right from the second trial on. Source: the one-dimensional version of
Wang et al. 2018, simulation 5, with object values that never collide with the codes of the cross and the ground.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Le
from gymnasium.spaces import Box, Discrete

from ...conf.settings import LARGEST_RECORDED, Number, Recorded, settings
from ..canvas import Canvas, Color
from ..vector import Array, Mask, VectorTask, constant
from .ring import RING, STATES, VIEW, Ring

EMPTY, CROSS = 0.0, 3.0
NEAREST, FARTHEST = 0.5, 2.0
"""Observation codes. The lower half of the objects' levels lies evenly in [-FARTHEST, -NEAREST], the upper half in
[NEAREST, FARTHEST]: centred, as a network learns best, and away from the codes of the ground and of the cross."""


HELD_OUT_EVERY = 5
"""Levels 4, 9, 14, ... are never seen in training."""

START_SHIFTS = np.array([-3, -2, -1, 1, 1, 2], dtype=np.int16)
"""Where the cross may be at the start (-3..2, with 1 in the place of 0)."""


def codes_of(level: Array, levels: int) -> Array:
    """Observation codes (float32) of objects with these levels, 0 <= level < levels."""
    place = 2 * np.asarray(level, dtype=np.float32) / (levels - 1) - 1  # -1..1
    return (np.sign(place) * (NEAREST + (FARTHEST - NEAREST) * np.abs(place))).astype(np.float32)


@settings
class HarlowSettings:
    """Options of the task.

    Raises:
        ValueError: for a value that cannot be.
    """

    trials: Recorded = 6
    max_steps: Recorded = 250
    levels: Annotated[int, Ge(2 * HELD_OUT_EVERY), Le(LARGEST_RECORDED)] = 1000
    """Two are left for each split at least."""
    split: Literal["train", "test", "all"] = "train"
    reward_fixation: Number = 0.2
    reward_correct: Number = 1.0
    reward_wrong: Number = -1.0

    def pool(self) -> Array:
        """Numbers of the levels that this split draws from."""
        numbers = np.arange(self.levels, dtype=np.int32)
        held_out = numbers % HELD_OUT_EVERY == HELD_OUT_EVERY - 1
        return numbers if self.split == "all" else numbers[held_out if self.split == "test" else ~held_out]


class HarlowEnv(VectorTask):
    """B episodes. Observation [9]: what the cells around the gaze hold. Actions: rotate by one cell, left or right."""

    info_spec: ClassVar = {
        "trial": np.int32,
        "trial_done": np.bool_,
        "correct": np.bool_,
        "chose_right": np.bool_,
        "rewarded_right": np.bool_,
        "reward": np.float32,
        "rewarded_level": np.int32,
        "other_level": np.int32,
    }

    def __init__(self, settings: HarlowSettings, num_envs: int, render_mode: str | None = None) -> None:
        super().__init__(num_envs, render_mode)
        self.settings = settings
        self._set_spaces(Box(-FARTHEST, CROSS, (VIEW,), np.float32), Discrete(2))
        self._levels = constant(settings.pool())
        self._ring = Ring.of(settings.reward_fixation, settings.reward_correct, settings.reward_wrong)
        self._pair = np.zeros((num_envs, 2), dtype=np.int32)
        """Level of the rewarded object and of the other one."""
        self._codes = np.tile(np.array([EMPTY, CROSS, 0, 0], dtype=np.float32), (num_envs, 1))
        """What may be seen: nothing, the cross, the rewarded object, the other one."""
        self._start_of_row = constant(4 * np.arange(num_envs)[:, None])
        self._at = np.zeros(num_envs, dtype=np.intp)
        """State of the ring, see `Ring`."""
        self._trial = np.zeros(num_envs, dtype=np.int32)
        self._steps = np.zeros(num_envs, dtype=np.int32)
        self._total = np.zeros(num_envs, dtype=np.float32)
        self._last = np.zeros(num_envs, dtype=np.float32)

    def _begin(self, which: Mask) -> None:
        count = np.count_nonzero(which)
        self._at[which] = RING // 2 + START_SHIFTS[self.rng.integers(len(START_SHIFTS), size=count)]
        first = self.rng.integers(len(self._levels), size=count)
        other = (first + self.rng.integers(1, len(self._levels), size=count)) % len(self._levels)
        self._pair = self._pair.copy()
        self._pair[which] = self._levels[np.column_stack([first, other])]
        self._codes[which, 2:] = codes_of(self._pair[which], self.settings.levels)
        self._trial[which] = 0
        self._steps[which] = 0
        self._total[which] = 0
        self._last = np.where(which, np.float32(0), self._last)

    def _draw(self, steps: int) -> tuple[Array, ...]:
        """[steps, B] what to add to `Ring.then`'s index for the side of the rewarded object."""
        return (STATES * (self.rng.random((steps, self.num_envs)) < 0.5),)

    def _observe(self) -> Array:
        view: Array = self._codes.take(self._start_of_row + self._ring.view.take(self._at, axis=0))
        return view

    def _advance(self, action: Array) -> tuple[Array, Mask, Mask, dict[str, Array]]:
        ring = self._ring
        at = ring.moved.take(self._at + STATES * action)
        chosen, reward = ring.chosen.take(at), ring.reward.take(at)
        info = {
            "trial": self._trial,
            "trial_done": chosen,
            "correct": ring.correct.take(at),
            "chose_right": ring.chose_right.take(at),
            "rewarded_right": ring.rewarded_right.take(at),
            "reward": ring.trial_reward.take(at),
            "rewarded_level": self._pair[:, 0],
            "other_level": self._pair[:, 1],
        }
        (side,) = self._next_draws()
        self._at = ring.then.take(at + side)
        self._steps += 1
        self._trial = self._trial + chosen
        self._total += reward
        self._last = reward
        terminated = self._trial >= self.settings.trials
        truncated = (self._steps >= self.settings.max_steps) & ~terminated
        return reward, terminated, truncated, info

    def _render_ansi(self) -> str:
        view = self._observe()[0]
        signs = {EMPTY: "\u00b7", CROSS: "+"}
        cells = [signs.get(float(value)) or _sign(float(value)) for value in view]
        cells[VIEW // 2] = f"[{cells[VIEW // 2]}]"
        paid = f"   {self._last[0]:+.1f}" if self._last[0] else ""
        line = " ".join(f"{cell:^3}" for cell in cells)
        trial = min(int(self._trial[0]) + 1, self.settings.trials)
        return f"trial {trial} of {self.settings.trials}   {line}   total {self._total[0]:+.1f}{paid}"

    def _render_rgb(self) -> Array:
        canvas = Canvas(460, 220)
        for i, value in enumerate(self._observe()[0]):
            color: Color = (236, 236, 233) if value == EMPTY else _color(float(value))
            canvas.box(6 + 50 * i, 80, 44, 60, (200, 45, 45) if value == CROSS else color)
            if value == CROSS:
                canvas.text(28 + 50 * i, 110, "+", 30, (255, 255, 255))
        canvas.line(228, 60, 228, 76, width=3)
        canvas.line(228, 144, 228, 160, width=3)
        trial = min(int(self._trial[0]) + 1, self.settings.trials)
        canvas.text(230, 28, f"trial {trial} of {self.settings.trials}")
        canvas.text(230, 190, f"total {self._total[0]:+.1f}")
        return canvas.pixels


def _fraction(value: float) -> float:
    """0..1, rising with the level that has this code."""
    place = np.sign(value) * (abs(value) - NEAREST) / (FARTHEST - NEAREST)
    return float((place + 1) / 2)


def _sign(value: float) -> str:
    """A three-digit name for an object; equal objects have equal names."""
    return f"{round(999 * _fraction(value)):03d}"


def _color(value: float) -> Color:
    """A colour for an object, by its level."""
    import colorsys

    red, green, blue = colorsys.hsv_to_rgb(0.12 + 0.75 * _fraction(value), 0.65, 0.85)
    return int(255 * red), int(255 * green), int(255 * blue)
