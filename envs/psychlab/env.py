"""PsychLab's Harlow task on our own screen: the tensors of `machine` and `view` behind the interface of all tasks.

DeepMind Lab's level `contributed/psychlab/harlow` (Leibo et al. 2018; after Harlow 1949 and Wang et al. 2016, 2018),
without the game: look at the cross for four frames, then at one of two pictures. Which one pays stays the same for
the episode; its side changes. Actions and options are those of the real one, so that an agent moves between them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete
from torch import Tensor

from ..dmlab.actions import action_table
from ..vector import Array, Mask, VectorTask
from .images import Pictures
from .machine import Machine
from .options import PsychLabSettings
from .surroundings import Theme, random_theme
from .view import View

FRAMES_PER_SECOND = 60

_RENDERED = 336
"""Side of rendered frames, for videos and players."""
_DISPLAYS = ("blank", "cross", "pictures")
_CORE = "core."


class ScreenEnv(VectorTask):
    """B episodes. Observation: the view [size, size, 3], uint8. Actions: the rows of an action set's table.

    Raises:
        ValueError: if the folder of pictures or the device is not there.
    """

    info_spec: ClassVar = {
        "trial": np.int16,
        "trial_done": np.bool_,
        "correct": np.bool_,
        "chose_right": np.bool_,
        "rewarded_right": np.bool_,
        "reaction_frames": np.int32,
        "reward": np.float32,
        "rewarded_image": np.int32,
        "other_image": np.int32,
    }

    def __init__(self, settings: PsychLabSettings, num_envs: int, render_mode: str | None = None) -> None:
        super().__init__(num_envs, render_mode)
        if settings.device.startswith("cuda") and not torch.cuda.is_available():
            raise ValueError(f"psychlab: device={settings.device}, but this machine has no GPU that torch can use")
        self.settings = settings
        self.metadata = {**self.metadata, "render_fps": FRAMES_PER_SECOND / settings.action_repeat}
        self._device = torch.device(settings.device)
        table = action_table(settings.actions, settings.turn)
        self._looks = torch.from_numpy(table[:, :2].astype(np.int32)).to(self._device)
        self._set_spaces(Box(0, 255, (settings.size, settings.size, 3), np.uint8), Discrete(len(table)))
        self._pictures = Pictures(settings.images, settings.pool, settings.split)
        self._rewards = (settings.reward_fixation, settings.reward_correct, settings.reward_wrong)
        self.machine = Machine(num_envs, settings.trials, settings.max_frames, self._rewards, self._device)
        themes = np.random.default_rng(0)
        self._themes = [random_theme(themes) for _ in range(settings.randomise)] or [Theme()]
        self.view = View(num_envs, settings.size, self._themes, settings.trials, self._device)
        self._large: View | None = None
        self._pair = np.zeros((num_envs, 2), dtype=np.int32)
        """Numbers of the rewarded picture and of the other one."""
        self._theme = np.zeros(num_envs, dtype=np.int32)
        """Number of the surroundings."""
        self._total = np.zeros(num_envs, dtype=np.float32)
        self._last = np.zeros(num_envs, dtype=np.float32)
        self._seen = torch.zeros(num_envs, *self.single_observation_space.shape, dtype=torch.uint8)  # type: ignore[misc]
        """The views, where they are not stale."""
        self._stale = torch.ones(num_envs, dtype=torch.bool)

    def _begin(self, which: Mask) -> None:
        rows, count, trials = np.flatnonzero(which), int(which.sum()), self.settings.trials
        numbers = self._pictures.numbers
        first = self.rng.integers(len(numbers), size=count)
        other = (first + self.rng.integers(1, len(numbers), size=count)) % len(numbers)
        self._pair[rows] = numbers[np.column_stack([first, other])]
        sides = np.tile(np.arange(trials) % 2 == 1, (count, 1))
        sides = self.rng.permuted(sides, axis=1)
        yaw = self.rng.uniform(*self.settings.start_yaw, size=count)
        self._theme[rows] = self.rng.integers(len(self._themes), size=count)
        self._total[rows] = self._last[rows] = 0
        self.machine.begin(*(torch.from_numpy(values).to(self._device) for values in (rows, yaw, sides)))
        self._show_pictures(self.view, rows)
        self._stale[rows] = True

    def _show_pictures(self, view: View, rows: Array) -> None:
        for place, row in enumerate(rows):
            good, bad = (self._pictures.shown(int(number)) for number in self._pair[row])
            view.set_pictures(place if view is self._large else int(row), good, bad)

    def _draw(self, view: View, rows: Tensor, places: Tensor) -> Tensor:
        """The views of the episodes `rows` [n], whose pictures lie at `places` [n] of the view's tables."""
        machine, state = self.machine, self.machine.state
        gaze = machine.gaze()
        side = state.rewarded_right[rows, state.trial[rows].long().clamp(max=self.settings.trials - 1)]
        theme = torch.from_numpy(self._theme).to(self._device)[rows]
        gaze = type(gaze)(gaze.pitch[rows], gaze.yaw[rows])
        return view.draw(places, gaze, state.display[rows], side, theme, state.frame[rows], state.score[rows])

    def _observe(self) -> Array:
        rows = torch.nonzero(self._stale).squeeze(1)
        if len(rows):
            on_device = rows.to(self._device)
            drawn = self._draw(self.view, on_device, on_device).cpu()
            if len(rows) == self.num_envs:
                self._seen = drawn
            else:
                self._seen[rows] = drawn
            self._stale[:] = False
        return self._seen.numpy().copy()

    def _advance(self, action: Array) -> tuple[Array, Mask, Mask, dict[str, Array]]:
        looks = self._looks[torch.from_numpy(np.asarray(action, dtype=np.int64)).to(self._device)]
        played = self.machine.step(looks, self.settings.action_repeat)
        self._stale[:] = True
        reward = played.reward.cpu().numpy()
        correct, paid = played.correct.cpu().numpy(), played.paid.cpu().numpy()
        outcome = np.where(correct, self._rewards[1], self._rewards[2])
        info = {
            "trial": played.trial.cpu().numpy().astype(np.int16),
            "trial_done": paid,
            "correct": correct,
            "chose_right": played.chose_right.cpu().numpy().copy(),
            "rewarded_right": played.rewarded_right.cpu().numpy(),
            "reaction_frames": played.reaction.cpu().numpy().copy(),
            "reward": (paid * (outcome + self._rewards[0])).astype(np.float32),
            "rewarded_image": self._pair[:, 0].copy(),
            "other_image": self._pair[:, 1].copy(),
        }
        self._total += reward
        self._last = reward.copy()
        return reward, played.terminated.cpu().numpy(), played.truncated.cpu().numpy(), info

    def state(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """See `VectorTask.state`."""
        arrays, rng_state = super().state()
        arrays |= {_CORE + name: value.cpu().numpy().copy() for name, value in self.machine.state.tensors().items()}
        return arrays, rng_state

    def restore(self, arrays: Mapping[str, Array], rng_state: Mapping[str, Any]) -> None:
        """See `VectorTask.restore`."""
        super().restore({name: value for name, value in arrays.items() if not name.startswith(_CORE)}, rng_state)
        for name in self.machine.state.tensors():
            setattr(self.machine.state, name, torch.from_numpy(arrays[_CORE + name].copy()).to(self._device))
        self._show_pictures(self.view, np.arange(self.num_envs))
        self._stale[:] = True

    def _render_rgb(self) -> Array:
        if self._large is None:
            self._large = View(1, _RENDERED, self._themes, self.settings.trials, self._device)
        self._show_pictures(self._large, np.zeros(1, dtype=np.int64))
        first = torch.zeros(1, dtype=torch.long, device=self._device)
        return self._draw(self._large, first, first)[0].cpu().numpy()

    def _render_ansi(self) -> str:
        pixels = self._seen[0].numpy() if not self._stale[0] else self._observe()[0]
        shades = np.array(list(" .:-=+*#%@"))
        rows, columns = (np.linspace(0, len(pixels) - 1, n).astype(int) for n in (26, 56))
        grey = pixels[rows][:, columns].astype(float).mean(-1)
        picture = "\n".join("".join(line) for line in shades[(grey * len(shades) / 256).astype(int)])
        state = self.machine.state
        trial = min(int(state.trial[0]) + 1, self.settings.trials)
        shown = _DISPLAYS[int(state.display[0])]
        paid = f"   {self._last[0]:+.1f}" if self._last[0] else ""
        return f"{picture}\ntrial {trial} of {self.settings.trials}   {shown}   total {self._total[0]:+.1f}{paid}"
