"""The kinds of layers that are compiled, and one layer's weights in the order in which the loops read them."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from . import library

PAD = 16
"""Hidden sizes are padded with zeros to a multiple of this (`recurrent.cpp`, as the next two)."""
BLOCK, CHUNK = 24, 4


@dataclass(frozen=True)
class Kind:
    """Of `cells.h`."""

    place: int
    blocks: int
    """Blocks of weights, each of the hidden size."""
    slots: int
    """Sums of products; the GRU's candidate has two."""
    tape: int
    """Blocks of numbers that a step keeps for the backward pass."""
    from_hidden: int
    """First slot that the hidden state goes into; the inputs go into those from 0 on."""
    has_cell: bool


KINDS = {
    "lstm": Kind(0, blocks=4, slots=4, tape=4, from_hidden=0, has_cell=True),
    "gru": Kind(1, blocks=3, slots=4, tape=4, from_hidden=1, has_cell=False),
    "ep_lstm": Kind(2, blocks=5, slots=5, tape=5, from_hidden=0, has_cell=True),
}


@dataclass(frozen=True)
class Weights:
    """A layer's parameters in torch's layout: [blocks * H, F], [blocks * H, H] and [blocks * H] each."""

    w_input: Tensor
    w_hidden: Tensor
    b_input: Tensor
    b_hidden: Tensor | None

    @property
    def inputs(self) -> int:
        """F."""
        return self.w_input.shape[1]

    @property
    def hidden(self) -> int:
        """H."""
        return self.w_hidden.shape[1]

    def struct(self) -> library.Parameters:
        """For a call."""
        return library.Parameters(
            inputs=self.inputs,
            hidden=self.hidden,
            units=padded_size(self.hidden),
            w_input=self.w_input,
            w_hidden=self.w_hidden,
            b_input=self.b_input,
            b_hidden=self.b_hidden,
        )


def padded_size(size: int) -> int:
    """The next multiple of PAD."""
    return -(-size // PAD) * PAD


def padded(tensor: Tensor, size: int) -> Tensor:
    """[..., H] with zeros up to `size`, contiguous; the tensor itself where it is so."""
    missing = size - tensor.shape[-1]
    return F.pad(tensor, (0, missing)) if missing else tensor.contiguous()


def pack(kind: Kind, weights: Weights) -> Tensor:
    """For steps and for unrolls."""
    units = padded_size(weights.hidden)
    packed = torch.empty(kind.blocks * units * (units + weights.inputs) + kind.slots * units)
    compiled().recurrent_pack(library.level(), kind.place, ctypes.byref(weights.struct()), packed.data_ptr())
    return packed


def pack_back(kind: Kind, weights: Weights, by_x: bool) -> Tensor:
    """For the backward pass; `by_x`: with the gradient of the inputs."""
    units = padded_size(weights.hidden)
    columns = padded_size(weights.inputs) if by_x else 0
    packed = torch.empty(kind.blocks * units * (units + columns))
    parameters = weights.struct()
    compiled().recurrent_pack_back(library.level(), kind.place, ctypes.byref(parameters), columns, packed.data_ptr())
    return packed


def compiled() -> ctypes.CDLL:
    """The library, where somebody has chosen it already."""
    found = library.load()
    if found is None:
        raise library.KernelError("the compiled kernels were called where there are none")
    return found
