"""The options of PsychLab's Harlow task, whichever environment plays it (`screen` here, `dmlab` the real game)."""

from __future__ import annotations

from dataclasses import dataclass

from .actions import actions_of
from .sides import check_sides

ENVIRONMENTS = ("screen", "dmlab")
SPLITS = ("train", "test", "all")

LONGEST_STEP = 16
"""Frames of a step. Two responses are never closer than 17 frames, so that a step completes one trial at most."""

SMALLEST_VIEW = 32


@dataclass(frozen=True)
class PsychLabSettings:
    """Options of the task; see `conf/task/psychlab_harlow.yaml`.

    Raises:
        ValueError: for a value that cannot be.
    """

    env: str = "screen"
    size: int = 84
    action_repeat: int = 4
    actions: str = "saccade"
    turn: int = 10
    trials: int = 6
    max_frames: int = 18_000
    reward_fixation: float = 1.0
    reward_correct: float = 5.0
    reward_wrong: float = -5.0
    images: str = ""
    pool: int = 1000
    split: str = "train"
    sides: str = "balanced"
    switch: float = 0.5
    start_yaw: tuple[float, float] = (70.0, 110.0)
    randomise: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "start_yaw", tuple(float(value) for value in self.start_yaw))
        if self.env not in ENVIRONMENTS:
            raise ValueError(f"psychlab: there is no env={self.env}; choose one of: {', '.join(ENVIRONMENTS)}")
        if self.split not in SPLITS:
            raise ValueError(f"psychlab: there is no split={self.split}; choose one of: {', '.join(SPLITS)}")
        check_sides("psychlab", self.sides, self.switch)
        actions = actions_of(self.actions)
        longest = LONGEST_STEP // actions.parts_each
        if not 1 <= self.action_repeat <= longest:
            raise ValueError(
                f"psychlab: action_repeat is between 1 and {longest} with actions={self.actions}, "
                f"got {self.action_repeat}"
            )
        if self.trials < 2 or self.trials % 2:
            raise ValueError(f"psychlab: trials must be even (each side pays in half of them), got {self.trials}")
        if self.size < SMALLEST_VIEW:
            raise ValueError(
                f"psychlab: in fewer than {SMALLEST_VIEW} pixels nothing can be told apart: size={self.size}"
            )
        if self.max_frames < 1 or self.randomise < 0 or self.pool < 0:
            raise ValueError("psychlab: max_frames must be positive, pool and randomise cannot be negative")
        low, high = self.start_yaw
        if not 0 < low <= high < 180:
            raise ValueError(
                f"psychlab: start_yaw=[{low}, {high}] must rise and lie in front (0..180, 90 is the screen)"
            )
        actions.looks(self.turn)

    @property
    def step_frames(self) -> int:
        """Frames of a step: of all parts of an action."""
        return self.action_repeat * actions_of(self.actions).parts_each
