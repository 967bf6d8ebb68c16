"""The compiled kernels: torch's numbers at every level of instructions, and everything works without them."""

from __future__ import annotations

import copy
import tomllib
from pathlib import Path

import pytest
import torch
from numerics import precision, round_off
from prefrontal.models.agent import Agent, AgentSpec, ModelConfig, Seen, describe_difference
from prefrontal.models.core import Inputs, InputSizes, RecurrentLayer
from prefrontal.models.ep_lstm import GATES, EpLSTM
from prefrontal.models.kernels import library, unroll
from prefrontal.models.policy import discrete
from torch import Tensor, nn

ROOT = Path(__file__).parents[2]
compiled = pytest.mark.skipif(library.load() is None, reason="the kernels were not compiled")
SHAPES = [(1, 1, 1, 1), (7, 3, 5, 5), (30, 5, 6, 48), (18, 29, 20, 100), (9, 50, 40, 256)]
"""T, B, F and H."""


@pytest.fixture(params=range(library.level() + 1))
def level(request, monkeypatch):
    """Each level of instructions that this machine has."""
    monkeypatch.setattr(library, "level", lambda: request.param)


class Played(nn.Module):
    """An unroll of one layer: its outputs and all of its gradients, of inputs, states and parameters."""

    def __init__(self, kind: str, T: int, B: int, F: int, H: int, recalls: bool = True) -> None:
        super().__init__()
        torch.manual_seed(T + B)
        if kind == "ep_lstm":
            self.layer: nn.Module = EpLSTM(InputSizes(F, 0, 0), H, True, squash=True, compiled=True)
        else:
            self.layer = RecurrentLayer(kind, F, H, True, compiled=True)
        components = 1 if kind == "gru" else 2
        with torch.no_grad():
            for parameter in self.layer.parameters():
                parameter.add_(0.2 * torch.randn_like(parameter))
        recall = [torch.randn(T, B, H)] if kind == "ep_lstm" and recalls else []
        self.given = [torch.randn(T, B, F), *(torch.randn(B, H) for _ in range(components)), *recall]
        self.first = torch.rand(T, B) < 0.15
        self.pull = torch.randn(T, B, H)
        self.components = components

    def outputs(self, given: list[Tensor]) -> Tensor:
        x, state, recall = given[0], tuple(given[1 : 1 + self.components]), given[1 + self.components :]
        if isinstance(self.layer, RecurrentLayer):
            return self.layer.unroll(x, self.first, state)
        inputs = Inputs(x, x[..., :0], x[..., :0], recall[0] if recall else x[..., :0])
        return self.layer.unroll(inputs, self.first, state)

    def everything(self) -> list[Tensor]:
        dtype = next(self.parameters()).dtype
        given = [tensor.to(dtype).requires_grad_() for tensor in self.given]
        output = self.outputs(given)
        found = torch.autograd.grad((output * self.pull.to(dtype)).sum(), [*given, *self.parameters()])
        return [output, *found]


@compiled
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kind", ["lstm", "gru", "ep_lstm"])
def test_outputs_and_gradients_are_those_of_torch_in_double(kind, shape, level, monkeypatch):
    played = Played(kind, *shape)
    bounds = round_off(played, Played.everything)
    with precision(torch.float64):
        exact = copy.deepcopy(played).double().everything()
    calls = []
    monkeypatch.setattr(unroll, "compiled", lambda: calls.append(1) or library.load())
    for found, right, bound in zip(played.everything(), exact, bounds, strict=True):
        assert found.dtype == torch.float32
        assert (found - right).abs().max() <= bound
    assert len(calls) == 2, "forwards and backwards"


@compiled
@pytest.mark.parametrize("kind", ["lstm", "gru", "ep_lstm"])
def test_outputs_do_not_depend_on_what_is_asked_for_nor_on_the_rows_beside(kind, level):
    played = Played(kind, 12, 31, 6, 20)
    with torch.no_grad():
        alone = played.outputs(played.given)
    assert torch.equal(alone, played.everything()[0])
    played.given = [tensor[:, 7:8] if tensor.dim() == 3 else tensor[7:8] for tensor in played.given]
    played.first = played.first[:, 7:8]
    assert (played.outputs(played.given) - alone[:, 7:8]).abs().max() <= 2**-20


