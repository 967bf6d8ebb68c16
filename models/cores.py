"""Name -> core. A new core is one file that implements `Core`, its name in `CoreName`, one line here and one file under
`conf/model/`."""

from __future__ import annotations

from collections.abc import Callable

from .actor_critic import ActorCriticLSTM
from .core import Core, InputSizes
from .ep_lstm import EpLSTM
from .feed_forward import FeedForward, WithoutRecurrence
from .kernels import library
from .recurrent import Recurrent
from .rgu import RGU
from .settings import CoreName, ModelConfig
from .stacked import StackedLSTM


def _compiled(model: ModelConfig) -> bool:
    return library.chosen(model.kernel) is not None


def _sizes(model: ModelConfig, count: int) -> tuple[int, ...]:
    if len(model.hidden_sizes) != count:
        raise ValueError(
            f"core '{model.core}' needs model.hidden_sizes with {count} entr{'y' if count == 1 else 'ies'}, "
            f"got {list(model.hidden_sizes)}"
        )
    return model.hidden_sizes


def _one_layer(sizes: InputSizes, model: ModelConfig) -> Core:
    return Recurrent(model.core, sizes, _sizes(model, 1)[0], model.learned_initial_state, _compiled(model))


def _mlp(sizes: InputSizes, model: ModelConfig) -> Core:
    if model.learned_initial_state:
        raise ValueError(f"core '{model.core}' has no state: set model.learned_initial_state=false")
    layers = FeedForward if model.core == "mlp" else WithoutRecurrence
    return layers(sizes, model.hidden_sizes)


def _stacked_lstm(sizes: InputSizes, model: ModelConfig) -> Core:
    first, second = _sizes(model, 2)
    return StackedLSTM(sizes, (first, second), model.learned_initial_state, _compiled(model))


def _actor_critic(sizes: InputSizes, model: ModelConfig) -> Core:
    critic, actor = _sizes(model, 2)
    learned = model.learned_initial_state
    return ActorCriticLSTM(sizes, (critic, actor), model.rpe_discount, learned, _compiled(model))


def _ep_lstm(sizes: InputSizes, model: ModelConfig) -> Core:
    return EpLSTM(sizes, _sizes(model, 1)[0], model.learned_initial_state, model.memory.squash, _compiled(model))


CORES: dict[CoreName, Callable[[InputSizes, ModelConfig], Core]] = {
    "lstm": _one_layer,
    "gru": _one_layer,
    "rnn": _one_layer,
    "rgu": lambda sizes, model: RGU(sizes, _sizes(model, 1)[0], model.learned_initial_state),
    "mlp": _mlp,
    "rnn_without_recurrence": _mlp,
    "stacked_lstm": _stacked_lstm,
    "actor_critic_lstm": _actor_critic,
    "ep_lstm": _ep_lstm,
}


def make_core(sizes: InputSizes, model: ModelConfig) -> Core:
    """The core that the settings name.

    Raises:
        ValueError: for sizes that do not fit it, or for kernels that are not there.
    """
    return CORES[model.core](sizes, model)
