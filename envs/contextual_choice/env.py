"""Contextual choice: weigh noisy evidence, or recall from its context what the answer was.

An episode is a trial of a few steps; every step wants the answer, and pays 1 if it is right. In the first steps the
evidence is pure noise; only the context, shown throughout, can tell an agent that has met it before. A life has each
item (a context with its evidence and answer) twice: all of them in turn, then all of them again, in another order. The
recurrent state starts afresh in each trial, so that only an episodic memory can carry an answer from the first time
to the second. Source: the task of the published DND-LSTM (github.com/qihongl/dnd-lstm). As there, the evidence of
an item is the same both times, except that the noise is drawn anew here, so that it is no cue to the item.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Le
from gymnasium.spaces import Box, Discrete

from ...conf.settings import LARGEST_RECORDED, Count, settings
from ..canvas import Canvas, Color
from ..vector import Array, Cue, Mask, VectorTask

BOUND = 12.0
"""Of the observation space: normal numbers of mean -1, 0 or 1 and unit variance never come near it."""


@settings
class ContextualChoiceSettings:
    """Options of the task.

    Raises:
        ValueError: for a value that cannot be.
    """

    items: Count = 50
    steps: Annotated[int, Ge(2), Le(LARGEST_RECORDED)] = 10
    noise_steps: Count = 5
    evidence_size: Count = 32
    context_size: Count = 32
    key: Literal["context", "observation"] = "context"

    def __post_init__(self) -> None:
        if self.noise_steps >= self.steps:
            raise ValueError(f"noise_steps={self.noise_steps} of steps={self.steps} leave no step of evidence")


class ContextualChoiceEnv(VectorTask):
    """B episodes. Observation: evidence [evidence_size], then context [context_size]. Actions: the two answers.

    A row of the table of trials is one time-step, which answers once: `trial` is its number within the trial
    (0-based), `item_trial` the number of the trial within the life. `item` numbers the items of a life.
    """

    info_spec: ClassVar = {
        "trial": np.int32,
        "trial_done": np.bool_,
        "item_trial": np.int32,
        "item": np.int32,
        "repeated": np.bool_,
        "choice": np.int8,
        "correct": np.bool_,
        "reward": np.float32,
    }

    def __init__(self, settings: ContextualChoiceSettings, num_envs: int, render_mode: str | None = None) -> None:
        super().__init__(num_envs, render_mode)
        self.settings = settings
        items, evidence = settings.items, settings.evidence_size
        width = evidence + settings.context_size
        self._set_spaces(Box(-BOUND, BOUND, (width,), np.float32), Discrete(2))
        self._rows = np.arange(num_envs)
        self._order = np.zeros((num_envs, items), dtype=np.int32)
        """In which order the items return."""
        self._context = np.zeros((num_envs, items, settings.context_size), dtype=np.float32)
        self._evidence = np.zeros((num_envs, items, settings.steps - settings.noise_steps, evidence), dtype=np.float32)
        """Of the steps that show it."""
        self._target = np.zeros((num_envs, items), dtype=np.int8)
        """The right answer of each item."""
        self._item_trial = np.full(num_envs, 2 * items, dtype=np.int32)
        """Number of the trial within its life; 2 items and more: the life is over."""
        self._item = np.zeros(num_envs, dtype=np.int32)
        self._step = np.zeros(num_envs, dtype=np.int32)
        self._shown = np.zeros((num_envs, width), dtype=np.float32)
        """The observation."""
        self._total = np.zeros(num_envs, dtype=np.float32)
        self._last = np.full(num_envs, -1, dtype=np.int8)
        """Right answers in this trial, and whether the last one was right (-1: none yet); for rendering."""

    def _end_life(self) -> None:
        self._item_trial[:] = 2 * self.settings.items

    def _begin_life(self, which: Mask) -> None:
        settings, count = self.settings, int(which.sum())
        items, size, hidden = settings.items, settings.evidence_size, settings.noise_steps * settings.evidence_size
        sign = np.where(self.rng.random((count, items)) < 0.5, -1, 1).astype(np.float32)
        evidence = self.rng.standard_normal((count, items, settings.steps - settings.noise_steps, size), np.float32)
        evidence += sign[:, :, None, None]
        # The answer is the sign of all evidence. What noise is shown instead of counts too, by its sum alone.
        unseen = self.rng.normal(sign * hidden, np.sqrt(hidden))
        self._evidence[which] = evidence
        self._target[which] = evidence.sum((2, 3)) + unseen > 0
        self._context[which] = self.rng.standard_normal((count, items, settings.context_size), np.float32)
        self._order[which] = self.rng.permuted(np.tile(np.arange(items, dtype=np.int32), (count, 1)), axis=1)
        self._item_trial[which] = 0

    def _begin(self, which: Mask) -> None:
        items = self.settings.items
        self._item_trial[which] += 1
        over = which & (self._item_trial >= 2 * items)
        if over.any():
            self._begin_life(over)
        rows = np.flatnonzero(which)
        number = self._item_trial[rows]
        self._item[rows] = np.where(number < items, number, self._order[rows, number % items])
        self._step[rows] = 0
        self._total[rows] = 0
        self._last[rows] = -1
        self._shown[rows, self.settings.evidence_size :] = self._context[rows, self._item[rows]]
        self._show_evidence(which)

    def _show_evidence(self, which: Mask) -> None:
        """Put what step `_step` shows into the observations of `which`."""
        size, first = self.settings.evidence_size, self.settings.noise_steps
        early = np.flatnonzero(which & (self._step < first))
        late = np.flatnonzero(which & (self._step >= first))
        if early.size:
            self._shown[early, :size] = self.rng.standard_normal((early.size, size), np.float32)
        if late.size:
            self._shown[late, :size] = self._evidence[late, self._item[late], self._step[late] - first]

    def _observe(self) -> Array:
        return self._shown.copy()

    def _advance(self, action: Array) -> tuple[Array, Mask, Mask, dict[str, Array]]:
        correct = action == self._target[self._rows, self._item]
        reward = correct.astype(np.float32)
        info = {
            "trial": self._step.copy(),
            "trial_done": np.ones(self.num_envs, dtype=bool),
            "item_trial": self._item_trial.copy(),
            "item": self._item.copy(),
            "repeated": self._item_trial >= self.settings.items,
            "choice": action.astype(np.int8),
            "correct": correct,
            "reward": reward.copy(),
        }
        self._step += 1
        self._total += reward
        self._last = correct.astype(np.int8)
        ended = self._step >= self.settings.steps
        self._show_evidence(~ended)
        return reward, ended, np.zeros(self.num_envs, dtype=bool), info

    @property
    def cue_size(self) -> int:
        """K, the size of keys and queries."""
        return self.settings.context_size if self.settings.key == "context" else super().cue_size

    def _cue(self) -> Cue:
        """The context (or all that is seen) is query and key; what is stored is a new trial's last state."""
        repeated = self._item_trial >= self.settings.items
        key = self._shown[:, self._shown.shape[1] - self.cue_size :].copy()
        return Cue(
            new_life=(self._item_trial == 0) & (self._step == 0),
            query=key,
            retrieve=np.ones(self.num_envs, dtype=bool),
            key=key,
            write=~repeated & (self._step == self.settings.steps - 1),
            tag=self._item.copy(),
            target=np.where(repeated, self._item, -1).astype(np.int32),
        )

    def _caption(self) -> str:
        items = self.settings.items
        number = int(self._item_trial[0])
        kind = "seen before" if number >= items else "new"
        return f"trial {number + 1} of {2 * items} ({kind})"

    def _render_ansi(self) -> str:
        size = self.settings.evidence_size
        step = min(int(self._step[0]) + 1, self.settings.steps)
        answer = ("", "   wrong", "   right")[int(self._last[0]) + 1]
        context = " ".join(f"{value:+.1f}" for value in self._shown[0, size : size + 4])
        more = " ..." if self.settings.context_size > 4 else ""
        evidence = f"evidence {self._shown[0, :size].sum():+6.1f}"
        return (
            f"{self._caption()}   step {step}   context {context}{more}   {evidence}{answer}   {self._total[0]:g} right"
        )

    def _render_rgb(self) -> Array:
        canvas = Canvas(480, 260)
        size, wide = self.settings.evidence_size, 440
        for values, y, name in (
            (self._shown[0, :size], 70, "evidence"),
            (self._shown[0, size:], 150, "context"),
        ):
            canvas.text(240, y - 14, name, 14)
            place = np.linspace(20, 20 + wide, len(values) + 1)
            for i, value in enumerate(values):
                canvas.box(float(place[i]), y, wide / len(values), 40, _color(float(value)))
        canvas.text(240, 24, self._caption())
        step = min(int(self._step[0]) + 1, self.settings.steps)
        answer = ("", ", wrong", ", right")[int(self._last[0]) + 1]
        canvas.text(240, 225, f"step {step} of {self.settings.steps}{answer}   {self._total[0]:g} right")
        return canvas.pixels


def _color(value: float) -> Color:
    """From blue (-3) over white to red (3)."""
    strength = min(1.0, abs(value) / 3)
    end: Color = (200, 70, 50) if value > 0 else (50, 100, 190)
    red, green, blue = (round(250 + (part - 250) * strength) for part in end)
    return red, green, blue