@compiled
@pytest.mark.parametrize("kind", ["lstm", "gru", "ep_lstm"])
def test_a_number_that_is_none_stays_visible(kind, level):
    """From its step on in its row, until the row is reset; nowhere else; and in the gradients."""
    played = Played(kind, 10, 5, 3, 20)
    played.first = torch.zeros(10, 5, dtype=torch.bool)
    played.first[7] = True
    played.given[0][4, 2, 1] = torch.nan
    output, *gradients = played.everything()
    expected = torch.zeros(10, 5, dtype=torch.bool)
    expected[4:7, 2] = True
    assert torch.equal(output.isnan().all(-1), expected)
    assert torch.equal(output.isnan().any(-1), expected)
    parameters = dict(zip([name for name, _ in played.named_parameters()], gradients[len(played.given) :], strict=True))
    assert all(gradient.isnan().any() for name, gradient in parameters.items() if "initial" not in name)


@compiled
@pytest.mark.parametrize("size", [-1e30, -200.0, -90.0, -40.0, 40.0, 200.0, 1e30])
@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_saturated_gates_are_what_torch_says(kind, size, level):
    played = Played(kind, 4, 3, 2, 7)
    played.given[0] *= size
    with torch.no_grad():
        found = played.outputs(played.given)
        played.layer.compiled = False
        assert (found - played.outputs(played.given)).abs().max() <= 2**-20


@compiled
def test_a_closed_gate_lets_nothing_in(level):
    """A gate whose sigmoid is 0 in float32: exactly what the agent does without a memory's recall."""
    torch.manual_seed(0)
    agent = Agent(AgentSpec((3,), discrete(2), ModelConfig(core="ep_lstm", hidden_sizes=(20,)), cue_size=4))
    rows = torch.arange(20) + GATES.index("reinstatement") * 20
    with torch.no_grad():
        agent.core.bias[rows] = -1e4
    first, action = torch.rand(9, 4) < 0.2, torch.randint(0, 2, (9, 4))
    seen = Seen(torch.randn(9, 4, 3), action, torch.rand(9, 4), first, (torch.randn(9, 4, 20),))
    nothing = seen._replace(recall=(torch.zeros(9, 4, 20),))
    assert torch.equal(agent.outputs(seen, agent.initial_state(4)), agent.outputs(nothing, agent.initial_state(4)))
    agent.outputs(seen, agent.initial_state(4)).sum().backward()
    assert (agent.core.w_hidden.grad[rows] == 0).all()


def test_other_precisions_are_torchs():
    x = torch.zeros(2, 3, 4)
    assert unroll.usable(x)
    assert not unroll.usable(x, x.double())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert not unroll.usable(x)


def test_the_choice_of_kernels_makes_no_other_agent():
    auto, torchs = (AgentSpec((3,), discrete(2), ModelConfig(kernel=kernel)) for kernel in ("auto", "torch"))
    assert describe_difference(auto, torchs) == []
    assert not Agent(torchs).core.layer.compiled


def test_the_extension_is_optional():
    (extension,) = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["ext-modules"]
    assert extension["optional"] is True
    sources = {path.name for path in (ROOT / "models/kernels").iterdir() if path.suffix in (".cpp", ".h")}
    assert {Path(name).name for name in extension["sources"] + extension["depends"]} == sources


def test_without_the_library_torch_computes_and_it_is_said_once(monkeypatch, recwarn):
    monkeypatch.setattr(library, "load", lambda: None)
    library.say_once.cache_clear()
    agents = [Agent(AgentSpec((3,), discrete(2), ModelConfig())) for _ in range(3)]
    assert [str(warning.message) for warning in recwarn].count(library.MISSING) == 1
    seen = Seen(torch.zeros(5, 2, 3), torch.zeros(5, 2).long(), torch.zeros(5, 2), torch.zeros(5, 2) > 0)
    agents[0].unroll(seen, agents[0].initial_state(2))[0].sum().backward()
    with pytest.raises(library.KernelError, match=r"model\.kernel=compiled, but .* C\+\+ compiler"):
        Agent(AgentSpec((3,), discrete(2), ModelConfig(kernel="compiled")))
    Agent(AgentSpec((3,), discrete(2), ModelConfig(kernel="torch")))
    assert len([w for w in recwarn if str(w.message) == library.MISSING]) == 1


@compiled
def test_kernels_of_other_sources_are_refused(monkeypatch):
    """Their structs may be others: a call would write where it must not."""
    library.load.cache_clear()
    monkeypatch.setattr(library, "INTERFACE", library.INTERFACE + 1)
    with pytest.raises(library.KernelError, match=r"was compiled from other sources: install prefrontal again"):
        library.load()
