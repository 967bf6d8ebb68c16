"""The LSTM that reinstates what an episodic memory recalls (Ritter et al. 2018).

A fifth gate r lets the recalled cell state m into the cell, beside what it held and what is new:

    c_t = f * c_{t-1} + i * g + r * tanh(m_t),    h_t = o * tanh(c_t)

torch has no fused kernel of it. Where the compiled ones cannot be used, the unroll is one autograd function with its
own backward pass: what does not depend on the step before (input projection, derivatives of the gates, gradients of the
weights) is computed for all T at once, so that the loop over time keeps one matrix product and a few element-wise
operations a step in either direction.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from .core import HIDDEN, Core, Hook, Inputs, InputSizes, State
from .kernels import unroll as kernel
from .kernels.layers import Weights

GATES = ("candidate", "input", "forget", "reinstatement", "output")
"""Order of the blocks in the weights. All but the first are sigmoids; all but the last act on the cell."""

REINSTATEMENT = "reinstatement_gate"
"""In `Core.inner`; `REINSTATED` is what meets it. Without a memory there is neither."""
REINSTATED = "reinstated"


class EpLSTM(Core):
    """Episodic LSTM; the memory itself is `models/dnd.py`, kept by who acts.

    Args:
        sizes: widths of the inputs.
        hidden_size: units H.
        learned_initial_state: train the state that episodes start from.
        squash: let tanh(m) in, not m itself.
        compiled: use the compiled kernels (`models.kernels`) for what they can compute.
    """

    def __init__(
        self,
        sizes: InputSizes,
        hidden_size: int,
        learned_initial_state: bool,
        squash: bool,
        compiled: bool = False,
    ) -> None:
        super().__init__()
        self.compiled = compiled
        self.output_size = self.recall_size = hidden_size
        self._squash = squash
        count = len(GATES)
        self.w_input = nn.Parameter(torch.empty(count * hidden_size, sum(sizes)))
        self.w_hidden = nn.Parameter(torch.empty(count * hidden_size, hidden_size))
        self.bias = nn.Parameter(torch.zeros(count * hidden_size))
        self.initial = nn.Parameter(torch.zeros(2, 1, hidden_size), requires_grad=learned_initial_state)
        with torch.no_grad():
            for block_in, block_hidden in zip(self.w_input.chunk(count), self.w_hidden.chunk(count), strict=True):
                nn.init.xavier_uniform_(block_in)
                nn.init.orthogonal_(block_hidden)
            self.bias.view(count, hidden_size)[GATES.index("forget")] = 1.0

    def initial_state(self, batch_size: int) -> State:  # noqa: D102  # see Core
        return tuple(self.initial.expand(-1, batch_size, -1).unbind(0))

    def remembered(self, state: State) -> Tensor:  # noqa: D102
        return state[1]

    def step(self, inputs: Inputs, state: State) -> tuple[Tensor, State]:  # noqa: D102
        return self.step_through(inputs, state, _unseen)

    @property
    def inner(self) -> dict[str, int]:  # noqa: D102
        names = ("input_gate", "forget_gate", "output_gate", "candidate", REINSTATEMENT, REINSTATED, "cell", HIDDEN)
        return dict.fromkeys(names, self.output_size)

    def step_through(self, inputs: Inputs, state: State, hook: Hook) -> tuple[Tensor, State]:  # noqa: D102
        hidden, cell = state
        size = self.output_size
        gates = torch.addmm(torch.addmm(self.bias, inputs.joined(), self.w_input.t()), hidden, self.w_hidden.t())
        candidate = gates[:, :size].tanh()
        i, f, r, o = gates[:, size:].sigmoid().chunk(4, dim=1)
        i, f, o = hook("input_gate", i), hook("forget_gate", f), hook("output_gate", o)
        cell = torch.addcmul(f * cell, i, hook("candidate", candidate))
        if inputs.recall.shape[-1]:
            r, recalled = hook(REINSTATEMENT, r), hook(REINSTATED, self.entering(inputs.recall))
            cell = torch.addcmul(cell, r, recalled)
        cell = hook("cell", cell)
        hidden = hook(HIDDEN, o * cell.tanh())
        return hidden, (hidden, cell)

    def unroll(self, inputs: Inputs, first: Tensor, state: State) -> Tensor:  # noqa: D102
        x = inputs.joined().to(self.bias.dtype)
        if self.compiled and kernel.usable(x, *state, self.bias, inputs.recall):
            recalled = self.entering(inputs.recall) if inputs.recall.shape[-1] else None
            return kernel.unroll("ep_lstm", x, first, state, self.initial, self.weights(), recalled)
        hidden, cell = self.reset(state, first[0])
        if inputs.recall.shape[-1]:
            recall = self.entering(inputs.recall)
        else:
            recall = x.new_zeros(1, 1, 1).expand(*first.shape, self.output_size)
        # The recurrence stays in the weights' precision under autocast.
        with torch.autocast(x.device.type, enabled=False):
            output: Tensor = _Unroll.apply(  # type: ignore[no-untyped-call]
                x, recall, self.w_input, self.w_hidden, self.bias, hidden, cell, *self.initial, first
            )
        return output

    def reinstatement_gate(  # noqa: D102
        self, inputs: Inputs, first: Tensor, state: State, output: Tensor
    ) -> Tensor:
        hidden, _ = self.reset(state, first[0])
        before = _shifted(output, hidden, self.initial[0], first)
        place = GATES.index("reinstatement")
        w_input, w_hidden, bias = (p.chunk(len(GATES))[place] for p in (self.w_input, self.w_hidden, self.bias))
        return torch.sigmoid(inputs.joined() @ w_input.t() + before @ w_hidden.t() + bias)

    def weights(self) -> Weights:
        """The parameters, as the compiled kernels want them."""
        return Weights(self.w_input, self.w_hidden, self.bias, None)

    def entering(self, recall: Tensor) -> Tensor:
        """What of a recalled cell state [..., H] meets the reinstatement gate."""
        recall = recall.to(self.bias.dtype)
        return recall.tanh() if self._squash else recall


def _unseen(name: str, value: Tensor) -> Tensor:  # noqa: ARG001
    """The `Hook` that leaves a step as it is."""
    return value


def _shifted(sequence: Tensor, start: Tensor, initial: Tensor, first: Tensor) -> Tensor:
    """What each step of a sequence [T, B, H] comes from: the step before, or `initial` [1, H] after a reset."""
    before = torch.cat((start.unsqueeze(0), sequence[:-1]))
    if len(first) > 1:
        before[1:] = torch.where(first[1:, :, None], initial, before[1:])
    return before


class _Unroll(torch.autograd.Function):
    """T steps from (h, c), with resets to the initial state where `first`; hidden states [T, B, H]."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        recall: Tensor,
        w_input: Tensor,
        w_hidden: Tensor,
        bias: Tensor,
        hidden: Tensor,
        cell: Tensor,
        initial_hidden: Tensor,
        initial_cell: Tensor,
        first: Tensor,
    ) -> Tensor:
        length, batch, _ = x.shape
        size = hidden.shape[1]
        resets = first.any(1).tolist()
        gates = torch.addmm(bias, x.flatten(0, 1), w_input.t()).view(length, batch, -1)
        cells = x.new_empty(length, batch, size)
        squashed, output = torch.empty_like(cells), torch.empty_like(cells)
        h, c, w_t = hidden, cell, w_hidden.t()
        for t in range(length):
            if t and resets[t]:
                start = first[t, :, None]
                h, c = torch.where(start, initial_hidden, h), torch.where(start, initial_cell, c)
            all_gates = gates[t].addmm_(h, w_t)
            candidate = all_gates[:, :size].tanh_()
            i, f, r, o = all_gates[:, size:].sigmoid_().chunk(4, dim=1)
            c = torch.mul(f, c, out=cells[t]).addcmul_(i, candidate).addcmul_(r, recall[t])
            h = torch.mul(o, torch.tanh(c, out=squashed[t]), out=output[t])
        ctx.save_for_backward(
            x,
            recall,
            w_input,
            w_hidden,
            hidden,
            cell,
            initial_hidden,
            initial_cell,
            first,
            gates,
            cells,
            squashed,
            output,
        )
        ctx.resets = resets
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        x, recall, w_input, w_hidden, hidden, cell, *rest = ctx.saved_tensors
        initial_hidden, initial_cell, first, gates, cells, squashed, output = rest
        length, batch, size = cells.shape
        candidate, i, f, r, o = gates.chunk(5, dim=2)
        cell_before = _shifted(cells, cell, initial_cell, first)
        # Derivatives of cell and output by what goes into the gates, for all steps at once.
        by_gate = torch.empty(length, batch, 4, size, dtype=x.dtype, device=x.device)
        torch.mul(i, 1 - candidate.square(), out=by_gate[:, :, 0])
        torch.mul(i - i.square(), candidate, out=by_gate[:, :, 1])
        torch.mul(f - f.square(), cell_before, out=by_gate[:, :, 2])
        torch.mul(r - r.square(), recall, out=by_gate[:, :, 3])
        by_output_gate = (o - o.square()) * squashed
        by_cell = o * (1 - squashed.square())
        d_gates = torch.empty_like(gates)
        d_cells = torch.empty_like(cells) if ctx.needs_input_grad[1] else None
        d_h, d_c = torch.zeros_like(hidden), torch.zeros_like(cell)
        d_initial_h, d_initial_c = torch.zeros_like(initial_hidden), torch.zeros_like(initial_cell)
        for t in reversed(range(length)):
            d_h += grad_output[t]
            d_c.addcmul_(d_h, by_cell[t])
            d_gate = d_gates[t]
            torch.mul(by_gate[t], d_c.unsqueeze(1), out=d_gate[:, : 4 * size].view(batch, 4, size))
            torch.mul(d_h, by_output_gate[t], out=d_gate[:, 4 * size :])
            if d_cells is not None:
                d_cells[t] = d_c
            d_h = d_gate @ w_hidden
            d_c = d_c.mul_(f[t])
            if t and ctx.resets[t]:
                start = first[t, :, None]
                d_initial_h += (d_h * start).sum(0, keepdim=True)
                d_initial_c += (d_c * start).sum(0, keepdim=True)
                d_h.masked_fill_(start, 0)
                d_c.masked_fill_(start, 0)
        hidden_before = _shifted(output, hidden, initial_hidden, first)
        flat = d_gates.flatten(0, 1)
        return (
            (flat @ w_input).view_as(x) if ctx.needs_input_grad[0] else None,
            d_cells * r if d_cells is not None else None,
            flat.t() @ x.flatten(0, 1),
            flat.t() @ hidden_before.flatten(0, 1),
            flat.sum(0),
            d_h,
            d_c,
            d_initial_h,
            d_initial_c,
            None,
        )
