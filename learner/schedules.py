"""Quantities that change over training, as functions of environment steps."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .algorithm import ScheduledConfig


@dataclass(frozen=True)
class Schedule:
    """From `start` to `end` over `steps` environment steps, then constant.

    Raises:
        ValueError: for an unknown kind, no steps, or an end that is not finite.
    """

    start: float
    end: float
    steps: int
    kind: str = "linear"
    """constant (stays at `start`) | linear | cosine (half a period, flat at both ends)"""

    @classmethod
    def of(cls, config: ScheduledConfig, env_steps: int) -> Schedule:
        """As the settings say, in a run of so many environment steps."""
        end = config.start if config.end is None else config.end
        return cls(start=config.start, end=end, steps=max(1, round(config.fraction * env_steps)), kind=config.kind)

    def __post_init__(self) -> None:
        if self.kind not in ("constant", "linear", "cosine"):
            raise ValueError(f"there is no schedule '{self.kind}'; choose one of: constant, linear, cosine")
        if self.steps < 1:
            raise ValueError(f"a schedule needs at least one step, got {self.steps}")
        if not (math.isfinite(self.start) and math.isfinite(self.end)):
            raise ValueError(f"a schedule needs finite ends, got start={self.start} end={self.end}")

    def __call__(self, env_steps: int) -> float:
        """The value after `env_steps` environment steps."""
        if self.kind == "constant":
            return self.start
        done = min(1.0, max(0.0, env_steps / self.steps))
        if self.kind == "cosine":
            done = (1 - math.cos(math.pi * done)) / 2
        # This form keeps start == end exact at every step; the last value is exact by the comparison.
        return self.end if done == 1.0 else self.start + (self.end - self.start) * done
