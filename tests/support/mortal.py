"""2-D navigation whose process is killed at a step, once."""

from __future__ import annotations

import dataclasses
import os
import signal
from pathlib import Path

from prefrontal.conf.settings import settings
from prefrontal.envs.navigation_2d import TASK as NAVIGATION
from prefrontal.envs.navigation_2d.env import NavigationEnv, NavigationSettings


@settings
class MortalSettings(NavigationSettings):
    at_step: int = 0
    """Of all that the environment plays, from 1."""
    marker: str = ""
    """A file that is there once it has happened."""


class MortalEnv(NavigationEnv):
    def __init__(self, settings, num_envs, render_mode=None):
        super().__init__(settings, num_envs, render_mode)
        self._steps_played = 0

    def _move(self, action):
        self._steps_played += 1
        if self._steps_played == self.settings.at_step and self._first_of_all():
            os.kill(os.getpid(), signal.SIGKILL)
        return super()._move(action)

    def _first_of_all(self):
        try:
            Path(self.settings.marker).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


TASK = dataclasses.replace(NAVIGATION, name="mortal", settings=MortalSettings, make=MortalEnv)
