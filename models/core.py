"""The protocol of a recurrent core, and the recurrent layer that the cores are made of.

A core has two faces that give the same numbers: `step` for acting (one time step, B episodes) and `unroll` for
learning (T steps at once, resets inside allowed). Resets are the core's business in `unroll` and the agent's in
acting, both through `reset`: where `first` is True the state is replaced by the initial state before the step.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .kernels import unroll as kernel
from .kernels.layers import KINDS, Weights
from .segments import segments_of

State = tuple[Tensor, ...]
"""Recurrent state: one [B, H] tensor a component (hidden and cell state for an LSTM)."""


HIDDEN = "hidden"
"""In `Core.inner`: the activity of units as the heads, layers above and the next step get it."""

GATE = "_gate"
"""How names of gates end in `Core.inner`: values in 0..1, a gate a unit."""

Hook = Callable[[str, Tensor], Tensor]
"""Looks into a step, and may change it: is shown each of `Core.inner` by name, [B, H]; gives what the step goes on
with."""


def _as_it_is(name: str, value: Tensor) -> Tensor:  # noqa: ARG001
    """The hook that changes nothing."""
    return value


class Inputs(NamedTuple):
    """What a core gets at each step; leading axes are [T, B] in `unroll` and [B] in `step`."""

    features: Tensor
    """[..., F] the encoded observation."""
    prev_action: Tensor
    """[..., A] one-hot, zero at the first step of an episode; A = 0 if the agent is blind to it."""
    prev_reward: Tensor
    """[..., 1], zero at the first step of an episode; width 0 if the agent is blind to it."""
    recall: Tensor
    """[..., H] what an episodic memory returned; width 0 if the agent has none."""

    def joined(self) -> Tensor:
        """[..., F + A + 1] what comes from outside (without the memory) side by side."""
        return torch.cat((self.features, self.prev_action, self.prev_reward), dim=-1)


class InputSizes(NamedTuple):
    """Widths of what `Inputs.joined` joins."""

    features: int
    prev_action: int
    prev_reward: int


class Core(nn.Module, ABC):
    """What an agent needs of a recurrent core. `output_size` is the width that the heads read."""

    output_size: int
    gives_value: bool = False
    """The last column of the output is the value, which the core finds itself; the policy reads the others."""
    recall_size: int = 0
    """H of an episodic memory's values; 0 for a core that has no use for one."""

    @property
    def inner(self) -> dict[str, int]:
        """What `step_through` shows, by name, with the number of units H that have one.

        `HIDDEN` for certain, gates with names that end in `GATE`; all of several layers ends in `_1`, `_2`, ...
        """
        return {HIDDEN: self.output_size}

    @abstractmethod
    def initial_state(self, batch_size: int) -> State:
        """State at the start of an episode, for B episodes."""

    @abstractmethod
    def step(self, inputs: Inputs, state: State) -> tuple[Tensor, State]:
        """One step: output [B, H] and the next state."""

    def step_through(self, inputs: Inputs, state: State, hook: Hook) -> tuple[Tensor, State]:
        """`step` with its inside open: `hook` is shown what is in `inner`, each before it acts on anything.

        Here of a core that has no more to show than its output, which its state may hold.
        """
        output, state = self.step(inputs, state)
        hidden = hook(HIDDEN, output)
        return hidden, tuple(hidden if component is output else component for component in state)

    @abstractmethod
    def unroll(self, inputs: Inputs, first: Tensor, state: State) -> Tensor:
        """T steps from `state`, reset where `first` [T, B] is True: outputs [T, B, H]."""

    def run(self, inputs: Inputs, state: State) -> tuple[Tensor, State]:
        """T steps without resets, [T, B, H], and the state after them; by operations that `torch.func` transforms."""
        outputs = []
        for step in zip(*(part.unbind() for part in inputs), strict=True):
            output, state = self.step_through(Inputs(*step), state, _as_it_is)
            outputs.append(output)
        return torch.stack(outputs), state

    def remembered(self, state: State) -> Tensor:
        """What an episodic memory stores of `state`, [B, recall_size] (only of a core that has use for one)."""
        raise NotImplementedError(f"{type(self).__name__} has no use for an episodic memory")

    def reinstatement_gate(self, inputs: Inputs, first: Tensor, state: State, output: Tensor) -> Tensor:
        """How far it let in what was recalled, [T, B, recall_size] in 0..1, in an unroll that gave `output`."""
        raise NotImplementedError(f"{type(self).__name__} has no use for an episodic memory")

    def reset(self, state: State, first: Tensor) -> State:
        """`state` with the rows of `first` [B] replaced by the initial state."""
        initial = self.initial_state(first.shape[0])
        return tuple(torch.where(first[:, None], new, old) for new, old in zip(initial, state, strict=True))


