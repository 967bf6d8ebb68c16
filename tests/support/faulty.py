"""A task that does what environments must not do: fail to start, raise, hang, return nonsense, kill its process."""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from gymnasium.spaces import Box, Discrete
from matplotlib.figure import Figure
from prefrontal.envs.registry import Task
from prefrontal.envs.vector import VectorTask


@dataclass(frozen=True)
class FaultySettings:
    fault: str = "none"
    """One of none, constructor, raise, hang, nan, shape, die; or several with + between them."""
    at_step: int = 40
    marker: str = ""
    """A file that counts: of the faults each happens once, the next one in the next environment. None: always."""
    length: int = 7
    truncate: bool = False


class FaultyEnv(VectorTask):
    """Pays 1 for action 1. The observation is the step within the episode, so that it is known what the last one is."""

    info_spec: ClassVar = {"trial": np.int16, "trial_done": np.bool_}

    def __init__(self, settings, num_envs, render_mode=None):
        super().__init__(num_envs, render_mode)
        self.settings = settings
        self._set_spaces(Box(0.0, np.inf, (1,), np.float32), Discrete(2))
        self.lock = threading.Lock()  # cannot be pickled
        self._age = np.zeros(num_envs, dtype=np.int16)
        self._total_steps = 0
        self._marker = Path(settings.marker) if settings.marker else None
        happened = len(self._marker.read_bytes()) if self._marker and self._marker.exists() else 0
        self._fault = [*settings.fault.split("+"), "none"][happened]
        if self._fault == "constructor":
            self._strike()
            raise RuntimeError("the arena could not be built")

    def _strike(self):
        if self._marker:
            with self._marker.open("ab") as file:
                file.write(b".")

    def _misbehave(self):
        self._strike()
        if self._fault == "raise":
            raise ValueError("the maze has no exit")
        if self._fault == "hang":
            time.sleep(10_000)
        os.kill(os.getpid(), signal.SIGKILL)

    def _begin(self, which):
        self._age[which] = self.rng.integers(0, 3, size=int(which.sum()))

    def _observe(self):
        obs = self._age[:, None].astype(np.float32)
        if self._total_steps != self.settings.at_step or self._fault not in ("nan", "shape"):
            return obs
        self._strike()
        return np.full_like(obs, np.nan) if self._fault == "nan" else np.zeros((self.num_envs, 2), np.float32)

    def _render_rgb(self):
        return np.full((20, 20, 3), 10 * self._age[0], dtype=np.uint8)

    def _advance(self, action):
        self._total_steps += 1
        if self._total_steps == self.settings.at_step and self._fault in ("raise", "hang", "die"):
            self._misbehave()
        info = {"trial": self._age.copy(), "trial_done": np.ones(self.num_envs, dtype=bool)}
        self._age += 1
        ended = self._age >= self.settings.length
        no = np.zeros(self.num_envs, dtype=bool)
        return action.astype(np.float32), no if self.settings.truncate else ended, ended & self.settings.truncate, info


TASK = Task(
    name="faulty",
    gym_id="prefrontal/Faulty-v0",
    summary="for tests",
    paper="",
    settings=FaultySettings,
    make=FaultyEnv,
    actions=("0", "1"),
    baselines={},
    summarise=lambda trials, settings: {"reward_per_trial": float("nan")},
    analyse=lambda trials, settings: {},
    references=lambda settings: [],
    figures=lambda evaluations, settings: [("empty", Figure())],
)
