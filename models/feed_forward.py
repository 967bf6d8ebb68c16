"""The cores `mlp` and `rnn_without_recurrence`: layers of units. Nothing is carried from step to step."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from torch import Tensor, nn

from .core import HIDDEN, Core, Hook, Inputs, InputSizes, State


class FeedForward(Core):
    """h_l = tanh(W_l h_{l-1} + b_l), from the inputs of the step alone; the heads read the last layer.

    Args:
        sizes: widths of the inputs.
        hidden_sizes: units of each layer.

    Raises:
        ValueError: without a layer.
    """

    def __init__(self, sizes: InputSizes, hidden_sizes: Sequence[int]) -> None:
        super().__init__()
        if not hidden_sizes:
            raise ValueError(
                "layers without recurrence need model.hidden_sizes with the units of each, such as [64,64]; got []"
            )
        layers: list[nn.Module] = []
        for fan_in, fan_out in itertools.pairwise((sum(sizes), *hidden_sizes)):
            layers += self._layer(fan_in, fan_out)
        self.layers = nn.Sequential(*layers)
        self.output_size = hidden_sizes[-1]
        several = len(hidden_sizes) > 1
        self._inner = {f"{HIDDEN}_{i}" if several else HIDDEN: size for i, size in enumerate(hidden_sizes, 1)}

    def _layer(self, fan_in: int, fan_out: int) -> list[nn.Module]:
        linear = nn.Linear(fan_in, fan_out)
        nn.init.orthogonal_(linear.weight, nn.init.calculate_gain("tanh"))
        nn.init.zeros_(linear.bias)
        return [linear, nn.Tanh()]

    def initial_state(self, batch_size: int) -> State:  # noqa: ARG002, D102  # see Core
        return ()

    def step(self, inputs: Inputs, state: State) -> tuple[Tensor, State]:  # noqa: D102
        output: Tensor = self.layers(inputs.joined())
        return output, state

    @property
    def inner(self) -> dict[str, int]:  # noqa: D102
        return self._inner

    def step_through(self, inputs: Inputs, state: State, hook: Hook) -> tuple[Tensor, State]:  # noqa: D102
        output = inputs.joined()
        for name, i in zip(self._inner, range(0, len(self.layers), 2), strict=True):
            output = hook(name, self.layers[i : i + 2](output))
        return output, state

    def run(self, inputs: Inputs, state: State) -> tuple[Tensor, State]:  # noqa: D102
        return self.step(inputs, state)

    def unroll(self, inputs: Inputs, first: Tensor, state: State) -> Tensor:  # noqa: ARG002, D102
        output: Tensor = self.layers(inputs.joined())
        return output


class WithoutRecurrence(FeedForward):
    """h_l = relu(W_l h_{l-1} + b_l), with the initial weights of `torch.nn.RNN`.

    What a published "RNN" under MAML computes: of an RNN's parameters only those of the input are used, and no state is
    kept. Its weights from state to state have no effect, so that they are left out here.
    """

    def _layer(self, fan_in: int, fan_out: int) -> list[nn.Module]:
        linear, most = nn.Linear(fan_in, fan_out), fan_out**-0.5
        nn.init.uniform_(linear.weight, -most, most)
        nn.init.uniform_(linear.bias, -most, most)
        return [linear, nn.ReLU()]
