"""What is recorded of a core: the states that it had, and gates from which the next state follows."""

from __future__ import annotations

import pytest
import torch
from numerics import IDENTITY, precision
from prefrontal.models.agent import Agent, AgentSpec, ModelConfig, Seen
from prefrontal.models.dnd import MemoryConfig
from prefrontal.models.internals import output_name
from prefrontal.models.policy import Actions, discrete, make_policy

CORES = {
    "lstm": ModelConfig(learned_initial_state=True),
    "gru": ModelConfig(core="gru", learned_initial_state=True),
    "rnn": ModelConfig(core="rnn"),
    "rgu": ModelConfig(core="rgu", learned_initial_state=True),
    "mlp": ModelConfig(core="mlp", hidden_sizes=(12,)),
    "deep_mlp": ModelConfig(core="mlp", hidden_sizes=(12, 7)),
    "stacked_lstm": ModelConfig(core="stacked_lstm", hidden_sizes=(10, 7), learned_initial_state=True),
    "actor_critic_lstm": ModelConfig(core="actor_critic_lstm", hidden_sizes=(10, 7), learned_initial_state=True),
    "ep_lstm": ModelConfig(core="ep_lstm", learned_initial_state=True),
    "ep_lstm_raw": ModelConfig(core="ep_lstm", memory=MemoryConfig(squash=False)),
    "incremental": ModelConfig(core="ep_lstm", memory=MemoryConfig(reinstate=False)),
}


def played(model, T=23, B=6):
    torch.manual_seed(0)
    agent = Agent(AgentSpec((3,), discrete(2), model))
    with torch.no_grad():
        for parameter in agent.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    first = torch.rand(T, B) < 0.15
    state = tuple(torch.randn_like(component) for component in agent.initial_state(B))
    recall = (torch.randn(T, B, agent.core.recall_size),) if agent.has_memory else ()
    prev_action = torch.where(first, -1, torch.randint(0, 2, (T, B)))
    return (
        agent,
        Seen(torch.randn(T, B, 3), prev_action, torch.where(first, 0.0, torch.rand(T, B)), first, recall),
        state,
    )


def before(agent, found, name, seen, state, component):
    """What a part of the state was before each step: the step before, or the initial state after a reset."""
    initial = agent.initial_state(seen.first.shape[1])[component]
    earlier = torch.cat((state[component][None], found[name][:-1]))
    return torch.where(seen.first[..., None], initial, earlier)


def lstm(agent, found, seen, state, layer="", components=(0, 1)):
    was = before(agent, found, f"cell{layer}", seen, state, components[1])
    cell = found[f"forget_gate{layer}"] * was + found[f"input_gate{layer}"] * found[f"candidate{layer}"]
    if f"reinstatement_gate{layer}" in found:
        cell = cell + found[f"reinstatement_gate{layer}"] * found[f"reinstated{layer}"]
    return {f"cell{layer}": cell, f"hidden{layer}": found[f"output_gate{layer}"] * cell.tanh()}


def gru(agent, found, seen, state):
    was, update = before(agent, found, "hidden", seen, state, 0), found["update_gate"]
    return {"hidden": (1 - update) * found["candidate"] + update * was}


def rgu(agent, found, seen, state):
    def combined(name, component):
        kept = found[f"{name}_keep_gate"] * before(agent, found, name, seen, state, component)
        return (found[f"{name}_input_gate"] * found[f"{name}_drive"] + kept).tanh()

    return {"hidden": combined("hidden", 0), "cell": combined("cell", 1)}


def stacked(agent, found, seen, state):
    first = lstm(agent, found, seen, state, "_1", (0, 1))
    return first | lstm(agent, found, seen, state, "_2", (2, 3))


def actor_critic(agent, found, seen, state):
    first = lstm(agent, found, seen, state, "_1", (0, 1))
    before_it = before(agent, found, "expected", seen, state, 2)
    error = seen.prev_reward[..., None] + agent.core.discount * found["expected"] - before_it
    return first | {"rpe_input": error} | lstm(agent, found, seen, state, "_2", (3, 4))


COMBINED = {
    "lstm": lstm,
    "gru": gru,
    "rgu": rgu,
    "stacked_lstm": stacked,
    "actor_critic_lstm": actor_critic,
    "ep_lstm": lstm,
    "ep_lstm_raw": lstm,
    "incremental": lstm,
}


@pytest.mark.parametrize("name", CORES)
def test_the_output_recorded_is_that_of_the_unroll(name):
    with precision(torch.float64):
        agent, seen, state = played(CORES[name])
        found = agent.internals(seen, state)
        output = found[output_name(agent.core)]
        read = agent.outputs(seen, state)[..., : output.shape[-1]]
        torch.testing.assert_close(output, read, atol=IDENTITY, rtol=0)
        units = {name: agent.core.inner[name] for name in found}
        assert {name: tuple(part.shape) for name, part in found.items()} == {
            name: (*seen.first.shape, size) for name, size in units.items()
        }
        if name != "deep_mlp":
            return
        inner = found["hidden_1"] @ agent.core.layers[2].weight.t() + agent.core.layers[2].bias
        torch.testing.assert_close(inner.tanh(), output, atol=IDENTITY, rtol=0)


@pytest.mark.parametrize("name", COMBINED)
def test_gates_and_candidates_combine_to_the_next_state(name):
    with precision(torch.float64):
        agent, seen, state = played(CORES[name])
        found = agent.internals(seen, state)
        for part, combined in COMBINED[name](agent, found, seen, state).items():
            torch.testing.assert_close(found[part], combined, atol=IDENTITY, rtol=0)
        gates = [part for name, part in found.items() if "_gate" in name]
        assert len(gates) >= 2
        assert all(((part > 0) & (part < 1)).all() for part in gates)


def test_an_agent_to_which_nothing_is_reinstated_has_no_such_gate():
    found = {
        name: set(agent.internals(seen, state))
        for name, (agent, seen, state) in {name: played(CORES[name]) for name in ("incremental", "ep_lstm")}.items()
    }
    assert found["ep_lstm"] - found["incremental"] == {"reinstatement_gate", "reinstated"}


def test_policies_are_described_by_what_they_are():
    torch.manual_seed(1)
    choices = make_policy(Actions("multi_discrete", (2, 3)), 4)
    shares = choices.described(torch.randn(5, 5))["policy"]
    torch.testing.assert_close(shares[:, :2].sum(1), torch.ones(5))
    torch.testing.assert_close(shares[:, 2:].sum(1), torch.ones(5))
    box = make_policy(Actions("box", (2,)), 4)
    parameters, drawn = torch.randn(1, 4), torch.randn(1, 2)
    told = box.described(parameters)
    normal = torch.distributions.Normal(told["policy_mean"], told["policy_sd"])
    torch.testing.assert_close(normal.log_prob(drawn).sum(-1), box.log_prob(parameters, drawn))
