"""A core's step with its inside open: the same numbers, and gates that are replaced act as the formulas say."""

from __future__ import annotations

import pytest
import torch
from numerics import IDENTITY, precision
from prefrontal.models.core import GATE, Inputs, InputSizes
from prefrontal.models.cores import make_core
from prefrontal.models.internals import output_name
from prefrontal.models.settings import ModelConfig

B = 7
CORES = {
    "lstm": (11,),
    "gru": (11,),
    "rnn": (11,),
    "rgu": (11,),
    "mlp": (11, 6),
    "stacked_lstm": (11, 6),
    "actor_critic_lstm": (11, 6),
    "ep_lstm": (11,),
}


def core_and_inputs(name, sizes=None):
    torch.manual_seed(0)
    core = make_core(InputSizes(3, 2, 1), ModelConfig(core=name, hidden_sizes=sizes or CORES[name]))
    with torch.no_grad():
        for parameter in core.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    state = tuple(torch.randn_like(component) for component in core.initial_state(B))
    inputs = Inputs(torch.randn(B, 3), torch.randn(B, 2), torch.randn(B, 1), torch.randn(B, core.recall_size))
    return core, inputs, state


def step(core, inputs, state, **replaced):
    """A step with some of its inner values replaced: output, state, and all that was shown."""
    shown = {}

    def hook(name, value):
        assert name not in shown
        shown[name] = torch.full_like(value, replaced[name]) if name in replaced else value
        return shown[name]

    return *core.step_through(inputs, state, hook), shown


@pytest.mark.parametrize("name", CORES)
def test_an_open_step_is_the_step(name):
    with precision(torch.float64), torch.no_grad():
        core, inputs, state = core_and_inputs(name)
        output, after = core.step(inputs, state)
        opened, opened_after, shown = step(core, inputs, state)
        assert (output - opened).abs().max() <= IDENTITY
        assert all((one - other).abs().max() <= IDENTITY for one, other in zip(after, opened_after, strict=True))
        assert {name: value.shape[1] for name, value in shown.items()} == core.inner
        assert all(((value > 0) & (value < 1)).all() for name, value in shown.items() if GATE in name)
        assert torch.equal(opened[:, : core.inner[output_name(core)]], shown[output_name(core)])
        kept = {value.data_ptr() for value in shown.values()}
        assert all(component.data_ptr() in kept for component in opened_after)


@pytest.mark.parametrize("name", CORES)
def test_hidden_units_are_what_is_put_there(name):
    core, inputs, state = core_and_inputs(name)
    output, after, _ = step(core, inputs, state, **{output_name(core): 0.25})
    assert (output[:, : core.inner[output_name(core)]] == 0.25).all()
    assert name == "mlp" or any((component == 0.25).all() for component in after)


def sigmoid_parts(core, inputs, state):
    """What goes into the gates of an LSTM or a GRU: of the inputs, and of the hidden state."""
    w_input, w_hidden, b_input, b_hidden = core.layer.rnn.parameters()
    return inputs.joined() @ w_input.T + b_input, state[0] @ w_hidden.T + b_hidden


def test_gates_of_an_lstm_act_as_its_formula_says():
    """c' = f c + i g, h' = o tanh(c')."""
    with precision(torch.float64), torch.no_grad():
        core, inputs, state = core_and_inputs("lstm")
        i, f, g, o = sum(sigmoid_parts(core, inputs, state)).chunk(4, 1)
        for name, values in {
            "forget_gate": (i.sigmoid(), 0.3, o.sigmoid()),
            "input_gate": (0.3, f.sigmoid(), o.sigmoid()),
            "output_gate": (i.sigmoid(), f.sigmoid(), 0.3),
        }.items():
            let_in, kept, out = values
            output, (hidden, cell), _ = step(core, inputs, state, **{name: 0.3})
            expected = kept * state[1] + let_in * g.tanh()
            assert (cell - expected).abs().max() <= IDENTITY
            assert (output - out * expected.tanh()).abs().max() <= IDENTITY
            assert hidden is output


def test_gates_of_a_gru_act_as_its_formula_says():
    """n = tanh(x_n + r h_n), h' = (1 - z) n + z h."""
    with precision(torch.float64), torch.no_grad():
        core, inputs, state = core_and_inputs("gru")
        (x_r, x_z, x_n), (h_r, h_z, h_n) = (part.chunk(3, 1) for part in sigmoid_parts(core, inputs, state))
        for name, (r, z) in {
            "reset_gate": (0.3, (x_z + h_z).sigmoid()),
            "update_gate": ((x_r + h_r).sigmoid(), 0.3),
        }.items():
            n = (x_n + r * h_n).tanh()
            output, _, _ = step(core, inputs, state, **{name: 0.3})
            assert (output - ((1 - z) * n + z * state[0])).abs().max() <= IDENTITY


def test_the_reinstatement_gate_acts_as_its_formula_says():
    """c' = f c + i g + r tanh(m)."""
    with precision(torch.float64), torch.no_grad():
        core, inputs, state = core_and_inputs("ep_lstm")
        _, (_, closed), _ = step(core, inputs, state, reinstatement_gate=0.0)
        _, (_, cell), _ = step(core, inputs, state, reinstatement_gate=0.3)
        assert (cell - closed - 0.3 * inputs.recall.tanh()).abs().max() <= IDENTITY
        without = core.step(inputs._replace(recall=inputs.recall[:, :0]), state)[1][1]
        assert (closed - without).abs().max() <= IDENTITY


@pytest.mark.parametrize(("name", "place"), [("hidden", 0), ("cell", 1)])
def test_gates_of_a_reciprocally_gated_unit_act_as_its_formula_says(name, place):
    """s' = tanh(input gate * drive + keep gate * s)."""
    with precision(torch.float64), torch.no_grad():
        core, inputs, state = core_and_inputs("rgu")
        _, after, shown = step(core, inputs, state, **{f"{name}_keep_gate": 0.3, f"{name}_input_gate": 0.6})
        expected = torch.tanh(0.6 * shown[f"{name}_drive"] + 0.3 * state[place])
        assert (after[place] - expected).abs().max() <= IDENTITY


def test_layers_above_see_what_is_put_below():
    core, inputs, state = core_and_inputs("stacked_lstm")
    low, _, _ = step(core, inputs, state, hidden_1=0.0)
    high, _, shown = step(core, inputs, state, hidden_1=1.0)
    assert not torch.equal(low, high)
    assert (shown["hidden_1"] == 1).all()
