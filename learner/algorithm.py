"""The settings that make an algorithm: `impala`, `a3c` and `a2c` are three choices of them (`conf/algo/`)."""

from __future__ import annotations

from dataclasses import dataclass, field

RETURNS = ("vtrace", "gae", "n_step", "td0")
OPTIMIZERS = ("rmsprop", "adam")
SCHEDULES = ("constant", "linear", "cosine")


def _choose(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name}={value} is not known; choose one of: {', '.join(choices)}")


@dataclass(frozen=True)
class ScheduledConfig:
    """A quantity that may change over training: from `start` to `end` over `fraction` of the run's steps."""

    start: float
    end: float | None = None
    """None: the same as `start`."""
    fraction: float = 1.0
    kind: str = "linear"

    def __post_init__(self) -> None:
        _choose("schedule kind", self.kind, SCHEDULES)
        if not 0 < self.fraction <= 1:
            raise ValueError(f"a schedule's fraction of the run lies in (0, 1], got {self.fraction}")


@dataclass(frozen=True)
class OptimizerConfig:
    """The optimizer of `torch.optim` and its settings."""

    name: str = "rmsprop"
    alpha: float = 0.99
    """RMSprop's smoothing constant."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Adam's smoothing constants."""
    eps: float = 1e-5

    def __post_init__(self) -> None:
        _choose("algo.optimizer.name", self.name, OPTIMIZERS)


@dataclass(frozen=True)
class ReplayConfig:
    """Replayed trajectories beside fresh ones (V-trace corrects for their age)."""

    ratio: float = 0.0
    """Replayed trajectories for each fresh one; 0 is off."""
    capacity: int = 64
    """Trajectories kept."""

    def __post_init__(self) -> None:
        if self.ratio < 0 or self.capacity < 1:
            raise ValueError("algo.replay needs ratio >= 0 and capacity >= 1")


@dataclass(frozen=True)
class AlgorithmConfig:
    """Everything the learner is told apart from the network."""

    name: str = "impala"
    returns: str = "vtrace"
    synchronous: bool = False
    """Wait for every actor, update once, and only then let them act again (A2C)."""
    unroll_length: int = 100
    batch_unrolls: int = 2
    """Trajectories joined into one update."""
    discount: float = 0.9
    lambda_: float = 1.0
    n: int = 5
    """Steps of the n-step return (`returns=n_step` only)."""
    rho_clip: float = 1.0
    c_clip: float = 1.0
    learning_rate: ScheduledConfig = field(default_factory=lambda: ScheduledConfig(7e-3))
    entropy_weight: ScheduledConfig = field(default_factory=lambda: ScheduledConfig(0.05, 0.0))
    value_weight: float = 0.05
    reward_prediction: float = 0.0
    """Weight of the auxiliary loss of that name, see `learner.reward_prediction`; 0 is off."""
    max_grad_norm: float | None = None
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    replay: ReplayConfig = field(default_factory=ReplayConfig)
    broadcast_every: int = 1
    """Updates between two broadcasts of the parameters."""

    def __post_init__(self) -> None:
        _choose("algo.returns", self.returns, RETURNS)
        if self.replay.ratio and self.returns != "vtrace":
            raise ValueError("algo.replay.ratio > 0 needs algo.returns=vtrace: only V-trace corrects for old behaviour")
        for name in ("unroll_length", "batch_unrolls", "broadcast_every", "n"):
            if getattr(self, name) < 1:
                raise ValueError(f"algo.{name} must be at least 1, got {getattr(self, name)}")
        if self.reward_prediction < 0:
            raise ValueError(f"algo.reward_prediction is a weight, at least 0, got {self.reward_prediction}")
        if not 0 <= self.discount <= 1 or not 0 <= self.lambda_ <= 1:
            raise ValueError("algo.discount and algo.lambda_ lie in [0, 1]")
