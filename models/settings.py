"""The network's settings (`conf/model/`)."""

from __future__ import annotations

from dataclasses import field
from typing import Literal

from ..conf.settings import Count, Many, Number, Probability, Text, settings
from .dnd import MemoryConfig
from .encoders import EncoderName
from .kernels.library import KernelName

CoreName = Literal[
    "lstm", "gru", "rnn", "rgu", "mlp", "rnn_without_recurrence", "stacked_lstm", "actor_critic_lstm", "ep_lstm"
]
"""See `models.cores`."""


@settings
class ModelConfig:
    """What an agent's network is like."""

    core: CoreName = "lstm"
    hidden_sizes: Many[Count] = (48,)
    learned_initial_state: bool = False
    weights_from: Text | None = None
    """Another run whose agent lends its weights, as far as they fit, see `learner.pretrained`; None: all at random."""
    encoder: EncoderName = "none"
    encoder_sizes: Many[Count] = ()
    encoder_from: Text | None = None
    """Where the encoder's first weights come from, see `learner.pretrained`; None: drawn at random."""
    encoder_frozen: bool = False
    """The encoder's weights stay what they are at the start."""
    layer_norm: bool = False
    """Bring the encoded observation to mean 0 and variance 1 before the core (Ba et al. 2016). What is small there,
    such as a one-hot number among many, otherwise hardly moves the core's gates, and is hardly remembered."""
    see_action: bool = True
    see_reward: bool = True
    reward_levels: Many[Number] = ()
    """Give the reward one-hot over these values instead of as a number (Wang et al. 2016, experiment 3)."""
    reward_by_action: bool = False
    """Give the reward in an input of its own for each action, 0 but for the previous one. What has to be remembered
    where choices are by place, which action earned what, is told so; from action and reward side by side the core has
    to learn their product first."""
    rpe_discount: Probability = 0.9
    """γ of the prediction errors that a core feeds itself (`models.actor_critic`)."""
    kernel: KernelName = "auto"
    """What computes the recurrence on the CPU: the compiled kernels (`models.kernels`) or torch; `auto`: the former
    where they are. The numbers are the same up to rounding."""
    memory: MemoryConfig = field(default_factory=MemoryConfig)
    """Of a core with an episodic memory."""

    @property
    def agent_name(self) -> str:
        """What an agent with this network is called in figures that compare several."""
        if self.core != "ep_lstm":
            return self.core
        return "episodic" if self.memory.reinstate else "incremental"
