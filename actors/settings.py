"""What the pool of actors is told, and what it says when it gives up. Knows no Ray."""

from __future__ import annotations

from typing import Annotated, Literal

from ..conf.settings import Count, CountOrZero, NonNegative, Positive, settings


class ActorsFailedError(RuntimeError):
    """The restart budget is spent. The message ends with the traceback of the last failure."""


@settings
class ActorsConfig:
    """`conf/actors/`: how many actors, how large, and when to give up on one."""

    num: Annotated[Count, "a whole number, at least 1, or auto"] = 2
    auto: bool = False
    """As many actors as the cluster has CPUs for, more or fewer as nodes come and go; `num` does not count then."""
    envs: Count = 32
    """Episodes side by side in one actor."""
    cpus: NonNegative = 1.0
    """CPUs that Ray reserves for one actor."""
    in_flight: Count = 2
    """Unrolls of an actor that may exist at once, running or waiting for the learner."""
    timeout_s: Positive = 60.0
    """An actor that delivers nothing for so long is replaced."""
    start_timeout_s: Positive = 120.0
    """The same for a process that starts and builds its environment."""
    max_restarts: CountOrZero = 10
    """Replacements in a whole run before it gives up."""
    backoff_s: NonNegative = 0.5
    """Wait before a replacement; doubles with each failure in a row of the same actor, up to 30 s."""
    device: Literal["host", "learner"] = "host"
    """Where episodes are played: on the `host`, or, for a tensor task in one process, on the `learner`'s device."""
    lag_updates: CountOrZero = 0
    """For experiments: act with the parameters of so many broadcasts ago."""
