"""Where the rewarded picture is in each trial of an episode."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from annotated_types import Ge, Le, MultipleOf
from numpy.typing import NDArray
from torch import Tensor

from ...conf.settings import LARGEST_RECORDED

Numbers = TypeVar("Numbers", NDArray[Any], Tensor)

Sides = Literal["balanced", "random"]
"""Left and right equally often in an episode, as in the game, or drawn trial by trial. Whoever counts the sides in
balanced episodes is right in 72 % of trials 2 to 6 without a look at the pictures."""

EvenTrials = Annotated[int, "an even number, at least 2", Ge(2), Le(LARGEST_RECORDED), MultipleOf(2)]
"""Each side pays in half of the trials."""


def draw_sides(sides: Sides, switch: float, numbers: Numbers) -> Numbers:
    """Whether the rewarded picture is on the right, [B, trials] bool, from as many numbers in [0, 1).

    With `sides=random` either side is as likely in the first trial; then it changes with probability `switch`.
    """
    if sides == "balanced":
        right: Numbers = numbers.argsort(1) % 2 == 1
    else:
        changes = numbers < switch
        changes[:, 0] = numbers[:, 0] < 0.5
        right = changes.cumsum(1) % 2 == 1
    return right
