"""Agents to hold a network against in PsychLab's Harlow task. Those that look do not see: they are told the truth."""

from __future__ import annotations

import math

import numpy as np

from ..random_agent import RandomAgent
from ..vector import Array, VectorTask
from .actions import actions_of
from .env import ScreenEnv
from .geometry import DEGREES_PER_UNIT, REACH, RISE
from .machine import BLANK, PICTURES

PICTURE_DEGREES = math.degrees(math.atan(REACH / 2))
"""From the centre of the screen to the centre of a picture."""
_LEVEL = math.degrees(math.atan(RISE))


class Random(RandomAgent[ScreenEnv]):
    """Takes each action equally often."""

    def __init__(self, env: VectorTask) -> None:
        super().__init__(env, ScreenEnv)
        self.looks = actions_of(self.env.settings.actions).looks(self.env.settings.turn)
        """[A, P, 2] units a frame of each part of an action."""


class Guess(Random):
    """Fixates the cross, then either picture.

    In each step it takes the action that leads the gaze nearest to what it wants to look at: to a picture by its first
    part, elsewhere as a whole. While the screen is blank it waits.
    """

    def __init__(self, env: VectorTask) -> None:
        super().__init__(env)
        turns = self.looks * (self.env.settings.action_repeat * DEGREES_PER_UNIT)
        self._effort = np.abs(turns).sum((1, 2))
        turns = turns * [-1, 1]  # to yaw and pitch
        self._first, self._whole = turns[:, 0], turns.sum(1)
        self._coin = np.zeros(env.num_envs, dtype=bool)

    def _choose_right(self, trial: Array, rewarded_right: Array) -> Array:  # noqa: ARG002
        """Which picture to look at, [B]; `_coin` is tossed once a trial."""
        return self._coin

    def act(self, obs: Array) -> Array:
        """See `envs.trials.Baseline`."""
        state = self.env.machine.state
        display, trial = state.display.cpu().numpy(), state.trial.cpu().numpy()
        gaze = self.env.machine.gaze()
        yaw, pitch = (np.degrees(angle.cpu().numpy()) for angle in (gaze.yaw, gaze.pitch))
        self._coin = np.where(display == PICTURES, self._coin, self.rng.random(len(obs)) < 0.5)
        sides = state.rewarded_right.cpu().numpy()
        side = sides[np.arange(len(obs)), np.minimum(trial, sides.shape[1] - 1)]
        to_right = np.where(self._choose_right(trial, side), 1, -1) * (display == PICTURES)
        goal = np.column_stack([90 - to_right * PICTURE_DEGREES, np.full(len(obs), -_LEVEL)])
        now = np.column_stack([yaw, pitch])
        goal = np.where((display == BLANK)[:, None], now, goal)
        turns = np.where((display == PICTURES)[:, None, None], self._first, self._whole)
        left = np.abs(now[:, None] + turns - goal[:, None]).sum(-1)
        nearest: Array = np.argmin(left + 1e-6 * self._effort, axis=1)
        return nearest


class Ideal(Guess):
    """Guesses in the first trial and knows from its outcome."""

    def _choose_right(self, trial: Array, rewarded_right: Array) -> Array:
        return np.where(trial > 0, rewarded_right, self._coin)


class Oracle(Guess):
    """Is told which picture is rewarded."""

    def _choose_right(self, trial: Array, rewarded_right: Array) -> Array:  # noqa: ARG002
        return rewarded_right


BASELINES = {"ideal": Ideal, "oracle": Oracle, "guess": Guess, "random": Random}
