"""The settings that make an algorithm: `impala`, `a3c`, `a2c`, `ppo` and `maml` are choices of them (`conf/algo/`)."""

from __future__ import annotations

from dataclasses import field
from typing import Literal

from ..conf.settings import Count, CountOrZero, Decay, NonNegative, Pair, Positive, Probability, Share, Text, settings


@settings
class ScheduledConfig:
    """A quantity that may change over training: from `start` to `end` over `fraction` of the run's steps."""

    start: NonNegative
    end: NonNegative | None = None
    """None: the same as `start`."""
    fraction: Share = 1.0
    kind: Literal["constant", "linear", "cosine"] = "linear"


@settings
class OptimizerConfig:
    """The optimizer of `torch.optim` and its settings."""

    name: Literal["rmsprop", "adam"] = "rmsprop"
    alpha: Decay = 0.99
    """RMSprop's smoothing constant."""
    betas: Pair[Decay] = (0.9, 0.999)
    """Adam's smoothing constants."""
    eps: Positive = 1e-5


@settings
class ReplayConfig:
    """Replayed trajectories beside fresh ones (V-trace corrects for their age)."""

    ratio: NonNegative = 0.0
    """Replayed trajectories for each fresh one; 0 is off."""
    capacity: Count = 64
    """Trajectories kept."""


@settings
class PPOConfig:
    """Several passes over each batch, with a clipped ratio of policies (Schulman et al. 2017; see `learner.ppo`)."""

    epochs: CountOrZero = 0
    """Passes over a batch; 0 is off: one step of the policy gradient."""
    minibatches: Count = 4
    """Optimizer steps of a pass, each on as many whole sequences; no more than there are sequences."""
    clip: Positive = 0.2
    """ε: the ratio of new to old policy beyond which an action is moved no further."""
    value_clip: Positive | None = None
    """How far V may move in an update before its loss stops to improve, in units of the value; None: any distance."""
    target_kl: Positive | None = None
    """No further pass once the policy has moved by more than this in one, in nats; None: all passes."""
    normalize_advantage: bool = True
    """Bring the advantages of a minibatch to mean 0 and variance 1."""


@settings
class MAMLConfig:
    """Policies that are trained to be adapted by a few policy-gradient steps (Finn et al. 2017; see `learner.maml`)."""

    steps: CountOrZero = 0
    """Steps of adaptation in training; 0 is off."""
    rate: Positive = 0.1
    """Their step size."""
    second_order: bool = True
    """Take the meta-gradient through the steps of adaptation; else as if they moved the parameters by constants."""
    episodes: Count = 20
    """That each task is played for before each step and after the last one."""
    adapted: Literal["all", "heads", "not_recurrent"] = "all"
    """Which parameters adapt: all, the policy's head, or all but those from the recurrent state to itself."""
    inner: Literal["likelihood", "ratio"] = "likelihood"
    """What a step ascends: log π A (REINFORCE), or the ratio of new to old policy times A (Rothfuss et al. 2019), whose
    second derivative also tells what exploring with other actions would have been worth."""
    outer: Literal["trpo", "ppo"] = "trpo"
    """How the meta-update is made: one step of TRPO (Finn et al. 2017), or passes over minibatches of tasks on
    the clipped ratio, as `ppo` tells (Rothfuss et al. 2019)."""
    max_kl: Positive = 0.01
    """TRPO: how far the adapted policies may move, in nats."""
    damping: NonNegative = 1e-5
    """TRPO: added to the diagonal of the KL's Hessian."""
    hessian_tasks: Count | None = None
    """TRPO: measure that Hessian in so many of the tasks; None: in all."""
    cg_steps: Count = 10
    """TRPO: steps of conjugate gradients."""
    backtracks: Count = 15
    """TRPO: lengths of the step that are tried."""
    backtrack_ratio: Probability = 0.8
    """TRPO: of each length to the one before."""
    inner_kl: NonNegative = 0.0
    """PPO: weight of the KL divergence between new and old policy before adaptation."""
    evaluation_steps: CountOrZero = 3
    """Steps of adaptation in an evaluation."""


@settings
class AlgorithmConfig:
    """Everything the learner is told apart from the network."""

    name: Text = "impala"
    returns: Literal["vtrace", "gae", "n_step", "td0"] = "vtrace"
    synchronous: bool = False
    """Wait for every actor, update once, and only then let them act again (A2C)."""
    unroll_length: Count = 100
    batch_unrolls: Count = 2
    """Trajectories joined into one update."""
    discount: Probability = 0.9
    lambda_: Probability = 1.0
    n: Count = 5
    """Steps of the n-step return (`returns=n_step` only)."""
    rho_clip: Positive = 1.0
    c_clip: Positive = 1.0
    learning_rate: ScheduledConfig = field(default_factory=lambda: ScheduledConfig(7e-3))
    entropy_weight: ScheduledConfig = field(default_factory=lambda: ScheduledConfig(0.05, 0.0))
    value_weight: NonNegative = 0.05
    reward_scale: Positive = 1.0
    """What a reward of 1 is to the learner; values of the network are in this unit."""
    reward_prediction: NonNegative = 0.0
    """Weight of the auxiliary loss of that name, see `learner.reward_prediction`; 0 is off."""
    max_grad_norm: Positive | None = None
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    replay: ReplayConfig = field(default_factory=ReplayConfig)
    ppo: PPOConfig = field(default_factory=PPOConfig)
    maml: MAMLConfig = field(default_factory=MAMLConfig)
    broadcast_every: Count = 1
    """Updates between two broadcasts of the parameters."""
    gradients: Literal["learner", "actors"] = "learner"
    """Who computes them: the learner, on trajectories; or each actor, on its own unroll (A2C and A3C as published), and
    the learner adds them up."""

    @property
    def played_steps(self) -> int:
        """T, the steps of a trajectory: with MAML those of all phases, before and after each step of adaptation."""
        return self.unroll_length * (self.maml.steps + 1)

    def __post_init__(self) -> None:
        if self.maml.steps and (not self.synchronous or self.gradients == "actors" or self.reward_prediction):
            raise ValueError(
                "maml.steps needs synchronous=true, gradients=learner and reward_prediction=0: set algo=maml, or "
                "algo.maml.steps=0"
            )
        if self.maml.steps and self.maml.outer == "ppo" and not self.ppo.epochs:
            raise ValueError("maml.outer=ppo needs ppo.epochs of at least 1, the steps of the optimizer")
        if self.ppo.epochs and (not self.synchronous or self.returns == "vtrace"):
            raise ValueError(
                "ppo.epochs needs synchronous=true and returns without a correction for lag (gae): set algo=ppo, or "
                "algo.ppo.epochs=0"
            )
        if self.ppo.epochs and self.gradients == "actors":
            raise ValueError("gradients=actors makes one step of each batch: set gradients=learner, or ppo.epochs=0")
        if self.gradients == "actors" and self.returns == "vtrace":
            raise ValueError(
                "gradients=actors needs algo=a2c or algo=a3c: what V-trace corrects is the age of trajectories, which "
                "have none where they are played"
            )
        if self.gradients == "actors" and self.reward_prediction:
            raise ValueError("gradients=actors has no part in algo.reward_prediction, whose head is the learner's")
        if self.replay.ratio and self.returns != "vtrace":
            raise ValueError(
                f"replay.ratio={self.replay.ratio:g} needs algo.returns=vtrace: only V-trace corrects for old behaviour"
            )
