"""The episodic two-step task (Ritter et al. 2018): the two-step task with cues that stand for single earlier trials.

In the first half of an episode each trial ends with a context of its own, random bits that come with the outcome. In
the second half a context is shown before the choice, as a cue: in the third quarter one of the first quarter's, in the
last quarter one of the second quarter's (drawn with replacement). A trial that reaches the second-stage state of the
cue's trial pays what that trial paid, for certain, and ends with the cue as its context; another pays by chance, as
in the first half, and ends with a fresh context. So an agent gains by recalling single trials as well as by keeping up
with the reversals, which go on throughout.

All contexts of an episode are distinct. Context k is the one that trial k ends with unless its cue takes its place;
"context" is this number k in what follows, and `_contexts` holds the bits.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, NamedTuple

import numpy as np
from annotated_types import Ge, Le, MultipleOf
from gymnasium.spaces import Box, Discrete

from ...conf.settings import Probability, settings
from ..canvas import INK, PAPER, Canvas, Color
from ..two_step.env import TwoStepSettings, draw_trials
from ..vector import Array, Cue, Mask, VectorTask, constant

MOST_BITS = 15
"""Contexts are drawn as int16."""


@settings
class EpisodicTwoStepSettings:
    """Options of the task.

    Raises:
        ValueError: for a value that cannot be.
    """

    common: Probability = 0.9
    reward: Probability = 0.9
    reversal: Probability = 0.1
    trials: Annotated[int, "a whole number, divisible by 4", Ge(4), MultipleOf(4)] = 100
    """Four quarters."""
    context_bits: Annotated[int, Ge(1), Le(MOST_BITS)] = 10
    context_input: bool = False

    def __post_init__(self) -> None:
        if 2**self.context_bits < self.trials:
            raise ValueError(
                f"context_bits={self.context_bits} makes {2**self.context_bits} contexts, too few for "
                f"trials={self.trials} with one each"
            )

    def two_step(self) -> TwoStepSettings:
        """The two-step task that this one is without its cues."""
        return TwoStepSettings(self.common, self.reward, self.reversal, self.trials)


class Stored(NamedTuple):
    """The trial that the cue stands for, [B] each; -1 where there is no cue."""

    trial: Array
    choice: Array
    state: Array
    reward: Array
    common: Array


class EpisodicTwoStepEnv(VectorTask):
    """B episodes; a step is a trial. Observation: one-hot [3] of (first trial, last outcome state 0, state 1).

    `context_input` adds the bits of the cue and those of the context that the last trial ended with, 0 or 1, or -1
    where there is none. Without it contexts reach the agent through its memory only: see `_cue`.
    """

    info_spec: ClassVar = {
        "trial": np.int32,
        "trial_done": np.bool_,
        "choice": np.int8,
        "state": np.int8,
        "common": np.bool_,
        "reward": np.float32,
        "good_state": np.int8,
        "cued": np.bool_,
        "matched": np.bool_,
        "stored_trial": np.int32,
        "stored_choice": np.int8,
        "stored_state": np.int8,
        "stored_reward": np.int8,
        "stored_common": np.int8,
    }

    def __init__(self, settings: EpisodicTwoStepSettings, num_envs: int, render_mode: str | None = None) -> None:
        super().__init__(num_envs, render_mode)
        self.settings = settings
        bits, trials = settings.context_bits, settings.trials
        space = (
            Box(-1.0, 1.0, (3 + 2 * bits,), np.float32) if settings.context_input else Box(0.0, 1.0, (3,), np.float32)
        )
        self._set_spaces(space, Discrete(2))
        self._views = constant(np.eye(3, 3 + 2 * bits * settings.context_input, dtype=np.float32))
        """The observation of each entry, but for the contexts."""
        codes = np.arange(-1, 2**bits)[:, None] >> np.arange(bits) & 1
        self._bits_of = constant(np.where(np.arange(-1, 2**bits)[:, None] < 0, -1, codes).astype(np.float32))
        """Bits of each code; row 0, for no context, is -1."""
        self._start_of_row = constant(np.arange(num_envs) * trials)
        self._no_key = constant(np.zeros((num_envs, bits), dtype=np.float32))
        none = constant(np.full(num_envs, -1, dtype=np.int8))
        self._without_cue = Stored(constant(np.full(num_envs, -1, dtype=np.int32)), none, none, none, none)
        self._trial = np.zeros(num_envs, dtype=np.int32)
        self._good = np.zeros(num_envs, dtype=np.int8)
        self._contexts = np.zeros((num_envs, trials), dtype=np.int16)
        """Bits of each context, as an integer. All rows are in the same trial, since all episodes have one length."""
        self._cues = np.full((num_envs, trials + 1), -1, dtype=np.int32)
        """Context shown in each trial, -1 for none; the last column is for the observation after the last trial."""
        self._ended_with = np.full(num_envs, -1, dtype=np.int32)
        """Context that the last trial ended with, -1 before the first."""
        self._choices = np.full((num_envs, trials), -1, dtype=np.int8)
        self._states = np.full((num_envs, trials), -1, dtype=np.int8)
        self._rewards = np.full((num_envs, trials), -1, dtype=np.int8)
        """What happened in each trial of the episode so far, -1 where it is still to come."""
        self._total = np.zeros(num_envs, dtype=np.float32)

    @property
    def cue_size(self) -> int:
        """Keys and queries are contexts."""
        return self.settings.context_bits

    def _begin(self, which: Mask) -> None:
        count, quarter = int(np.count_nonzero(which)), self.settings.trials // 4
        self._trial[which] = 0
        self._good[which] = self.rng.integers(2, size=count, dtype=np.int8)
        every = np.tile(np.arange(2**self.settings.context_bits, dtype=np.int16), (count, 1))
        self._contexts[which] = self.rng.permuted(every, axis=1, out=every)[:, : self.settings.trials]
        drawn = self.rng.integers(quarter, size=(count, 2 * quarter), dtype=np.int16)
        drawn[:, quarter:] += quarter
        self._cues = self._cues.copy()
        self._cues[which, 2 * quarter : -1] = drawn
        self._ended_with = np.where(which, np.int32(-1), self._ended_with)
        self._choices[which] = self._states[which] = self._rewards[which] = -1
        self._total[which] = 0

    def _draw(self, steps: int) -> tuple[Array, ...]:
        settings = self.settings
        return draw_trials(self.rng, (steps, self.num_envs), settings.common, settings.reward, settings.reversal)

    def _last(self, table: Array) -> Array:
        """Entries [B] of the trial just played in `_choices`, `_states` or `_rewards`; -1 before the first trial."""
        number = int(self._trial[0])
        entries: Array = table[:, number - 1] if number else self._without_cue.state
        return entries

    def _bits(self, context: Array) -> Array:
        """Bits [B, context_bits] of contexts [B], 0 or 1; -1 where there is none."""
        codes = self._contexts.take(self._start_of_row + context) if context[0] >= 0 else context
        bits: Array = self._bits_of.take(codes + 1, axis=0)
        return bits

    def _observe(self) -> Array:
        obs: Array = self._views.take(self._last(self._states) + 1, axis=0)
        if self.settings.context_input:
            obs[:, 3:] = np.concatenate([self._bits(self.shown()), self._bits(self._ended_with)], axis=1)
        return obs

    def _cue(self) -> Cue:
        """The cue asks for the state kept under its context.

        The network's state after a trial's outcome has entered it is the one of the next step: in each step it is kept
        under the context that the last trial ended with.
        """
        shown, ended_with = self.shown(), self._ended_with
        first = self._ended_with < 0
        query, key = (
            2 * self._bits(context) - 1 if context[0] >= 0 else self._no_key.copy() for context in (shown, ended_with)
        )
        return Cue(first, query, shown >= 0, key, ~first, ended_with, shown)

    def shown(self) -> Array:
        """Context that is shown as a cue [B], -1 where none is."""
        cues: Array = self._cues[:, int(self._trial[0])]
        return cues

    def stored(self) -> Stored:
        """The trials that the cues stand for."""
        shown = self.shown()
        if shown[0] < 0:
            return self._without_cue
        places = self._start_of_row + shown
        choice, state, reward = (table.take(places) for table in (self._choices, self._states, self._rewards))
        return Stored(shown, choice, state, reward, (choice == state).view(np.int8))

    def _advance(self, action: Array) -> tuple[Array, Mask, Mask, dict[str, Array]]:
        common, uncommon, pays, changes = self._next_draws()
        number, stored = int(self._trial[0]), self.stored()
        choice = action.astype(np.int8)
        state = choice ^ uncommon
        paid, ended_with = state ^ self._good ^ pays, self._trial
        cued = matched = self._nowhere
        if stored is not self._without_cue:
            cued, matched = self._everywhere, state == stored.state
            paid = np.where(matched, stored.reward, paid)
            ended_with = np.where(matched, stored.trial, self._trial)
        reward = paid.astype(np.float32)
        info = {
            "trial": self._trial,
            "trial_done": self._everywhere,
            "choice": choice,
            "state": state,
            "common": common,
            "reward": reward,
            "good_state": self._good,
            "cued": cued,
            "matched": matched,
            "stored_trial": stored.trial,
            "stored_choice": stored.choice,
            "stored_state": stored.state,
            "stored_reward": stored.reward,
            "stored_common": stored.common,
        }
        self._choices[:, number], self._states[:, number], self._rewards[:, number] = choice, state, paid
        self._ended_with = ended_with
        self._total += reward
        self._trial = self._trial + 1
        self._good = self._good ^ changes
        return reward, self._trial >= self.settings.trials, self._nowhere, info

    def _signs(self, context: Array) -> str:
        """Bits of episode 0's context for a terminal."""
        return "".join("01"[int(bit)] for bit in self._bits(context)[0]) if context[0] >= 0 else "-"

    def _render_ansi(self) -> str:
        number = min(int(self._trial[0]) + 1, self.settings.trials)
        last = "first trial"
        if self._trial[0] > 0:
            state, reward = "AB"[self._last(self._states)[0]], int(self._last(self._rewards)[0])
            last = f"the last choice led to state {state}, context {self._signs(self._ended_with)}, paid {reward}"
        cue = f"   cue {self._signs(self.shown())}" if self.shown()[0] >= 0 else ""
        return f"trial {number} of {self.settings.trials}{cue}   {last}   total {self._total[0]:g}"

    def _render_rgb(self) -> Array:
        canvas = Canvas(400, 360)
        places = ((200, 130), (100, 230), (300, 230))
        colors: tuple[Color, ...] = ((214, 214, 220), (226, 150, 160), (150, 178, 226))
        state = int(self._last(self._states)[0])
        for x, y in places[1:]:
            canvas.line(200, 130, x, y, (190, 190, 190))
        for i, ((x, y), color) in enumerate(zip(places, colors, strict=True)):
            canvas.disc(x, y, 34 if i == state + 1 else 26, color)
            canvas.text(x, y, ("choose", "A", "B")[i], 13 if i == 0 else 20)
        if self._last(self._rewards)[0] > 0:
            canvas.disc(places[state + 1][0], places[state + 1][1] + 44, 8, (240, 196, 60))
        self._barcode(canvas, 64, "cue", self.shown())
        self._barcode(canvas, 296, "last context", self._ended_with)
        number = min(int(self._trial[0]) + 1, self.settings.trials)
        canvas.text(200, 24, f"trial {number} of {self.settings.trials}")
        canvas.text(200, 340, f"total {self._total[0]:g}")
        return canvas.pixels

    def _barcode(self, canvas: Canvas, y: float, name: str, context: Array) -> None:
        """Episode 0's context as a row of boxes after its name; nothing where there is none."""
        if context[0] < 0:
            return
        canvas.text(80, y + 8, name, 14)
        width = min(16, 240 // self.settings.context_bits)
        for i, bit in enumerate(self._bits(context)[0]):
            canvas.box(140 + width * i, y, width - 2, 16, INK if bit else PAPER)
