"""An unroll by the compiled kernels, as an autograd function with its own backward pass.

In one pass over the steps a block of rows computes joined inputs, sums, gates and states; the backward pass goes over
them the other way round and adds up the gradients of the weights while what they are made of is still in the cache.
"""

from __future__ import annotations

import ctypes
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from . import library
from .layers import BLOCK, CHUNK, KINDS, Kind, Weights, compiled, pack, pack_back, padded, padded_size


class Tape(NamedTuple):
    """What T steps keep for the backward pass; U is the hidden size H, padded."""

    x: Tensor
    """[T, B, F]"""
    gates: Tensor
    """[T, B, kind.tape * U]"""
    cells: Tensor | None
    """[T, B, U] after each step."""
    output: Tensor
    """[T, B, U] hidden states after each step."""
    first: Tensor
    """[T, B] bool"""
    hidden: Tensor
    """[B, U] before the first step."""
    cell: Tensor | None
    initial_hidden: Tensor
    """[U] after a reset."""
    initial_cell: Tensor | None
    recall: Tensor | None
    """[T, B, U]"""

    def sequence(self, kind: Kind, packed: Tensor | None, joined: Tensor, keep: bool = True) -> library.Sequence:
        """For a call: forwards with the weights `packed`, backwards without; `joined` of `scratch`.

        Without `keep` the gates are of no use, and the cell states those of one step.
        """
        (rows, units), (steps, _) = self.hidden.shape, self.first.shape
        parts = self._asdict() | {"gates": self.gates if keep else None, "weights": packed, "joined": joined}
        inputs = self.x.shape[-1]
        return library.Sequence(kind=kind.place, steps=steps, rows=rows, inputs=inputs, units=units, **parts)


def room(kind: Kind, steps: int, rows: int, units: int, keep: bool) -> tuple[Tensor, Tensor | None]:
    """For the gates and the cell states of a tape; without `keep` for what there is of it."""
    kept = steps if keep else 1
    cells = torch.empty(kept, rows, units) if kind.has_cell else None
    return torch.empty(kept if keep else 0, rows, kind.tape * units), cells


def scratch(rows: int, width: int, steps: int = 1) -> Tensor:
    """For what a block's `rows` of some steps are joined to."""
    return torch.empty(steps * min(BLOCK, rows) * width)


def usable(*tensors: Tensor) -> bool:
    """Whether the kernels compute with these: float32 on the CPU, without autocast."""
    plain = all(tensor.dtype == torch.float32 and tensor.device.type == "cpu" for tensor in tensors)
    return plain and not torch.is_autocast_enabled("cpu")


def unroll(
    kind: str,
    x: Tensor,
    first: Tensor,
    state: tuple[Tensor, ...],
    initial: Tensor,
    weights: Weights,
    recall: Tensor | None = None,
) -> Tensor:
    """T steps: hidden states [T, B, H].

    Args:
        kind: of `KINDS`.
        x: [T, B, F].
        first: [T, B] bool, where the state is replaced by the initial one before the step.
        state: before the first step, each component [B, H].
        initial: [components, 1, H].
        weights: of the layer.
        recall: [T, B, H] what enters the cell from an episodic memory (epLSTM).
    """
    cell, initial_cell = (state[1], initial[1, 0]) if KINDS[kind].has_cell else (None, None)
    output: Tensor = _Unroll.apply(  # type: ignore[no-untyped-call]
        KINDS[kind],
        x,
        first,
        state[0],
        cell,
        initial[0, 0],
        initial_cell,
        recall,
        weights.w_input,
        weights.w_hidden,
        weights.b_input,
        weights.b_hidden,
    )
    return output


class _Unroll(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        kind: Kind,
        x: Tensor,
        first: Tensor,
        hidden: Tensor,
        cell: Tensor | None,
        initial_hidden: Tensor,
        initial_cell: Tensor | None,
        recall: Tensor | None,
        *parameters: Tensor,
    ) -> Tensor:
        weights = Weights(*(None if p is None else p.contiguous() for p in parameters))
        (steps, rows, inputs), units = x.shape, padded_size(weights.hidden)
        keep = any(ctx.needs_input_grad)
        gates, cells = room(kind, steps, rows, units, keep)
        hidden, initial_hidden = padded(hidden, units), padded(initial_hidden, units)
        cell, initial_cell, recall = (None if p is None else padded(p, units) for p in (cell, initial_cell, recall))
        output = torch.empty(steps, rows, units)
        tape = Tape(
            x.contiguous(), gates, cells, output, first.contiguous(), hidden, cell, initial_hidden, initial_cell, recall
        )
        packed = pack(kind, weights)
        sequence = tape.sequence(kind, packed, scratch(rows, units + inputs), keep)
        compiled().recurrent_forward(library.level(), ctypes.byref(sequence))
        if keep:
            keep_tape(ctx, kind, weights, pack_back(kind, weights, ctx.needs_input_grad[1]), tape)
        return output[..., : weights.hidden]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_output: Tensor) -> tuple[Tensor | None, ...]:
        found = backward(ctx, by_output, with_x=ctx.needs_input_grad[1], with_recall=ctx.needs_input_grad[7])
        return (None, found.x, None, *found.states, found.recall, *found.parameters)


