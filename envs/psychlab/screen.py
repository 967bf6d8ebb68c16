"""PsychLab's Harlow task as tensors on one device: `machine`, `view` and the pictures, put together.

An episode is no more than a few numbers in a row: its two pictures are rows of a table that all episodes share. So
thousands of episodes fit on a GPU, and starting one copies nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete
from torch import Tensor

from ..tensors import Played, TensorTask
from .actions import actions_of
from .geometry import Gaze
from .images import Pictures
from .machine import Machine
from .options import SPLITS, PsychLabSettings
from .palette import Gallery, Palette
from .sides import draw_sides
from .surroundings import Theme, random_theme
from .view import View

_CORE = "core."

_PART = 64
"""Views that are drawn at once on the CPU: more do not stay in its caches."""


class Screen(TensorTask):
    """B episodes. Observation: the view [size, size, 3], uint8. Actions: see `actions_of`.

    Args:
        settings: with `env=screen`.
        num_envs: B.
        device: where everything lies.
        lazily: draw pictures when an episode first shows them (a look at the data, for the CPU), in place of all of
            them at the start.

    Raises:
        ValueError: if the folder of pictures is not there, or holds too few or too many.
    """

    info_spec: ClassVar = {
        "trial": np.int32,
        "trial_done": np.bool_,
        "correct": np.bool_,
        "chose_right": np.bool_,
        "rewarded_right": np.bool_,
        "reaction_frames": np.int32,
        "reward": np.float32,
        "rewarded_image": np.int32,
        "other_image": np.int32,
    }

    def __init__(self, settings: PsychLabSettings, num_envs: int, device: torch.device, lazily: bool = False) -> None:
        super().__init__(num_envs, device)
        self.settings = settings
        looks = actions_of(settings.actions).looks(settings.turn).swapaxes(0, 1)
        self._looks = torch.from_numpy(looks.copy()).to(device)
        """[P, A, 2] of the parts of each action."""
        self.single_observation_space = Box(0, 255, (settings.size, settings.size, 3), np.uint8)
        self.single_action_space = Discrete(looks.shape[1])
        self._rewards = (settings.reward_fixation, settings.reward_correct, settings.reward_wrong)
        self.machine = Machine(num_envs, settings.trials, settings.max_frames, self._rewards, device)
        themes = np.random.default_rng(SPLITS.index(settings.split))
        self.themes = [random_theme(themes) for _ in range(settings.randomise)] or [Theme()]
        """Of the rooms, which are other ones in each split."""
        pictures = Pictures(settings.images, settings.pool, settings.split, settings.families)
        self.pictures = len(pictures.numbers)
        """How many there are in the split."""
        self._palette = Palette(self.themes, Gallery.rows_for(pictures, num_envs, lazily), device)
        self._gallery = Gallery(pictures, self._palette, lazily)
        self._image = torch.from_numpy(pictures.numbers).to(device)
        self._view = self.view_of(settings.size)
        self.pair = torch.zeros(num_envs, 2, dtype=torch.long, device=device)
        """[B, 2] places of the rewarded and of the other picture among those of the split."""
        self.theme = torch.zeros(num_envs, dtype=torch.int32, device=device)
        """[B] number of the surroundings."""
        self._rows = self.pair
        self.numbers = 4 + settings.trials

    def view_of(self, size: int) -> View:
        """What draws the episodes in so many pixels."""
        return View(size, self._palette, self.settings.trials)

    def begin(self, which: Tensor, numbers: Tensor) -> None:
        """See `TensorTask.begin`: two pictures, yaw, room, and the sides."""
        count = len(self._image)
        first = (numbers[:, 0] * count).long()
        other = (first + 1 + (numbers[:, 1] * (count - 1)).long()) % count
        low, high = self.settings.start_yaw
        theme = (numbers[:, 3] * len(self.themes)).int()
        sides = draw_sides(self.settings.sides, self.settings.switch, numbers[:, 4:])
        self.pair = torch.where(which[:, None], torch.stack((first, other), 1), self.pair)
        self.theme = torch.where(which, theme, self.theme)
        self._rows = self._gallery.rows_of(self.pair)
        self.machine.begin(which, low + numbers[:, 2] * (high - low), sides)

    def advance(self, action: Tensor) -> Played:
        """See `TensorTask.advance`."""
        played = self.machine.step(self._looks[:, action], self.settings.action_repeat)
        fixation, right, wrong = self._rewards
        info = {
            "trial": played.trial.to(torch.int32),
            "trial_done": played.paid,
            "correct": played.correct,
            "chose_right": played.chose_right,
            "rewarded_right": played.rewarded_right,
            "reaction_frames": played.reaction,
            "reward": torch.where(played.paid, torch.where(played.correct, fixation + right, fixation + wrong), 0.0),
            "rewarded_image": self._image[self.pair[:, 0]],
            "other_image": self._image[self.pair[:, 1]],
        }
        return Played(played.reward, played.terminated, played.truncated, info)

    def observe(self, rows: Tensor | None = None) -> Tensor:
        """See `TensorTask.observe`."""
        return self.draw(self._view, rows)

    def draw(self, view: View, rows: Tensor | None = None) -> Tensor:
        """As `observe`, by a view of another size."""
        if view.may_look and self.num_envs > _PART:
            rows = torch.arange(self.num_envs) if rows is None else rows
            return torch.cat([self._draw(view, part) for part in rows.split(_PART)])
        return self._draw(view, rows)

    def _draw(self, view: View, rows: Tensor | None) -> Tensor:
        machine, state = self.machine, self.machine.state
        gaze, side = machine.gaze(), machine.rewarded_side()
        shown = (state.display, side, self.theme, state.frame, state.score)
        if rows is None:
            return view.draw(self._rows, gaze, *shown)
        gaze = Gaze(gaze.pitch[rows], gaze.yaw[rows])
        return view.draw(self._rows[rows], gaze, *(column[rows] for column in shown))

    def may_be_cut(self, steps: int) -> Sequence[Tensor | None]:
        """See `TensorTask.may_be_cut`: known beforehand from the frames that each episode has left."""
        repeat, longest = self.settings.step_frames, self.settings.max_frames
        if -(-longest // repeat) < steps:  # an episode may begin and be cut within these steps
            return super().may_be_cut(steps)
        left = longest - self.machine.state.frame.cpu().numpy()
        step = -(-left // repeat) - 1
        counts = np.bincount(step[step < steps], minlength=steps)
        rows = torch.from_numpy(np.argsort(step, kind="stable")[: counts.sum()]).to(self.device)
        return [part if len(part) else None for part in rows.split(counts.tolist())]

    def tensors(self) -> dict[str, Tensor]:
        """See `TensorTask.tensors`."""
        return {
            "pair": self.pair,
            "theme": self.theme,
            **{_CORE + name: tensor for name, tensor in self.machine.state.tensors().items()},
        }

    def set_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """See `TensorTask.set_tensors`."""
        self.pair, self.theme = tensors["pair"], tensors["theme"]
        for name in self.machine.state.tensors():
            setattr(self.machine.state, name, tensors[_CORE + name])
        self._rows = self._gallery.rows_of(self.pair)
