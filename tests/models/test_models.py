"""Networks: acting and learning give the same numbers, wherever episodes start inside an unroll."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numerics import IDENTITY, precision, round_off
from prefrontal.conf.checking import checked
from prefrontal.models.agent import Agent, AgentSpec, ModelConfig, Seen, describe_difference
from prefrontal.models.core import Inputs, InputSizes
from prefrontal.models.dnd import MemoryConfig
from prefrontal.models.flat import load_vector, to_vector
from prefrontal.models.policy import discrete
from prefrontal.models.rgu import RGU
from prefrontal.models.segments import segments_of

MODELS = {
    "lstm": ModelConfig(),
    "lstm_learned_start": ModelConfig(learned_initial_state=True),
    "gru": ModelConfig(core="gru", learned_initial_state=True),
    "rnn": ModelConfig(core="rnn", learned_initial_state=True),
    "rgu": ModelConfig(core="rgu", learned_initial_state=True),
    "rgu_zero_start": ModelConfig(core="rgu", hidden_sizes=(13,)),
    "feed_forward": ModelConfig(core="mlp", hidden_sizes=(12, 7)),
    "without_recurrence": ModelConfig(core="rnn_without_recurrence", hidden_sizes=(12, 7)),
    "stacked": ModelConfig(core="stacked_lstm", hidden_sizes=(24, 16), learned_initial_state=True),
    "actor_critic": ModelConfig(core="actor_critic_lstm", hidden_sizes=(24, 16), learned_initial_state=True),
    "mlp": ModelConfig(encoder="mlp", encoder_sizes=(16, 8)),
    "layer_norm": ModelConfig(layer_norm=True),
    "blind": ModelConfig(see_reward=False, see_action=False),
    "one_hot_reward": ModelConfig(reward_levels=(0.0, 0.5, 1.0)),
    "reward_by_action": ModelConfig(reward_levels=(0.0, 0.5, 1.0), reward_by_action=True),
    "ep_lstm": ModelConfig(core="ep_lstm", learned_initial_state=True),
    "ep_lstm_raw": ModelConfig(core="ep_lstm", memory=MemoryConfig(squash=False)),
    "incremental": ModelConfig(core="ep_lstm", learned_initial_state=True, memory=MemoryConfig(reinstate=False)),
}
models = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS.keys())
both_precisions = pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])


def agent_and_inputs(model, T=40, B=9, resets=0.1, seed=0):
    torch.manual_seed(seed)
    agent = Agent(AgentSpec((3,), discrete(2), model))
    with torch.no_grad():
        for parameter in agent.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    first = torch.rand(T, B) < resets
    prev_action = torch.where(first, -1, torch.randint(0, 2, (T, B)))
    prev_reward = torch.where(first, 0.0, torch.randint(0, 3, (T, B)) / 2)
    state = tuple(torch.randn_like(component) for component in agent.initial_state(B))
    recall = (torch.randn(T, B, agent.core.recall_size),) if agent.has_memory else ()
    return agent, Seen(torch.randn(T, B, 3), prev_action, prev_reward, first, recall), state


def steps_of(seen):
    """What is seen in each step of an unroll."""
    for t, (obs, prev_action, prev_reward, first) in enumerate(zip(*seen[:4], strict=True)):
        yield Seen(obs, prev_action, prev_reward, first, tuple(component[t] for component in seen.recall))


def unrolled(agent, seen, state):
    return agent.unroll(seen, state)


def stepped(agent, seen, state):
    steps = []
    for step in steps_of(seen):
        output, state = agent.act(step, state)
        steps.append(agent.heads(output))
    return tuple(torch.stack(part) for part in zip(*steps, strict=True))


def gradients(agent, play, inputs):
    """Of the sum of squares of logits and values, by every trained parameter that matters."""
    logits, value = play(agent, *inputs)
    trained = [p for p in agent.parameters() if p.requires_grad]
    found = torch.autograd.grad(logits.square().sum() + value.square().sum(), trained, allow_unused=True)
    return [gradient for gradient in found if gradient is not None]


def assert_same(agent, compute_one, compute_other):
    """Two ways to the same tensors, in the precision that the agent has."""
    one, other = compute_one(agent), compute_other(agent)
    in_double = one[0].dtype == torch.float64
    bounds = [IDENTITY] * len(one) if in_double else round_off(agent, compute_other)
    for left, right, bound in zip(one, other, bounds, strict=True):
        assert (left - right).abs().max() <= bound


@both_precisions
@models
@pytest.mark.parametrize("resets", [0.0, 0.03, 0.3, 1.0])
def test_unroll_equals_steps(model, resets, dtype):
    with precision(dtype):
        agent, *inputs = agent_and_inputs(model, resets=resets)
        assert_same(agent, lambda agent: stepped(agent, *inputs), lambda agent: unrolled(agent, *inputs))


@both_precisions
@models
def test_gradients_of_the_unroll_are_those_of_the_steps(model, dtype):
    with precision(dtype):
        agent, *inputs = agent_and_inputs(model, T=12, B=4, resets=0.25)
        assert_same(
            agent,
            lambda agent: gradients(agent, stepped, inputs),
            lambda agent: gradients(agent, unrolled, inputs),
        )
        assert all(gradient.abs().sum() > 0 for gradient in gradients(agent, unrolled, inputs))
    learned = [p for n, p in agent.named_parameters() if n.endswith("initial") and p.requires_grad]
    assert bool(learned) == model.learned_initial_state


@pytest.mark.parametrize("levels", [(), (-1.0, 2.0)])
@pytest.mark.parametrize("see_action", [True, False])
def test_a_reward_by_action_is_told_in_the_inputs_of_the_action_that_earned_it(levels, see_action):
    """The core's input is the features, the action and the reward's inputs: those of one action, of none at first."""
    model = ModelConfig(reward_levels=levels, reward_by_action=True, see_action=see_action)
    agent = Agent(AgentSpec((3,), discrete(4), model))
    action, reward = torch.tensor([-1, 0, 3, 3]), torch.tensor([0.0, 2.0, -1.0, 2.0])
    told = agent._inputs(Seen(torch.zeros(4, 3), action, reward, None)).prev_reward
    expected = torch.zeros(4, 4, len(levels) or 1)
    for row in (1, 2, 3):
        expected[row, action[row]] = (
            torch.tensor([reward[row] == level for level in levels]) if levels else reward[row : row + 1]
        )
    assert torch.equal(told, expected.flatten(1))
    assert agent.core.layer.rnn.input_size == 3 + 4 * see_action + expected[0].numel()


@pytest.mark.parametrize(("core", "blocks"), [("lstm", 4), ("gru", 3), ("rnn", 1), ("ep_lstm", 5), ("rgu", 4)])
def test_each_gate_starts_with_recurrent_weights_that_keep_lengths(core, blocks):
    """The block of each gate is orthogonal, with gain 1: one start for all cores."""
    agent = Agent(AgentSpec((3,), discrete(2), ModelConfig(core=core, hidden_sizes=(24,))))
    if core == "rgu":
        stacked = agent.core.gates.mT.flatten(0, 1)
    else:
        stacked = agent.core.w_hidden if core == "ep_lstm" else agent.core.layer.rnn.weight_hh_l0
    assert stacked.shape == (blocks * 24, 24)
    for block in stacked.detach().double().chunk(blocks):
        torch.testing.assert_close(block @ block.t(), torch.eye(24, dtype=torch.double), atol=24 * 24 * 2**-23, rtol=0)


def test_reciprocally_gated_units_follow_their_equations():
    """Gate by gate, unit by unit, from the equations of Nayebi et al. 2018."""
    with precision(torch.float64):
        torch.manual_seed(0)
        core, size = RGU(InputSizes(3, 2, 1), 4, learned_initial_state=True), 4
        with torch.no_grad():
            for parameter in core.parameters():
                parameter.add_(0.5 * torch.randn_like(parameter))
        x, (h, c) = torch.randn(6), torch.randn(2, size)
        (u_hh, u_hc), (u_cc, u_ch) = (source.T.split(size) for source in core.gates)
        (b_hh, b_hc), (b_cc, b_ch) = (bias[0].split(size) for bias in core.gates_bias)
        w_h, w_c = core.input.weight.split(size)
        a_h, a_c = core.input.bias.split(size)

        def closed(unit, weights, bias, source):
            """1 - sigma of a gate."""
            return 1 - 1 / (1 + torch.exp(-(sum(weights[unit, j] * source[j] for j in range(size)) + bias[unit])))

        for unit in range(size):
            let_in = closed(unit, u_ch, b_ch, c) * (w_h[unit] @ x + a_h[unit])
            expected_h = torch.tanh(let_in + closed(unit, u_hh, b_hh, h) * h[unit])
            let_in = closed(unit, u_hc, b_hc, h) * (w_c[unit] @ x + a_c[unit])
            expected_c = torch.tanh(let_in + closed(unit, u_cc, b_cc, c) * c[unit])
            inputs = Inputs(x[None, :3], x[None, 3:5], x[None, 5:], x[None, :0])
            output, after = core.step(inputs, (h[None], c[None]))
            assert torch.equal(output, after[0])
            torch.testing.assert_close(output[0, unit], expected_h, rtol=0, atol=IDENTITY)
            torch.testing.assert_close(after[1][0, unit], expected_c, rtol=0, atol=IDENTITY)


def test_a_core_without_recurrence_remembers_nothing():
    agent, seen, state = agent_and_inputs(MODELS["feed_forward"], resets=0.0)
    assert state == ()
    before, _ = agent.unroll(seen, state)
    seen.obs[:20] += 1.0
    seen.first[:] = True
    after, _ = agent.unroll(seen, state)
    assert not torch.allclose(before[:20], after[:20])
    assert torch.equal(before[20:], after[20:])


def test_a_reset_forgets_everything_before_it():
    agent, seen, state = agent_and_inputs(ModelConfig(), resets=0.0)
    seen.first[20] = True
    before, _ = agent.unroll(seen, state)
    seen.obs[:20] += 1.0
    after, _ = agent.unroll(seen, state)
    assert not torch.allclose(before[:20], after[:20])
    assert torch.equal(before[20:], after[20:])


def test_blind_agents_do_not_see_what_they_are_blind_to():
    agent, seen, state = agent_and_inputs(MODELS["blind"])
    one, _ = agent.unroll(seen, state)
    other, _ = agent.unroll(
        seen._replace(prev_action=1 - seen.prev_action.clamp(min=0), prev_reward=seen.prev_reward + 1), state
    )
    assert torch.equal(one, other)


def test_layer_norm_makes_small_observations_count_as_much_as_large_ones():
    for layer_norm in (True, False):
        agent, seen, state = agent_and_inputs(ModelConfig(layer_norm=layer_norm))
        larger = seen._replace(obs=100 * seen.obs)
        same = torch.allclose(agent.unroll(seen, state)[0], agent.unroll(larger, state)[0], atol=1e-3)
        assert same == layer_norm


@pytest.mark.parametrize("seed", range(20))
def test_segments_cover_every_step_once_and_padding_stays_below_half(seed):
    rng = np.random.default_rng(seed)
    T, B = rng.integers(2, 60), rng.integers(1, 12)
    first = torch.from_numpy(rng.random((T, B)) < rng.choice([0.02, 0.2, 0.7]))
    segments = segments_of(first)
    if segments is None:
        assert not first[1:].any()
        return
    gathered = torch.cat([bucket.gather.flatten() for bucket in segments.buckets])
    assert torch.equal(gathered[segments.scatter], torch.arange(T * B))
    assert len(gathered) < 2 * T * B
    carried = torch.cat([bucket.rows[bucket.carried] for bucket in segments.buckets])
    assert sorted(carried.tolist()) == list(range(B))


def test_flat_vector_round_trip_and_its_errors():
    agent, other = (Agent(AgentSpec((3,), discrete(2), ModelConfig())) for _ in range(2))
    vector = to_vector(agent.parameters())
    vector.flags.writeable = False
    load_vector(vector, other.parameters())
    assert all(torch.equal(a, b) for a, b in zip(agent.parameters(), other.parameters(), strict=True))
    with pytest.raises(ValueError, match="parameters"):
        load_vector(vector[:-1], other.parameters())


def test_unknown_parts_list_the_choices():
    for model, message in (
        (
            {"core": "transformer"},
            r"model\.core=transformer: one of lstm, gru, rnn, rgu, mlp, rnn_without_recurrence, stacked_lstm, actor_",
        ),
        ({"encoder": "eye"}, r"model\.encoder=eye: one of none, mlp, conv, resnet"),
        ({"hidden_sizes": (8, 0)}, r"model\.hidden_sizes=\[8,0\]: a list of whole numbers, each at least 1"),
        ({"hidden_sizes": (8, 8)}, "hidden_sizes with 1 entry"),
        ({"encoder": "mlp"}, "encoder_sizes"),
        ({"core": "mlp", "hidden_sizes": ()}, "hidden_sizes with the units of each"),
        ({"core": "mlp", "learned_initial_state": True}, "learned_initial_state=false"),
    ):
        with pytest.raises(ValueError, match=message):
            Agent(AgentSpec((3,), discrete(2), checked(ModelConfig, model, "model")))


def test_difference_names_what_differs():
    old, new = AgentSpec((3,), discrete(2), ModelConfig()), AgentSpec((4,), discrete(2), ModelConfig(core="gru"))
    assert describe_difference(old, old) == []
    assert describe_difference(old, new) == ["obs_shape: (3,) -> (4,)", "model.core: lstm -> gru"]
