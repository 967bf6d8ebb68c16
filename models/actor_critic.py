"""The core `actor_critic_lstm`: an LSTM for the value, and one for the policy, which is fed prediction errors in the
place of rewards (Wang et al. 2018, simulation 6)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .core import Core, Hook, Inputs, InputSizes, RecurrentLayer, State, inner_by_layer, of_layer

RPE, EXPECTED = "rpe_input", "expected"
"""In `Core.inner`: the prediction error that the policy's LSTM is fed, and the value V that the other one gives."""


class ActorCriticLSTM(Core):
    """LSTM 1 sees features, previous action and reward, and gives the value V; LSTM 2, which the policy reads, sees
    features, previous action and the error of the step before,

        δ = r_{t-1} + γ V_t - V_{t-1}

    a signal and no path for gradients: the policy's loss trains LSTM 2 alone, the value's LSTM 1 alone (our choice, as
    is V = 0 before an episode, by which its first error is γ V_0). The output is LSTM 2's H2 units and, last, V. The
    state is (hidden 1, cell 1, V, hidden 2, cell 2).

    Args:
        sizes: widths of the inputs.
        hidden_sizes: units of LSTM 1 (value) and LSTM 2 (policy).
        discount: γ.
        learned_initial_state: train the states that episodes start from; else they are zero.
        compiled: as of `RecurrentLayer`.

    Raises:
        ValueError: if the reward is not one number.
    """

    gives_value = True

    def __init__(
        self,
        sizes: InputSizes,
        hidden_sizes: tuple[int, int],
        discount: float,
        learned_initial_state: bool,
        compiled: bool = False,
    ) -> None:
        super().__init__()
        if sizes.prev_reward != 1:
            raise ValueError(
                "core 'actor_critic_lstm' makes prediction errors of the reward as one number: set "
                "model.see_reward=true, model.reward_levels=[] and model.reward_by_action=false"
            )
        critic, actor = hidden_sizes
        self.layer1 = RecurrentLayer("lstm", sum(sizes), critic, learned_initial_state, compiled)
        self.layer2 = RecurrentLayer("lstm", sum(sizes), actor, learned_initial_state, compiled)
        self.value = nn.Linear(critic, 1)
        nn.init.orthogonal_(self.value.weight, 1.0)
        nn.init.zeros_(self.value.bias)
        self.discount = discount
        self.output_size = actor + 1

    def initial_state(self, batch_size: int) -> State:  # noqa: D102  # see Core
        before = self.layer1.initial.new_zeros(batch_size, 1)
        return (*self.layer1.initial_state(batch_size), before, *self.layer2.initial_state(batch_size))

    def step(self, inputs: Inputs, state: State) -> tuple[Tensor, State]:  # noqa: D102
        hidden1, state1 = self.layer1.step(inputs.joined(), state[:2])
        value = self.value(hidden1)
        error = self._error(inputs, value, state[2])
        hidden2, state2 = self.layer2.step(inputs._replace(prev_reward=error).joined(), state[3:])
        return torch.cat((hidden2, value), dim=-1), (*state1, value.detach(), *state2)

    @property
    def inner(self) -> dict[str, int]:  # noqa: D102
        # The policy's units last: they are what is read.
        return {EXPECTED: 1, RPE: 1, **inner_by_layer(self.layer1, self.layer2)}

    def step_through(self, inputs: Inputs, state: State, hook: Hook) -> tuple[Tensor, State]:  # noqa: D102
        hidden1, state1 = self.layer1.step_through(inputs.joined(), state[:2], of_layer(hook, 1))
        value = hook(EXPECTED, self.value(hidden1))
        error = hook(RPE, self._error(inputs, value, state[2]))
        fed = inputs._replace(prev_reward=error).joined()
        hidden2, state2 = self.layer2.step_through(fed, state[3:], of_layer(hook, 2))
        return torch.cat((hidden2, value), dim=-1), (*state1, value.detach(), *state2)

    def unroll(self, inputs: Inputs, first: Tensor, state: State) -> Tensor:  # noqa: D102
        value = self.value(self.layer1.unroll(inputs.joined(), first, state[:2]))
        before = torch.cat((state[2].unsqueeze(0), value[:-1])).masked_fill(first.unsqueeze(-1), 0.0)
        fed = inputs._replace(prev_reward=self._error(inputs, value, before))
        return torch.cat((self.layer2.unroll(fed.joined(), first, state[3:]), value), dim=-1)

    def _error(self, inputs: Inputs, value: Tensor, before: Tensor) -> Tensor:
        return (inputs.prev_reward + self.discount * value - before).detach()
