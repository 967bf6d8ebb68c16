"""The ring of cells as tables: one number says what is shown and where, and a step is a few look-ups.

A state is `kind * RING + place`: kind 0 shows the cross, 1 the objects with the rewarded one on the left, 2 with it on
the right; place `RING // 2 + d` has the cross (or the middle between the objects) d cells right of the gaze.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..vector import Array, Mask, constant

RING, VIEW, DISTANCE = 17, 9, 3
"""Cells of the ring, cells seen (the gaze in the middle), and cells from the cross to each object."""

STATES = 3 * RING

LEFT, RIGHT = 0, 1

SEE_NOTHING, SEE_CROSS, SEE_REWARDED, SEE_OTHER = range(4)
"""What a cell may hold."""


@dataclass(frozen=True)
class Ring:
    """Tables over the states; those of outcomes are for the state that a movement led to."""

    moved: Array
    """[2 * STATES] the state after a rotation, at `STATES * action + state`."""
    then: Array
    """[2 * STATES] the next state, at `STATES * side + state`: after the cross was fixated, objects with the rewarded
    one on the right if `side`; after an object was, the cross again; else the same one."""
    view: Array
    """[STATES, VIEW] what is seen, `SEE_NOTHING` to `SEE_OTHER`."""
    chosen: Mask
    """[STATES] an object is fixated: the trial is over."""
    chose_right: Mask
    rewarded_right: Mask
    correct: Mask
    reward: Array
    """[STATES] float32"""
    trial_reward: Array
    """[STATES] float32, of the whole trial, where it is over."""

    @classmethod
    def of(cls, reward_fixation: float, reward_correct: float, reward_wrong: float) -> Ring:
        """The ring with these rewards."""
        kind, place = np.divmod(np.arange(STATES), RING)
        middle = RING // 2
        shift = place - middle
        chose_right, chose_left = (kind > 0) & (shift == -DISTANCE), (kind > 0) & (shift == DISTANCE)
        chosen, rewarded_right = chose_right | chose_left, kind == 2
        correct = chosen & (chose_right == rewarded_right)
        fixated = (kind == 0) & (shift == 0)
        outcome = np.where(correct, reward_correct, reward_wrong)
        moved = [kind * RING + (place + step) % RING for step in (1, -1)]  # LEFT, RIGHT
        then = [np.where(fixated, side * RING + middle, np.where(chosen, place, np.arange(STATES))) for side in (1, 2)]
        seen = shift[:, None] - (np.arange(VIEW) - VIEW // 2)  # cells from what is seen to the middle
        left, right = seen == DISTANCE, seen == -DISTANCE
        objects, right_pays = (kind > 0)[:, None], rewarded_right[:, None]
        view = np.full((STATES, VIEW), SEE_NOTHING)
        view[~objects & (seen == 0)] = SEE_CROSS
        view[objects & np.where(right_pays, right, left)] = SEE_REWARDED
        view[objects & np.where(right_pays, left, right)] = SEE_OTHER
        return cls(
            moved=constant(np.concatenate(moved)),
            then=constant(np.concatenate(then)),
            view=constant(view),
            chosen=constant(chosen),
            chose_right=constant(chose_right),
            rewarded_right=constant(rewarded_right),
            correct=constant(correct),
            reward=constant(np.where(chosen, outcome, reward_fixation * fixated).astype(np.float32)),
            trial_reward=constant(np.where(chosen, outcome + reward_fixation, 0).astype(np.float32)),
        )
