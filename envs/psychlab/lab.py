"""The same task in the real DeepMind Lab (`task.env=dmlab`): the task `dmlab`, told and paid as `screen` is."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from gymnasium.spaces import Discrete

from .. import registry
from ..vector import Array, Mask, VectorTask
from .actions import actions_of
from .env import ScreenEnv
from .machine import SCORES
from .options import PsychLabSettings

LEVEL = "harlow"


class LabEnv(VectorTask):
    """One episode of DeepMind Lab's own level. Rewards are those of the settings, in the place of the game's.

    The level has six trials, 18,000 frames and pictures of its own choice: `pool`, `split`, `switch`, `start_yaw`
    and `randomise` say nothing here, and `images` is a folder or `dummy`. Pictures to hold out lie in another
    folder. A trial is complete when it is paid.

    Raises:
        ValueError: if asked for more than one episode, for another number of trials or for sides that are not balanced.
        TaskUnavailableError: if DeepMind Lab is not on this machine.
    """

    info_spec: ClassVar = ScreenEnv.info_spec
    restorable = False

    def __init__(self, settings: PsychLabSettings, num_envs: int, render_mode: str | None = None) -> None:
        super().__init__(num_envs, render_mode)
        if settings.trials != 6:
            raise ValueError(f"psychlab: DeepMind Lab's level has 6 trials, not {settings.trials}; use env=screen")
        if settings.sides != "balanced":
            raise ValueError(f"psychlab: DeepMind Lab's level has balanced sides, not {settings.sides}; use env=screen")
        self.settings = settings
        actions = actions_of(settings.actions)
        self._parts = actions.parts
        self.game = registry.make_vector(
            "dmlab",
            num_envs,
            render_mode,
            level=LEVEL,
            width=settings.size,
            height=settings.size,
            action_repeat=settings.action_repeat,
            actions=actions.game_set,
            turn=settings.turn,
            max_frames=settings.max_frames,
            images=settings.images,
        )
        self.metadata = {**self.game.metadata, "render_fps": self.game.metadata["render_fps"] / actions.parts_each}
        self._set_spaces(self.game.single_observation_space, Discrete(len(self._parts)))
        self._answer: dict[str, Array] = {}
        """What the level told of the last response, until it is paid."""

    def _begin(self, which: Mask) -> None:
        self.game.rng = self.rng
        self.game._begin(which)
        self._answer = {}

    def _observe(self) -> Array:
        return self.game._observe()

    def _advance(self, action: Array) -> tuple[Array, Mask, Mask, dict[str, Array]]:
        total = np.zeros(1, dtype=np.float32)
        info: dict[str, Array] = {}
        for part in self._parts[action[0]]:
            reward, terminated, truncated, told = self._play(np.array([part]))
            total += reward
            if not info or told["trial_done"][0]:
                info = told
            if terminated[0] or truncated[0]:
                break
        return total, terminated, truncated, info

    def _play(self, action: Array) -> tuple[Array, Mask, Mask, dict[str, Array]]:
        """One part of an action, by its row in the game's table."""
        points, terminated, truncated, told = self.game._advance(action)
        if told["responded"][0]:
            self._answer = dict(told)
        settings = self.settings
        paid_as = dict(
            zip(SCORES, (0.0, settings.reward_fixation, settings.reward_correct, settings.reward_wrong), strict=True)
        )
        score = round(float(points[0]))
        reward = np.array([paid_as.get(score, score)], dtype=np.float32)
        done = abs(score) == SCORES[2] and bool(self._answer)
        info = {key: np.zeros(1, dtype=dtype) for key, dtype in self.info_spec.items()}
        if done:
            for key in ("trial", "correct", "chose_right", "rewarded_right", "reaction_frames"):
                info[key] = self._answer[key].astype(self.info_spec[key])
            info["reward"] = reward + np.float32(settings.reward_fixation)
            self._answer = {}
        info["trial_done"][0] = done
        return reward, terminated, truncated, info

    def check(self) -> None:
        """See `VectorTask.check`."""
        self.game.check()

    def close_extras(self, **kwargs: Any) -> None:  # noqa: ARG002  # Gymnasium's signature
        """End the game."""
        self.game.close()

    def _render_rgb(self) -> Array:
        return self.game._render_rgb()

    def _render_ansi(self) -> str:
        return self.game._render_ansi()
