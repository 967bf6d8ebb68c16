"""Acting: the compiled steps are torch's, and what they keep gives the gradients of a second forward pass."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numerics import IDENTITY, precision, round_off
from prefrontal.models.acting import TorchActing, make_acting
from prefrontal.models.agent import Agent, AgentSpec, ModelConfig, Seen
from prefrontal.models.dnd import MemoryConfig
from prefrontal.models.kernels import library
from prefrontal.models.kernels.acting import CompiledActing
from prefrontal.models.policy import discrete

T, B = 12, 26
LEVELS = (0.0, 0.5, 1.0)
MODELS = {
    "lstm": ModelConfig(),
    "lstm_odd": ModelConfig(hidden_sizes=(5,), learned_initial_state=True),
    "gru": ModelConfig(core="gru", hidden_sizes=(20,), learned_initial_state=True),
    "blind": ModelConfig(see_action=False, see_reward=False),
    "levels": ModelConfig(reward_levels=LEVELS),
    "by_action": ModelConfig(reward_by_action=True, see_action=False),
    "levels_by_action": ModelConfig(core="gru", reward_levels=LEVELS, reward_by_action=True),
    "mlp": ModelConfig(encoder="mlp", encoder_sizes=(9,), encoder_frozen=True),
    "ep_lstm": ModelConfig(core="ep_lstm", hidden_sizes=(20,), learned_initial_state=True),
    "ep_lstm_raw": ModelConfig(core="ep_lstm", hidden_sizes=(16,), memory=MemoryConfig(squash=False)),
    "incremental": ModelConfig(core="ep_lstm", hidden_sizes=(16,), memory=MemoryConfig(reinstate=False)),
}
models = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
compiled = pytest.mark.skipif(library.load() is None, reason="the kernels were not compiled")


@pytest.fixture(params=range(library.level() + 1))
def level(request, monkeypatch):
    """Each level of instructions that this machine has."""
    monkeypatch.setattr(library, "level", lambda: request.param)


def lively(model, seed=0):
    torch.manual_seed(seed)
    agent = Agent(AgentSpec((3,), discrete(3), model, cue_size=4))
    with torch.no_grad():
        for parameter in agent.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return agent


def played(acting, agent, noise, seed=1):
    """An unroll in which the actions are seen: what was seen, the state it began with, and the one after it."""
    torch.manual_seed(seed)
    first = torch.rand(T + 1, B) < 0.15
    seen = Seen(torch.randn(T + 1, B, 3), torch.full((T + 1, B), -1), torch.zeros(T + 1, B), first)
    reward = torch.randint(0, 3, (T, B)) / 2
    state = tuple(torch.randn_like(component) for component in agent.initial_state(B))
    recall = torch.randn(T, B, agent.core.output_size)
    with torch.no_grad():
        acting.begin(seen, noise, state)
        for before, given in zip(acting.state, state, strict=True):
            assert torch.equal(before, given)
        for t in range(T):
            acting.step(t, (recall[t],) if agent.has_memory else ())
            seen.prev_action[t + 1] = torch.where(first[t + 1], -1, acting.actions[t])
            seen.prev_reward[t + 1] = torch.where(first[t + 1], 0, reward[t])
    done = Seen(*(buffer[:T] for buffer in seen[:4]), (recall,) if agent.has_memory else ())
    return done, state, [component.clone() for component in acting.state]


@compiled
@models
@pytest.mark.parametrize("keep", [False, True])
def test_compiled_steps_are_those_of_torch(model, keep, level):
    agent = lively(model)
    noise = agent.policy.noise((T, B), torch.Generator().manual_seed(2))
    acting = CompiledActing(agent, keep)
    seen, state, after = played(acting, agent, noise)
    assert torch.equal(acting.actions, (acting.policy + noise).argmax(-1))
    with torch.no_grad():
        exact, now = [], state
        for t in range(T):
            output, now = agent.act(seen.at(t), now)
            exact.append(agent.policy(output))
        (bound,) = round_off(agent, lambda moved: [moved.unroll(seen, state)[0]])
        assert (acting.policy - torch.stack(exact)).abs().max() <= bound
        (bound,) = round_off(agent, lambda moved: [moved.outputs(seen, state)])
        assert (after[0] - now[0]).abs().max() <= bound
    assert all(found.shape == component.shape for found, component in zip(after, now, strict=True))
    # The next unroll leaves what the last one ended with.
    kept = [component.clone() for component in acting.state]
    ended = acting.state
    played(acting, agent, noise, seed=3)
    assert all(torch.equal(a, b) for a, b in zip(kept, ended, strict=True))


def gradients(agent, output):
    """Of the sum of squares of logits and values."""
    logits, value = agent.heads(output)
    trained = [p for p in agent.parameters() if p.requires_grad]
    return torch.autograd.grad(logits.square().sum() + value.square().sum(), trained)


@compiled
@models
def test_gradients_of_what_was_kept_are_those_of_a_second_pass(model, level):
    agent = lively(model)
    acting = CompiledActing(agent, keep=True)
    seen, state, _ = played(acting, agent, agent.policy.noise((T, B), None, greedy=True))
    found = gradients(agent, acting.outputs())

    def second_pass(agent):
        return gradients(agent, agent.outputs(seen, state))

    bounds = round_off(agent, second_pass)
    for one, other, bound in zip(found, second_pass(agent), bounds, strict=True):
        assert (one - other).abs().max() <= bound


@models
def test_torch_keeps_the_same(model):
    with precision(torch.float64):
        agent = lively(model)
        acting = make_acting(agent, keep=True)
        assert isinstance(acting, TorchActing)
        seen, state, _ = played(acting, agent, agent.policy.noise((T, B), None, greedy=True))
        pairs = zip(gradients(agent, acting.outputs()), gradients(agent, agent.outputs(seen, state)), strict=True)
        assert all((one - other).abs().max() <= IDENTITY for one, other in pairs)


@compiled
@pytest.mark.parametrize("where", ["obs", "noise"])
def test_a_number_that_is_none_stays_visible(where, level):
    agent = lively(ModelConfig())
    acting = CompiledActing(agent)
    noise = torch.zeros(2, 2, 3)
    seen = Seen(torch.zeros(3, 2, 3), torch.zeros(3, 2).long(), torch.zeros(3, 2), torch.zeros(3, 2) > 0)
    (seen.obs if where == "obs" else noise)[0, 1, 2] = torch.nan
    acting.begin(seen, noise, agent.initial_state(2))
    acting.step(0)
    assert acting.policy[0].isnan().tolist() == [[False] * 3, [where == "obs"] * 3]
    assert ((acting.actions[0] >= 0) & (acting.actions[0] < 3)).all()


@compiled
@pytest.mark.parametrize(
    ("model", "settings", "expected"),
    [
        (ModelConfig(), {}, CompiledActing),
        (ModelConfig(kernel="torch"), {}, TorchActing),
        (ModelConfig(), {"bf16": True}, TorchActing),
        (ModelConfig(core="stacked_lstm", hidden_sizes=(8, 8)), {}, TorchActing),
        (ModelConfig(encoder="mlp", encoder_sizes=(8,)), {}, CompiledActing),
        (ModelConfig(encoder="mlp", encoder_sizes=(8,)), {"keep": True}, TorchActing),
        (ModelConfig(layer_norm=True), {"keep": True}, TorchActing),
        (ModelConfig(encoder="mlp", encoder_sizes=(8,), encoder_frozen=True), {"keep": True}, CompiledActing),
        (ModelConfig(core="ep_lstm", memory=MemoryConfig(neighbours=2, key_size=3)), {}, CompiledActing),
        (ModelConfig(core="ep_lstm", memory=MemoryConfig(neighbours=2, key_size=3)), {"keep": True}, TorchActing),
    ],
)
def test_who_makes_the_steps(model, settings, expected):
    assert type(make_acting(lively(model), **settings)) is expected


@compiled
def test_whole_pictures_of_bytes_go_through_the_encoder():
    """What is not float32 is no input of the kernels, with or without an encoder."""
    agent = Agent(AgentSpec((2, 2), discrete(2), ModelConfig(hidden_sizes=(6,))))
    acting = CompiledActing(agent)
    obs = torch.from_numpy(np.arange(24, dtype=np.uint8).reshape(2, 3, 2, 2))
    seen = Seen(obs, torch.full((2, 3), -1), torch.zeros(2, 3), torch.ones(2, 3) > 0)
    acting.begin(seen, torch.zeros(1, 3, 2), agent.initial_state(3))
    acting.step(0)
    with torch.no_grad():
        output, _ = agent.act(seen.at(0), agent.initial_state(3))
        (bound,) = round_off(agent, lambda moved: [moved.policy(moved.act(seen.at(0), agent.initial_state(3))[0])])
        assert (acting.policy[0] - agent.policy(output)).abs().max() <= bound
