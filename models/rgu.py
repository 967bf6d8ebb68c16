"""The core `rgu`: one layer of reciprocally gated units (Nayebi et al. 2018, arXiv 1807.00053, with full matrices in
the place of convolutions, as in the one-dimensional Harlow code that compares it with LSTM and GRU).

Hidden state h and cell state c are of one kind: each decays by a gate of its own and lets its input in by a gate of the
other,

    h_t = tanh((1 - σ(U_ch c_{t-1} + b_ch)) * (W_h x_t + a_h) + (1 - σ(U_hh h_{t-1} + b_hh)) * h_{t-1})
    c_t = tanh((1 - σ(U_hc h_{t-1} + b_hc)) * (W_c x_t + a_c) + (1 - σ(U_cc c_{t-1} + b_cc)) * c_{t-1})

The heads read h. The gates have names here: `hidden_keep` and `cell_keep` stand before h_{t-1} and c_{t-1},
`hidden_input` and `cell_input` before W_h x_t + a_h and W_c x_t + a_c, the drives.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .core import HIDDEN, Core, Hook, Inputs, InputSizes, State


class RGU(Core):
    """One layer of H units; the state is (h, c), which the computation holds stacked, [2, B, H].

    Args:
        sizes: widths of the inputs.
        hidden_size: H.
        learned_initial_state: train the state that episodes start from; else it is zero.
    """

    def __init__(self, sizes: InputSizes, hidden_size: int, learned_initial_state: bool) -> None:
        super().__init__()
        self.output_size = hidden_size
        self.input = nn.Linear(sum(sizes), 2 * hidden_size)
        self.gates = nn.Parameter(torch.empty(2, hidden_size, 2 * hidden_size))
        """From h and from c, each to the gate of its own decay and to the gate of the other's input."""
        self.gates_bias = nn.Parameter(torch.zeros(2, 1, 2 * hidden_size))
        self.initial = nn.Parameter(torch.zeros(2, 1, hidden_size), requires_grad=learned_initial_state)
        with torch.no_grad():
            for source in self.gates:
                for block in source.chunk(2, dim=1):
                    nn.init.orthogonal_(block)

    def initial_state(self, batch_size: int) -> State:  # noqa: D102  # see Core
        return tuple(self.initial.expand(-1, batch_size, -1).unbind(0))

    def step(self, inputs: Inputs, state: State) -> tuple[Tensor, State]:  # noqa: D102
        hidden, cell = self._advance(self._projected(inputs), torch.stack(state)).unbind(0)
        return hidden, (hidden, cell)

    @property
    def inner(self) -> dict[str, int]:  # noqa: D102
        parts = ("keep_gate", "input_gate", "drive")
        names = [f"{state}_{part}" for state in ("hidden", "cell") for part in parts]
        return dict.fromkeys((*names, "cell", HIDDEN), self.output_size)

    def step_through(self, inputs: Inputs, state: State, hook: Hook) -> tuple[Tensor, State]:  # noqa: D102
        kept, entering = self._opened(torch.stack(state))
        after = []
        for i, (name, drive) in enumerate(zip((HIDDEN, "cell"), self._projected(inputs), strict=True)):
            keep, let_in = hook(f"{name}_keep_gate", kept[i]), hook(f"{name}_input_gate", entering[i])
            now = torch.addcmul(keep * state[i], let_in, hook(f"{name}_drive", drive))
            after.append(hook(name, torch.tanh(now)))
        return after[0], tuple(after)

    def unroll(self, inputs: Inputs, first: Tensor, state: State) -> Tensor:  # noqa: D102
        now = torch.stack(self.reset(state, first[0]))
        resets = first.any(1).tolist()
        outputs = []
        # The recurrence stays in the weights' precision under autocast.
        projected = self._projected(inputs).to(now.dtype)
        with torch.autocast(now.device.type, enabled=False):
            for t, (x, starts) in enumerate(zip(projected.unbind(1), first.unbind(), strict=True)):
                if t and resets[t]:
                    now = torch.where(starts[:, None], self.initial, now)
                now = self._advance(x, now)
                outputs.append(now[0])
        return torch.stack(outputs)

    def _projected(self, inputs: Inputs) -> Tensor:
        """What of the inputs [..., B, F] enters h and c, [2, ..., B, H]."""
        return torch.stack(self.input(inputs.joined()).chunk(2, dim=-1))

    def _advance(self, x: Tensor, state: Tensor) -> Tensor:
        """One step: inputs and state [2, B, H] give the next state."""
        kept, entering = self._opened(state)
        return torch.tanh(torch.addcmul(kept * state, entering, x))

    def _opened(self, state: Tensor) -> tuple[Tensor, Tensor]:
        """How far what h and c hold is kept, and what enters them let in, [2, B, H] each. 1 - σ(z) is σ(-z)."""
        kept, entering = torch.sigmoid(-torch.baddbmm(self.gates_bias, state, self.gates)).chunk(2, dim=-1)
        return kept, entering.flip(0)
