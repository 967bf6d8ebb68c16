"""Cores of one recurrent layer: `lstm`, `gru`, `rnn`. Input: encoded observation, previous action, previous reward."""

from __future__ import annotations

from torch import Tensor

from .core import Core, Hook, Inputs, InputSizes, RecurrentLayer, State


class Recurrent(Core):
    """One `RecurrentLayer` over everything the agent sees (Wang et al. 2016, 2018: LSTM of 48 units)."""

    def __init__(
        self, kind: str, sizes: InputSizes, hidden_size: int, learned_initial_state: bool, compiled: bool = False
    ) -> None:
        super().__init__()
        self.layer = RecurrentLayer(kind, sum(sizes), hidden_size, learned_initial_state, compiled)
        self.output_size = hidden_size

    def initial_state(self, batch_size: int) -> State:  # noqa: D102  # see Core
        return self.layer.initial_state(batch_size)

    def step(self, inputs: Inputs, state: State) -> tuple[Tensor, State]:  # noqa: D102
        return self.layer.step(inputs.joined(), state)

    @property
    def inner(self) -> dict[str, int]:  # noqa: D102
        return self.layer.inner

    def step_through(self, inputs: Inputs, state: State, hook: Hook) -> tuple[Tensor, State]:  # noqa: D102
        return self.layer.step_through(inputs.joined(), state, hook)

    def run(self, inputs: Inputs, state: State) -> tuple[Tensor, State]:  # noqa: D102
        return self.layer.run(inputs.joined(), state)

    def unroll(self, inputs: Inputs, first: Tensor, state: State) -> Tensor:  # noqa: D102
        return self.layer.unroll(inputs.joined(), first, state)