def recorded(kind: Kind, weights: Weights, packed: Tensor, tape: Tape, initial: Tensor) -> Tensor:
    """Outputs [T, B, H] of steps that were made one by one, attached to the layer's parameters.

    Args:
        kind: of the layer.
        weights: those that the steps were made with.
        packed: the same, by `pack_back`.
        tape: what the steps kept.
        initial: [components, 1, H] what episodes start from.
    """
    attached: Tensor = _Recorded.apply(  # type: ignore[no-untyped-call]
        kind, packed, tape, initial, weights.w_input, weights.w_hidden, weights.b_input, weights.b_hidden
    )
    return attached


class _Recorded(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, kind: Kind, packed: Tensor, tape: Tape, *parameters: Tensor) -> Tensor:
        weights = Weights(*parameters[1:])
        keep_tape(ctx, kind, weights, packed, tape)
        return tape.output[..., : weights.hidden]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_output: Tensor) -> tuple[Tensor | None, ...]:
        found = backward(ctx, by_output, with_x=False, with_recall=False)
        by_initial = [component for component in found.states[2:] if component is not None]
        return (None, None, None, torch.stack(by_initial).unsqueeze(1), *found.parameters)


class Gradients(NamedTuple):
    """Of an unroll."""

    x: Tensor | None
    states: tuple[Tensor | None, ...]
    """Of hidden and cell state before the first step, [B, H] each, and after a reset, [H] each."""
    recall: Tensor | None
    parameters: tuple[Tensor | None, ...]
    """Of what `Weights` holds."""


def keep_tape(ctx: Any, kind: Kind, weights: Weights, packed: Tensor, tape: Tape) -> None:
    """For `backward`; `packed` by `pack_back`."""
    ctx.kind, ctx.inputs, ctx.hidden, ctx.biases = kind, weights.inputs, weights.hidden, weights.b_hidden is not None
    ctx.save_for_backward(packed, *tape)


def backward(ctx: Any, by_output: Tensor, with_x: bool, with_recall: bool) -> Gradients:
    """The gradients of an unroll whose tape was kept, from those of its output [T, B, H]."""
    kind, inputs, hidden = ctx.kind, ctx.inputs, ctx.hidden
    packed, *rest = ctx.saved_tensors
    tape = Tape(*rest)
    (steps, rows), units = tape.first.shape, tape.hidden.shape[-1]
    width = units + inputs
    by_output = padded(by_output, units)
    by_weights = torch.empty(width + 1, kind.slots, units)
    by_initial, by_hidden, by_cell = torch.empty(2, units), torch.empty(rows, units), torch.empty(rows, units)
    by_x = torch.empty(steps, rows, padded_size(inputs)) if with_x else None
    by_recall = torch.empty(steps, rows, units) if with_recall else None
    work, joined = scratch(rows, kind.slots * units, CHUNK), scratch(rows, width, CHUNK)
    sequence = tape.sequence(kind, None, joined)
    slopes = library.Backward(
        weights=packed,
        by_output=by_output,
        work=work,
        by_weights=by_weights,
        by_initial=by_initial,
        by_hidden=by_hidden,
        by_cell=by_cell,
        by_x=by_x,
        by_recall=by_recall,
    )
    compiled().recurrent_backward(library.level(), ctypes.byref(sequence), ctypes.byref(slopes))
    from_hidden = slice(kind.from_hidden, kind.from_hidden + kind.blocks)
    from_input = slice(0, kind.blocks)
    turn = -kind.from_hidden  # the GRU's candidate is torch's last block, and the first slot of the inputs
    w_hidden = by_weights[:hidden, from_hidden, :hidden].permute(1, 2, 0).flatten(0, 1)
    w_input = by_weights[units:width, from_input, :hidden].permute(1, 2, 0).roll(turn, 0).flatten(0, 1)
    b_input = by_weights[width, from_input, :hidden].roll(turn, 0).flatten()
    b_hidden = by_weights[width, from_hidden, :hidden].flatten() if ctx.biases else None
    has_cell = kind.has_cell
    return Gradients(
        x=None if by_x is None else by_x[..., :inputs],
        states=(
            by_hidden[:, :hidden],
            by_cell[:, :hidden] if has_cell else None,
            by_initial[0, :hidden],
            by_initial[1, :hidden] if has_cell else None,
        ),
        recall=None if by_recall is None else by_recall[..., :hidden],
        parameters=(w_input, w_hidden, b_input, b_hidden),
    )
