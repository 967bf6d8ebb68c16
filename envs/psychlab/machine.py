"""Harlow's task on PsychLab's screen, frame by frame, for B episodes at once: gaze, displays, rewards. Draws nothing.

What happens in the frame from observation f to f + 1, in the game's order: what is due from the frame before is paid;
the hit areas are tested with the gaze of observation f; then the gaze turns. So the gaze lands in frame k, the
display changes in the observation of frame k + 4, and the reward comes in the frame that leads to k + 5. The last
reward of an episode comes at once.

All state is integer tensors [B] on one device, and what is random is handed to `begin`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from .geometry import LARGEST_PITCH_UNITS, SHORTS, Gaze, gaze_of, hits_of

BLANK, CROSS, PICTURES = 0, 1, 2
"""What the screen shows."""

HOLD = 4
"""Frames in a row that the gaze has to rest on something."""
PAUSE = 5
"""Blank frames between a response and the next cross."""

NOTHING, FIXATED, RIGHT_CHOICE, WRONG_CHOICE = 0, 1, 2, 3
SCORES = (0, 1, 5, -5)
"""Points of these, in the game."""


@dataclass
class State:
    """B episodes. Integers [B] (int32) unless said otherwise."""

    start: Tensor
    """Yaw at the start, in 1/65536 of a turn."""
    right_units: Tensor
    down_units: Tensor
    frame: Tensor
    """Frames since the start."""
    display: Tensor
    wait: Tensor
    """Blank frames left, of a blank screen."""
    held: Tensor
    """[3, B] frames in a row that the gaze has rested on the cross, the left and the right picture."""
    due: Tensor
    """What is paid in the next frame."""
    chose_right: Tensor
    """[B] bool, the last response."""
    trial: Tensor
    """Responses paid so far."""
    shown: Tensor
    """Frame in which the pictures appeared."""
    reaction: Tensor
    """Frames from then to the last response."""
    score: Tensor
    """The game's own points, as the head-up display tells them."""
    rewarded_right: Tensor
    """[B, trials] bool, where the rewarded picture is."""

    def tensors(self) -> Mapping[str, Tensor]:
        """All fields by name."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}


@dataclass(frozen=True)
class Played:
    """What a step of several frames gave, [B]."""

    reward: Tensor
    """float32, summed over the frames."""
    terminated: Tensor
    truncated: Tensor
    paid: Tensor
    """Whether a response was paid: a trial is complete. The rest is about that trial, where this is True."""
    correct: Tensor
    trial: Tensor
    chose_right: Tensor
    rewarded_right: Tensor
    reaction: Tensor


class Machine:
    """The rules; see the module's text."""

    def __init__(
        self, batch: int, trials: int, max_frames: int, rewards: tuple[float, float, float], device: torch.device
    ) -> None:
        """`rewards` of fixating the cross, of the right and of the wrong picture."""
        self.trials, self.max_frames = trials, max_frames
        self._rewards = torch.tensor([0.0, *rewards], device=device)
        self._scores = torch.tensor(SCORES, dtype=torch.int32, device=device)

        def zeros(*shape: int, dtype: torch.dtype = torch.int32) -> Tensor:
            return torch.zeros(*shape, batch, dtype=dtype, device=device)

        self.state = State(
            **{name: zeros() for name in _COUNTS},
            held=zeros(3),
            chose_right=zeros(dtype=torch.bool),
            rewarded_right=torch.zeros(batch, trials, dtype=torch.bool, device=device),
        )
        self._rows = torch.arange(batch, device=device)

    def begin(self, which: Tensor, start_yaw: Tensor, rewarded_right: Tensor) -> None:
        """Start episodes in the rows of `which` [B] bool, with these yaws [B] (degrees) and sides [B, trials]."""
        state = self.state
        for name in _COUNTS:
            setattr(state, name, torch.where(which, 0, getattr(state, name)))
        state.held = torch.where(which, 0, state.held)
        state.chose_right = state.chose_right & ~which
        state.wait = torch.where(which, 1, state.wait)  # the cross is there from frame 1 on
        state.start = torch.where(which, torch.round(start_yaw.double() * SHORTS).int(), state.start)
        state.rewarded_right = torch.where(which[:, None], rewarded_right, state.rewarded_right)

    def rewarded_side(self) -> Tensor:
        """Whether the rewarded picture is on the right in the present trial, [B] bool."""
        return self.state.rewarded_right[self._rows, self.state.trial.clamp(max=self.trials - 1)]

    def gaze(self) -> Gaze:
        """Where the gaze is now, [B]."""
        return gaze_of(self.state.start, self.state.right_units, self.state.down_units)

    def step(self, looks: Tensor, frames: int) -> Played:
        """Turn the gaze by each of `looks` [P, B, 2] (units a frame: right, down; int32) for some frames.

        Those of a row that turn it up or down do so in one direction: where it stops is found at the end. Rows whose
        episode ends before the last frame stand still from then on.
        """
        state = self.state
        turned = looks.repeat_interleave(frames, 0).cumsum(0, dtype=torch.int32)  # [P * frames, B, 2]
        turned = torch.nn.functional.pad(turned, (0, 0, 0, 0, 1, 0))
        right = state.right_units + turned[..., 0]
        down = (state.down_units + turned[..., 1]).clamp(-LARGEST_PITCH_UNITS, LARGEST_PITCH_UNITS)
        resting = torch.stack(hits_of(gaze_of(state.start, right[:-1], down[:-1])), dim=1).int()  # [frames, 3, B]
        batch = len(state.frame)
        reward = torch.zeros(batch, device=looks.device)
        ended = torch.zeros(batch, dtype=torch.bool, device=looks.device)
        last = self.trials - 1
        paid_kind, now = torch.zeros_like(state.due), torch.zeros_like(state.due)
        paid_trial, paid_side = state.trial, state.chose_right
        for k in range(len(resting)):
            paid, state.due = state.due, torch.zeros_like(state.due)
            blank, cross, pictures = (state.display == shown for shown in (BLANK, CROSS, PICTURES))
            waited = blank & (state.wait == 1)  # the cross can be fixated in the frame that brings it
            awake = torch.stack((cross | waited, pictures, pictures))
            held = torch.where(awake, (state.held + 1) * resting[k], 0)
            fixated, left, chosen_right = held == HOLD
            chosen = left | chosen_right
            outcome = torch.where(chosen_right == self.rewarded_side(), RIGHT_CHOICE, WRONG_CHOICE)
            due = torch.where(chosen, outcome, fixated.int()).int()
            over = chosen & (state.trial == last)
            state.held = held * ~(fixated | chosen)
            state.due = torch.where(over, 0, due).int()
            now = torch.where(over, due, paid) * ~ended  # rows that are over do not move
            reward += self._rewards[now]
            state.score = state.score + self._scores[now]
            responded = now > FIXATED
            paid_kind = torch.where(responded, now, paid_kind)
            state.chose_right = torch.where(chosen, chosen_right, state.chose_right)
            state.reaction = torch.where(chosen, state.frame - state.shown, state.reaction)
            paid_trial = torch.where(responded, state.trial, paid_trial)
            paid_side = torch.where(responded, state.chose_right, paid_side)
            state.trial = state.trial + responded
            state.wait = torch.where(chosen, PAUSE, (state.wait - blank.int()).clamp(min=0)).int()
            state.display = torch.where(
                chosen, BLANK, torch.where(fixated, PICTURES, torch.where(waited, CROSS, state.display))
            ).int()
            state.shown = torch.where(fixated, state.frame + 1, state.shown)
            state.frame = state.frame + ~ended
            ended = ended | over
        state.right_units, state.down_units = right[-1], down[-1]
        return Played(
            reward=reward,
            terminated=ended,
            truncated=(state.frame >= self.max_frames) & ~ended,
            paid=paid_kind > FIXATED,
            correct=paid_kind == RIGHT_CHOICE,
            trial=paid_trial,
            chose_right=paid_side,
            rewarded_right=state.rewarded_right[self._rows, paid_trial.long().clamp(max=last)],
            reaction=state.reaction,
        )


_COUNTS = (
    "start",
    "right_units",
    "down_units",
    "frame",
    "display",
    "wait",
    "due",
    "trial",
    "shown",
    "reaction",
    "score",
)
