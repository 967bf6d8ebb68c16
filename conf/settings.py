"""How settings are declared: frozen dataclasses whose fields have a type and a range, checked when one is made.

Every package below `launch` declares its own settings with `@settings` and the types named here; `checking` makes them
out of what a person wrote. Values are taken as they are: no text becomes a number, no fraction a whole number, no word
a truth value; NaN and infinity are no numbers. A list may stand for a tuple, a whole number for a number.

What concerns several fields is checked in `__post_init__`, by a ValueError whose text begins with the name of the
setting that it complains of (`neighbours=9 are more than ...`): the path to it is put in front.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, Literal, TypeVar, cast, dataclass_transform

import pydantic
import pydantic.dataclasses
from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen

T = TypeVar("T")

LARGEST = 2**63 - 1
"""Of a whole number: what an int64 holds."""

LARGEST_RECORDED = 2**31 - 1
"""Of a number in the records of trials: what an int32 holds."""

Count = Annotated[int, Ge(1), Le(LARGEST)]
"""How many, at least one."""
Recorded = Annotated[int, Ge(1), Le(LARGEST_RECORDED)]
"""How many of what trials are numbered by."""
CountOrZero = Annotated[int, Ge(0), Le(LARGEST)]
Seed = Annotated[int, Ge(0), Le(LARGEST)]
Number = float
Positive = Annotated[float, Gt(0)]
NonNegative = Annotated[float, Ge(0)]
Probability = Annotated[float, Ge(0), Le(1)]
Share = Annotated[float, Gt(0), Le(1)]
"""A part of a whole, not none of it."""
Decay = Annotated[float, Ge(0), Lt(1)]
"""Of a running mean: how much of it stays in a step."""
Text = Annotated[str, MinLen(1)]
Name = Annotated[
    str,
    "a name without / or \\ that begins with no dot",
    MaxLen(100),
    pydantic.StringConstraints(pattern=r"^[^/\\.\x00-\x1f][^/\\\x00-\x1f]*$"),
]
"""Part of a folder's name: it leads nowhere else."""
Many = Annotated[tuple[T, ...], pydantic.Strict(False)]
"""Any number of values."""
Pair = Annotated[tuple[T, T], pydantic.Strict(False)]

Device = Literal["auto", "cpu", "cuda"]
"""Where torch computes; auto: on a GPU if there is one."""

_CONFIG = pydantic.ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


@dataclass_transform(frozen_default=True, field_specifiers=(dataclasses.field,))
def settings(cls: type[T]) -> type[T]:
    """Make a class of annotated fields a frozen dataclass that checks their values.

    Making one raises `pydantic.ValidationError`, a ValueError, for values that cannot be; `checking.checked` says the
    same by the settings' full names.
    """
    return cast("type[T]", pydantic.dataclasses.dataclass(frozen=True, config=_CONFIG)(cls))


def is_settings(cls: object) -> bool:
    """Whether a class was made by `settings`."""
    return isinstance(cls, type) and pydantic.dataclasses.is_pydantic_dataclass(cls)