class RecurrentLayer(nn.Module):
    """One LSTM, GRU or tanh layer: unrolls by the compiled kernels, or by `torch.nn`'s (oneDNN, cuDNN on a GPU).

    Args:
        kind: "lstm", "gru" or "rnn" (Elman 1990: h' = tanh(W x + U h + b)).
        input_size: width of the input.
        hidden_size: units H.
        learned_initial_state: train the state that episodes start from (Wang et al. 2018); else it is zero.
        compiled: use the compiled kernels (`models.kernels`) for what they can compute.

    Raises:
        ValueError: for another kind.
    """

    MODULES: ClassVar = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}
    INNER: ClassVar[dict[str, tuple[str, ...]]] = {
        "lstm": ("input_gate", "forget_gate", "candidate", "output_gate", "cell", HIDDEN),
        "gru": ("reset_gate", "update_gate", "candidate", HIDDEN),
        "rnn": (HIDDEN,),
    }

    def __init__(
        self, kind: str, input_size: int, hidden_size: int, learned_initial_state: bool, compiled: bool = False
    ) -> None:
        super().__init__()
        if kind not in self.MODULES:
            raise ValueError(f"there is no recurrent layer '{kind}'; choose one of: {', '.join(self.MODULES)}")
        self.rnn: nn.LSTM | nn.GRU | nn.RNN = self.MODULES[kind](input_size, hidden_size)
        self.kind, self.compiled = kind, compiled and kind in KINDS
        self.components = 2 if kind == "lstm" else 1
        with torch.no_grad():
            _, w_hidden, _, b_hidden = self.rnn.parameters()
            # Gate by gate: each gate's block keeps the length of what it is given. Over the gates stacked it would be
            # the whole that does, and a gate alone would start with half the gain.
            for block in w_hidden.chunk(len(w_hidden) // hidden_size):
                nn.init.orthogonal_(block)
            if kind == "lstm":
                # Start by remembering: the forget gate (second of four) is biased open (Jozefowicz et al. 2015).
                b_hidden[hidden_size : 2 * hidden_size].fill_(1.0)
        self.initial = nn.Parameter(torch.zeros(self.components, 1, hidden_size), requires_grad=learned_initial_state)

    def initial_state(self, batch_size: int) -> State:
        """State at the start of an episode, each component [B, H]."""
        return tuple(self.initial.expand(-1, batch_size, -1).unbind(0))

    def weights(self) -> Weights:
        """The parameters, as the compiled kernels want them."""
        return Weights(*self.rnn.parameters())

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """One step on x [B, F]: the new hidden state [B, H] and the whole new state."""
        w_input, w_hidden, b_input, b_hidden = self.rnn.parameters()
        if self.components == 2:
            hidden, cell = torch.lstm_cell(x, state, w_input, w_hidden, b_input, b_hidden)
            return hidden, (hidden, cell)
        advance = torch.gru_cell if self.kind == "gru" else torch.rnn_tanh_cell
        hidden = advance(x, state[0], w_input, w_hidden, b_input, b_hidden)
        return hidden, (hidden,)

    @property
    def inner(self) -> dict[str, int]:
        """See `Core.inner`."""
        return dict.fromkeys(self.INNER[self.kind], self.rnn.hidden_size)

    def step_through(self, x: Tensor, state: State, hook: Hook) -> tuple[Tensor, State]:
        """`step` as `Core.step_through`, in the order of torch's operations.

        LSTM: c' = f * c + i * g, h' = o * tanh(c') with the candidate g. GRU: g = tanh(W x + b + r * (U h + d)),
        h' = (1 - z) * g + z * h with the gates r, "reset", and z, "update".
        """
        w_input, _, b_input, _ = self.rnn.parameters()
        return self._advance(F.linear(x, w_input, b_input), state, hook)

    def _advance(self, entering: Tensor, state: State, hook: Hook) -> tuple[Tensor, State]:
        """`step_through` from what of the inputs enters, [B, n H]."""
        hidden = state[0]
        _, w_hidden, _, b_hidden = self.rnn.parameters()
        recurrent = F.linear(hidden, w_hidden, b_hidden)
        if self.kind == "rnn":
            hidden = hook(HIDDEN, (recurrent + entering).tanh())
            return hidden, (hidden,)
        if self.kind == "lstm":
            i, f, g, o = (recurrent + entering).chunk(4, dim=1)
            i, f = hook("input_gate", i.sigmoid()), hook("forget_gate", f.sigmoid())
            g, o = hook("candidate", g.tanh()), hook("output_gate", o.sigmoid())
            cell = hook("cell", f * state[1] + i * g)
            hidden = hook(HIDDEN, o * cell.tanh())
            return hidden, (hidden, cell)
        r, z, _ = (recurrent + entering).chunk(3, dim=1)
        r, z = hook("reset_gate", r.sigmoid()), hook("update_gate", z.sigmoid())
        g = hook("candidate", (entering.chunk(3, dim=1)[2] + recurrent.chunk(3, dim=1)[2] * r).tanh())
        hidden = hook(HIDDEN, (hidden - g) * z + g)
        return hidden, (hidden,)

    def run(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """See `Core.run`: T steps on x [T, B, F], what enters computed at once."""
        w_input, _, b_input, _ = self.rnn.parameters()
        outputs = []
        for entering in F.linear(x, w_input, b_input).unbind():
            output, state = self._advance(entering, state, _as_it_is)
            outputs.append(output)
        return torch.stack(outputs), state

    def unroll(self, x: Tensor, first: Tensor, state: State) -> Tensor:
        """T steps on x [T, B, F] with resets where `first` [T, B]: hidden states [T, B, H].

        The compiled kernels reset inside. Without resets after t = 0 it is one call of torch's kernel. Otherwise the
        stretches between resets become rows of a few batches (stretches of similar length together), each one call.
        """
        if self.compiled and kernel.usable(x, *state, self.initial):
            return kernel.unroll(self.kind, x, first, state, self.initial, self.weights())
        start = tuple(
            torch.where(first[0][:, None], new, old)
            for new, old in zip(self.initial_state(x.shape[1]), state, strict=True)
        )
        segments = segments_of(first)
        if segments is None:
            return self._run(x, start)
        flat = x.flatten(0, 1)
        outputs = []
        for bucket in segments.buckets:
            fresh = self.initial_state(len(bucket.rows))
            begin = tuple(
                torch.where(bucket.carried[:, None], old[bucket.rows], new)
                for new, old in zip(fresh, start, strict=True)
            )
            stretch = flat.index_select(0, bucket.gather.flatten()).unflatten(0, bucket.gather.shape)
            outputs.append(self._run(stretch, begin).flatten(0, 1))
        result: Tensor = torch.cat(outputs).index_select(0, segments.scatter).unflatten(0, first.shape)
        return result

    def _run(self, x: Tensor, state: State) -> Tensor:
        hidden = tuple(component.unsqueeze(0).contiguous() for component in state)
        start = hidden if self.components == 2 else hidden[0]
        output: Tensor
        if x.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
            # oneDNN's recurrences in bfloat16 exist on some CPUs only; on the others they are an error.
            with torch.autocast("cpu", enabled=False):
                output = self.rnn(x.to(hidden[0].dtype), start)[0]
        else:
            output = self.rnn(x, start)[0]
        return output


def inner_by_layer(*layers: RecurrentLayer) -> dict[str, int]:
    """`Core.inner` of layers 1, 2, ..., by names that end in their number."""
    return {f"{name}_{i}": units for i, layer in enumerate(layers, 1) for name, units in layer.inner.items()}


def of_layer(hook: Hook, number: int) -> Hook:
    """The hook of one layer of several, by the names of `inner_by_layer`."""
    return lambda name, value: hook(f"{name}_{number}", value)
