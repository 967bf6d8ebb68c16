"""What the pool of actors is told, and what it says when it gives up. Knows no Ray."""

from __future__ import annotations

from dataclasses import dataclass


class ActorsFailedError(RuntimeError):
    """The restart budget is spent. The message ends with the traceback of the last failure."""


DEVICES = ("host", "learner")


@dataclass(frozen=True)
class ActorsConfig:
    """`conf/actors/`: how many actors, how large, and when to give up on one."""

    num: int = 2
    auto: bool = False
    """As many actors as the cluster has CPUs for, more or fewer as nodes come and go; `num` does not count then."""
    envs: int = 32
    """Episodes side by side in one actor."""
    cpus: float = 1.0
    """CPUs that Ray reserves for one actor."""
    in_flight: int = 2
    """Unrolls of an actor that may exist at once, running or waiting for the learner."""
    timeout_s: float = 60.0
    """An actor that delivers nothing for so long is replaced."""
    start_timeout_s: float = 120.0
    """The same for a process that starts and builds its environment."""
    max_restarts: int = 10
    """Replacements in a whole run before it gives up."""
    backoff_s: float = 0.5
    """Wait before a replacement; doubles with each failure in a row of the same actor, up to 30 s."""
    device: str = "host"
    """Where episodes are played: on the `host`, or, for a tensor task in one process, on the `learner`'s device."""
    lag_updates: int = 0
    """For experiments: act with the parameters of so many broadcasts ago."""

    def __post_init__(self) -> None:
        if self.device not in DEVICES:
            raise ValueError(f"actors.device={self.device} is not known; choose one of: {', '.join(DEVICES)}")
        for name in ("num", "envs", "in_flight"):
            if getattr(self, name) < 1:
                raise ValueError(f"actors.{name} must be at least 1, got {getattr(self, name)}")
        for name in ("cpus", "max_restarts", "backoff_s", "lag_updates"):
            if getattr(self, name) < 0:
                raise ValueError(f"actors.{name} cannot be negative, got {getattr(self, name)}")
        for name in ("timeout_s", "start_timeout_s"):
            if getattr(self, name) <= 0:
                raise ValueError(f"actors.{name} must be positive, got {getattr(self, name)}")
