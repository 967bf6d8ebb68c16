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
from ..two_step.env import TwoStepSettings
from ..vector import Array, Cue, Mask, VectorTask

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
        self._rows = np.arange(num_envs)
        self._trial = np.zeros(num_envs, dtype=np.int32)
        self._good = np.zeros(num_envs, dtype=np.int8)
        self._contexts = np.zeros((num_envs, trials), dtype=np.int16)
        """Bits of each context, as an integer."""
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
        count, quarter = int(which.sum()), self.settings.trials // 4
        self._trial[which] = 0
        self._good[which] = self.rng.integers(2, size=count, dtype=np.int8)
        every = np.tile(np.arange(2**self.settings.context_bits, dtype=np.int16), (count, 1))
        self._contexts[which] = self.rng.permuted(every, axis=1, out=every)[:, : self.settings.trials]
        drawn = self.rng.integers(quarter, size=(count, 2 * quarter), dtype=np.int16)
        drawn[:, quarter:] += quarter
        self._cues[which, 2 * quarter : -1] = drawn
        self._ended_with[which] = -1
        self._choices[which] = self._states[which] = self._rewards[which] = -1
        self._total[which] = 0

    def _last(self, table: Array) -> Array:
        """Entries [B] of the trial just played in `_choices`, `_states` or `_rewards`; -1 before the first trial."""
        entries: Array = np.where(self._trial > 0, table[self._rows, self._trial - 1], -1)
        return entries

    def _bits(self, context: Array) -> Array:
        """Bits [B, context_bits] of contexts [B], 0 or 1; -1 where there is none."""
        code = self._contexts[self._rows, context][:, None] >> np.arange(self.settings.context_bits)
        bits: Array = np.where(context[:, None] >= 0, code & 1, -1).astype(np.float32)
        return bits

    def _observe(self) -> Array:
        obs = np.zeros((self.num_envs, *self.single_observation_space.shape), dtype=np.float32)  # type: ignore[misc]
        obs[self._rows, self._last(self._states) + 1] = 1.0
        if self.settings.context_input:
            obs[:, 3:] = np.concatenate([self._bits(self.shown()), self._bits(self._ended_with)], axis=1)
        return obs

    def _cue(self) -> Cue:
        """The cue asks for the state kept under its context.

        The network's state after a trial's outcome has entered it is the one of the next step: in each step it is kept
        under the context that the last trial ended with.
        """
        shown, ended_with = self.shown(), self._ended_with.copy()
        first = self._trial == 0
        signs = [np.where(context[:, None] >= 0, 2 * self._bits(context) - 1, 0) for context in (shown, ended_with)]
        query, key = (sign.astype(np.float32) for sign in signs)
        return Cue(first, query, shown >= 0, key, ~first, ended_with.astype(np.int32), shown.astype(np.int32))

    def shown(self) -> Array:
        """Context that is shown as a cue [B], -1 where none is."""
        cues: Array = self._cues[self._rows, self._trial]
        return cues

    def stored(self) -> Stored:
        """The trials that the cues stand for."""
        shown = self.shown()
        cued = shown >= 0
        tables = (self._choices, self._states, self._rewards)
        choice, state, reward = (np.where(cued, table[self._rows, shown], np.int8(-1)) for table in tables)
        return Stored(shown, choice, state, reward, np.where(cued, choice == state, -1).astype(np.int8))

    def _advance(self, action: Array) -> tuple[Array, Mask, Mask, dict[str, Array]]:
        choice, stored = action.astype(np.int8), self.stored()
        uniform = self.rng.random((3, self.num_envs), dtype=np.float32)
        common = uniform[0] < self.settings.common
        state = np.where(common, choice, 1 - choice).astype(np.int8)
        cued = stored.trial >= 0
        matched = cued & (state == stored.state)
        pays = np.where(state == self._good, self.settings.reward, 1 - self.settings.reward)
        reward = np.where(matched, stored.reward, uniform[1] < pays).astype(np.float32)
        info = {
            "trial": self._trial.copy(),
            "trial_done": np.ones(self.num_envs, dtype=bool),
            "choice": choice,
            "state": state,
            "common": common,
            "reward": reward,
            "good_state": self._good.copy(),
            "cued": cued,
            "matched": matched,
            **{f"stored_{name}": column for name, column in stored._asdict().items()},
        }
        self._choices[self._rows, self._trial] = choice
        self._states[self._rows, self._trial] = state
        self._rewards[self._rows, self._trial] = reward
        self._ended_with = np.where(matched, stored.trial, self._trial)
        self._total += reward
        self._trial += 1
        self._good ^= uniform[2] < self.settings.reversal
        ended = self._trial >= self.settings.trials
        return reward.copy(), ended, np.zeros(self.num_envs, dtype=bool), info

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
