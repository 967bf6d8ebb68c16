"""The options of PsychLab's Harlow task, whichever environment plays it (`screen` here, `dmlab` the real game)."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from annotated_types import Ge, Gt, Le, Lt

from ...conf.settings import LARGEST, Count, CountOrZero, Many, Number, Pair, Probability, settings
from .actions import ActionName, actions_of
from .families import TRAINED, Family
from .sides import EvenTrials, Sides

Split = Literal["train", "test", "all"]
SPLITS: tuple[Split, ...] = get_args(Split)

LONGEST_STEP = 16
"""Frames of a step. Two responses are never closer than 17 frames, so that a step completes one trial at most."""

SMALLEST_VIEW = 32


@settings
class PsychLabSettings:
    """Options of the task; see `conf/task/psychlab_harlow.yaml`.

    Raises:
        ValueError: for a value that cannot be.
    """

    env: Literal["screen", "dmlab"] = "screen"
    size: Annotated[int, Ge(SMALLEST_VIEW), Le(LARGEST)] = 84
    """In fewer pixels nothing can be told apart."""
    action_repeat: Annotated[int, Ge(1), Le(LONGEST_STEP)] = 4
    actions: ActionName = "saccade"
    turn: Count = 10
    trials: EvenTrials = 6
    max_frames: Count = 18_000
    reward_fixation: Number = 1.0
    reward_correct: Number = 5.0
    reward_wrong: Number = -5.0
    images: str = ""
    families: Many[Family] = TRAINED
    """Of drawn pictures."""
    pool: CountOrZero = 1000
    split: Split = "train"
    sides: Sides = "balanced"
    switch: Probability = 0.5
    start_yaw: Pair[Annotated[float, Gt(0), Lt(180)]] = (70.0, 110.0)
    """In front; 90 is the screen."""
    randomise: CountOrZero = 0

    def __post_init__(self) -> None:
        actions = actions_of(self.actions)
        if self.step_frames > LONGEST_STEP:
            raise ValueError(
                f"action_repeat={self.action_repeat}: at most {LONGEST_STEP // actions.parts_each} with "
                f"actions={self.actions}"
            )
        low, high = self.start_yaw
        if low > high:
            raise ValueError(f"start_yaw=[{low:g},{high:g}] must rise")
        actions.looks(self.turn)
        if not self.families and not self.images:
            raise ValueError("families=[]: give at least one, or a folder of pictures in images")

    @property
    def step_frames(self) -> int:
        """Frames of a step: of all parts of an action."""
        return self.action_repeat * actions_of(self.actions).parts_each
