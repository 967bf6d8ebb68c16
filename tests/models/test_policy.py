"""Policies: log-probabilities, entropies and samples of each kind of actions, by brute force and in closed form."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete
from numerics import IDENTITY, precision
from prefrontal.actors.spaces import actions_of
from prefrontal.models.agent import Agent, AgentSpec, ModelConfig, Seen
from prefrontal.models.policy import Actions, discrete, make_policy

KINDS = {
    "discrete": discrete(5),
    "multi_discrete": Actions("multi_discrete", (2, 4, 3)),
    "box": Actions("box", (3,)),
}
kinds = pytest.mark.parametrize("actions", KINDS.values(), ids=KINDS)
SHAPE = (6, 7)


def made(actions, seed=0):
    """A head with random weights, parameters [6, 7, P] and actions drawn from them."""
    torch.manual_seed(seed)
    policy = make_policy(actions, 8)
    with torch.no_grad():
        for weights in policy.parameters():
            weights.copy_(torch.randn_like(weights))
    parameters = policy(torch.randn(*SHAPE, 8))
    action = torch.empty(*SHAPE, *policy.action_shape, dtype=policy.action_dtype)
    policy.draw(parameters.detach(), policy.noise(SHAPE, None), action)
    return policy, parameters, action


def test_a_categorical_policy_is_that_of_torch():
    with precision(torch.float64):
        policy, logits, action = made(KINDS["discrete"])
        reference = torch.distributions.Categorical(logits=logits)
        logp, entropy = policy.log_prob_and_entropy(logits, action)
        torch.testing.assert_close(logp, reference.log_prob(action))
        torch.testing.assert_close(entropy, reference.entropy())
        torch.testing.assert_close(policy.distribution(logits).log_prob(action), logp)
        assert torch.equal(policy.log_prob(logits, action), logp)
        torch.testing.assert_close(policy.shares(logits), reference.probs)
        certain = torch.tensor([50.0, 0.0, 0.0, 0.0, 0.0])
        assert policy.log_prob_and_entropy(certain, torch.tensor(0))[1].item() == pytest.approx(0, abs=1e-6)


def test_several_choices_are_the_product_of_each():
    """Over all 24 actions: probabilities that add up to 1, and the entropy -sum p log p."""
    with precision(torch.float64):
        policy, logits, action = made(KINDS["multi_discrete"])
        parts = [part.softmax(-1) for part in logits.split((2, 4, 3), -1)]
        table = torch.stack(
            [
                parts[0][..., i] * parts[1][..., j] * parts[2][..., k]
                for i, j, k in itertools.product(range(2), range(4), range(3))
            ]
        )
        logp, entropy = policy.log_prob_and_entropy(logits, action)
        number = action[..., 0] * 12 + action[..., 1] * 3 + action[..., 2]
        torch.testing.assert_close(logp.exp(), table.gather(0, number.unsqueeze(0)).squeeze(0))
        torch.testing.assert_close(entropy, -(table * table.log()).sum(0))
        torch.testing.assert_close(policy.shares(logits), torch.cat(parts, -1))


def test_a_gaussian_policy_has_its_density_and_entropy():
    with precision(torch.float64):
        policy, parameters, action = made(KINDS["box"])
        mean, log_std = parameters.chunk(2, -1)
        assert torch.equal(log_std, policy.log_std.expand_as(mean)), "the same in all states"
        density = torch.exp(-0.5 * ((action - mean) / log_std.exp()) ** 2) / (math.sqrt(2 * math.pi) * log_std.exp())
        logp, entropy = policy.log_prob_and_entropy(parameters, action.double())
        torch.testing.assert_close(logp, density.log().sum(-1), rtol=0, atol=IDENTITY)
        expected = 1.5 * math.log(2 * math.pi * math.e) + policy.log_std.sum()
        torch.testing.assert_close(entropy, expected.expand(SHAPE), rtol=0, atol=IDENTITY)


@kinds
def test_gradients_are_those_of_differences(actions):
    with precision(torch.float64):
        policy, _, action = made(actions)
        inputs = torch.randn(4, 8)
        chosen = action.flatten(0, 1)[:4]

        def both(*weights):
            outputs = torch.func.functional_call(policy, dict(zip(names, weights, strict=True)), (inputs,))
            return policy.log_prob_and_entropy(outputs, chosen)

        names = [name for name, _ in policy.named_parameters()]
        assert torch.autograd.gradcheck(both, [w.detach().requires_grad_() for w in policy.parameters()])


@kinds
def test_samples_follow_the_policy_and_the_mode_is_the_likeliest(actions):
    """Means over 40,000 draws of one state, to four standard errors; and no action is likelier than the greedy one."""
    policy, parameters, _ = made(actions)
    one = parameters[0, 0].detach()
    count = 40_000
    drawn = torch.empty(count, *policy.action_shape, dtype=policy.action_dtype)
    policy.draw(one.expand(count, -1), policy.noise((count,), torch.Generator().manual_seed(1)), drawn)
    found = policy.encode(drawn)
    if actions.kind == "box":
        mean, std = one[:3], one[3:].exp()
        assert ((found.std(0) / std - 1).abs() < 4 / math.sqrt(2 * count)).all()
    else:
        mean = policy.shares(one)
        std = (mean * (1 - mean)).sqrt()
    assert ((found.mean(0) - mean).abs() < 4 * std / math.sqrt(count)).all()
    greedy = torch.empty(1, *policy.action_shape, dtype=policy.action_dtype)
    policy.draw(one[None], policy.noise((1,), None, greedy=True), greedy)
    assert policy.log_prob(one[None], greedy) >= policy.log_prob(one.expand(count, -1), drawn).max()


@kinds
def test_a_previous_action_enters_as_it_should(actions):
    policy, _, action = made(actions)
    encoded = policy.encode(action)
    if actions.kind == "box":
        assert torch.equal(encoded, action)
        return
    sizes = actions.sizes
    columns = action.unbind(-1) if policy.action_shape else [action]
    for part, column, size in zip(encoded.split(sizes, -1), columns, sizes, strict=True):
        assert torch.equal(part, torch.nn.functional.one_hot(column, size).float())
    assert not policy.encode(torch.full_like(action, -1)).any()


@pytest.mark.parametrize("reward_by_action", [False, True])
@kinds
def test_agents_act_and_learn_alike_whatever_the_actions(actions, reward_by_action):
    """Unroll == steps, in float64; the gradient reaches the standard deviation."""
    with precision(torch.float64):
        torch.manual_seed(0)
        agent = Agent(AgentSpec((3,), actions, ModelConfig(hidden_sizes=(9,), reward_by_action=reward_by_action)))
        _, _, action = made(actions)
        first = torch.rand(SHAPE) < 0.3
        seen = Seen(torch.randn(*SHAPE, 3), action, torch.randn(SHAPE), first)
        state = agent.initial_state(7)
        policy, value = agent.unroll(seen, state)
        assert policy.shape == (*SHAPE, agent.policy.num_parameters)
        for t in range(6):
            output, state = agent.act(seen.at(t), state)
            assert (agent.policy(output) - policy[t]).abs().max() <= IDENTITY
            assert (agent.value(output).squeeze(-1) - value[t]).abs().max() <= IDENTITY
        agent.policy.log_prob(policy, action).sum().backward()
        assert all(parameter.grad.abs().sum() > 0 for parameter in agent.policy.parameters())


def test_action_spaces_and_those_that_are_none():
    assert actions_of(Discrete(3)) == discrete(3)
    assert actions_of(MultiDiscrete([2, 5])) == Actions("multi_discrete", (2, 5))
    assert actions_of(MultiDiscrete(np.array([[2, 5], [3, 3]]))) == Actions("multi_discrete", (2, 5, 3, 3))
    assert actions_of(Box(-1, 1, (3, 2))) == Actions("box", (6,))
    for space in (Discrete(3, start=1), MultiBinary(3), Box(0, 255, (3,), np.uint8), Dict({"a": Discrete(2)})):
        with pytest.raises(ValueError, match="no policy acts in"):
            actions_of(space)
