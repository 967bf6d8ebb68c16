"""The stacked LSTM of Wang et al. 2016: reward to layer 1, action to layer 2 (after Mirowski et al. 2017)."""

from __future__ import annotations

import torch
from torch import Tensor

from .core import Core, Hook, Inputs, InputSizes, RecurrentLayer, State, inner_by_layer, of_layer


class StackedLSTM(Core):
    """LSTM 1 sees features and previous reward, LSTM 2 sees features, LSTM 1 and previous action.

    The heads read LSTM 2 (H2 units). The state is (hidden 1, cell 1, hidden 2, cell 2).
    """

    def __init__(
        self, sizes: InputSizes, hidden_sizes: tuple[int, int], learned_initial_state: bool, compiled: bool = False
    ) -> None:
        super().__init__()
        first, second = hidden_sizes
        inputs = sizes.features + sizes.prev_reward, sizes.features + first + sizes.prev_action
        self.layer1 = RecurrentLayer("lstm", inputs[0], first, learned_initial_state, compiled)
        self.layer2 = RecurrentLayer("lstm", inputs[1], second, learned_initial_state, compiled)
        self.output_size = second

    def initial_state(self, batch_size: int) -> State:  # noqa: D102  # see Core
        return self.layer1.initial_state(batch_size) + self.layer2.initial_state(batch_size)

    def step(self, inputs: Inputs, state: State) -> tuple[Tensor, State]:  # noqa: D102
        hidden1, state1 = self.layer1.step(self._input1(inputs), state[:2])
        hidden2, state2 = self.layer2.step(self._input2(inputs, hidden1), state[2:])
        return hidden2, state1 + state2

    @property
    def inner(self) -> dict[str, int]:  # noqa: D102
        return inner_by_layer(self.layer1, self.layer2)

    def step_through(self, inputs: Inputs, state: State, hook: Hook) -> tuple[Tensor, State]:  # noqa: D102
        hidden1, state1 = self.layer1.step_through(self._input1(inputs), state[:2], of_layer(hook, 1))
        hidden2, state2 = self.layer2.step_through(self._input2(inputs, hidden1), state[2:], of_layer(hook, 2))
        return hidden2, state1 + state2

    def unroll(self, inputs: Inputs, first: Tensor, state: State) -> Tensor:  # noqa: D102
        hidden1 = self.layer1.unroll(self._input1(inputs), first, state[:2])
        return self.layer2.unroll(self._input2(inputs, hidden1), first, state[2:])

    @staticmethod
    def _input1(inputs: Inputs) -> Tensor:
        return torch.cat((inputs.features, inputs.prev_reward), dim=-1)

    @staticmethod
    def _input2(inputs: Inputs, hidden1: Tensor) -> Tensor:
        return torch.cat((inputs.features, hidden1, inputs.prev_action), dim=-1)
