"""Acting under perturbations: what is set holds, what changes nothing changes nothing, and nothing depends on B."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numerics import IDENTITY, precision
from prefrontal.conf.checking import ConfigError, checked
from prefrontal.models.acting import TorchActing
from prefrontal.models.agent import Agent, AgentSpec, ModelConfig, Seen
from prefrontal.models.dnd import MemoryConfig
from prefrontal.models.perturbation import Interventions, Perturbation
from prefrontal.models.perturbed import PerturbedActing, columns_of
from prefrontal.models.policy import Actions, discrete

T, B, DISCOUNT = 12, 6, 0.8
MODELS = {
    "lstm": ModelConfig(hidden_sizes=(9,)),
    "gru": ModelConfig(core="gru", hidden_sizes=(9,)),
    "rnn": ModelConfig(core="rnn", hidden_sizes=(9,)),
    "rgu": ModelConfig(core="rgu", hidden_sizes=(9,)),
    "mlp": ModelConfig(core="mlp", hidden_sizes=(7, 9)),
    "stacked": ModelConfig(core="stacked_lstm", hidden_sizes=(7, 9)),
    "actor_critic": ModelConfig(core="actor_critic_lstm", hidden_sizes=(7, 9)),
    "ep_lstm": ModelConfig(core="ep_lstm", hidden_sizes=(9,)),
}
models = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)


def lively(model, actions=None):
    torch.manual_seed(0)
    agent = Agent(AgentSpec((3,), actions or discrete(3), model, cue_size=4))
    with torch.no_grad():
        for parameter in agent.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return agent


def told(*perturbations):
    return Interventions(tuple(checked(Perturbation, one) for one in perturbations), DISCOUNT)


class Played:
    """An unroll of rows `rows` of a fixed experience; what was played with every value that can be seen."""

    def __init__(self, acting, agent, rows=slice(None), unrolls=1):
        torch.manual_seed(1)
        first = torch.rand(T * unrolls + 1, B) < 0.2
        first[0] = True
        reward = torch.where(first[1:], 0.0, torch.randint(0, 3, (T * unrolls, B)) / 2)
        self.seen = Seen(
            torch.randn(T * unrolls + 1, B, 3)[:, rows],
            torch.full((T * unrolls + 1, B), -1)[:, rows],
            torch.cat((torch.zeros(1, B), reward))[:, rows],
            first[:, rows],
            (torch.randn(T * unrolls + 1, B, 9)[:, rows],) if agent.has_memory else (),
        )
        self.kind = torch.randint(0, 3, (T * unrolls, B))[:, rows].numpy()
        count = self.seen.obs.shape[1]
        state = agent.initial_state(count)
        self.states, self.made, self.policy = [state], [], []
        with torch.no_grad():
            for u in range(unrolls):
                part = Seen(*(buffer[u * T : (u + 1) * T + 1] for buffer in self.seen[:4]))
                acting.begin(part, torch.zeros(T, count, acting_noise(agent)), state)
                for t in range(T):
                    acting.step(t, self.recall(u * T + t))
                    self.states.append(acting.state)
                    if isinstance(acting, PerturbedActing):
                        info = {"kind": self.kind[u * T + t]}
                        acting.happened(info, acting.actions[t].numpy(), self.seen.prev_reward[u * T + t + 1].numpy())
                state = acting.state
                self.policy.append(acting.policy)
                if isinstance(acting, PerturbedActing):
                    self.made.append(acting.made(self.seen.at((u + 1) * T)))
        self.policy = torch.cat(self.policy)

    def recall(self, t):
        return tuple(component[t] for component in self.seen.recall)


def acting_noise(agent):
    return agent.policy.noise((1,), None, greedy=True).shape[-1]


def perturbed(agent, *perturbations, seed=5, rows=slice(None), unrolls=1):
    acting = PerturbedActing(agent, told(*perturbations), len(range(B)[rows]), seed)
    return Played(acting, agent, rows, unrolls)


NOTHING = [
    {"units": [0, 4], "add": 0},
    {"units": "all", "scale": 1},
    {"units": [3], "noise": 0},
    {"input": "prev_reward", "add": 0},
    {"input": "rpe", "add": 0},
    {"input": "rpe", "scale": 1},
    {"units": "all", "set": 0, "when": "kind > 2"},
    {"units": "all", "set": 0, "when": "step < 0"},
]


@models
@pytest.mark.parametrize("nothing", NOTHING, ids=str)
def test_what_changes_nothing_leaves_every_bit(model, nothing):
    agent = lively(model)
    control = Played(TorchActing(agent), agent)
    found = perturbed(agent, nothing)
    assert torch.equal(found.policy, control.policy)
    for one, other in zip(found.states, control.states, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@models
@pytest.mark.parametrize(
    "something",
    [
        {"units": [2, 5], "set": 0.25},
        {"units": "all", "scale": 0},
        {"input": "prev_reward", "add": 1},
        {"units": [1], "noise": 0.1},
    ],
    ids=str,
)
def test_what_changes_something_does(model, something):
    agent = lively(model)
    assert not torch.equal(perturbed(agent, something).policy, Played(TorchActing(agent), agent).policy)


@models
def test_units_that_are_set_hold_in_state_and_output(model):
    agent = lively(model)
    found = perturbed(agent, {"units": [2, 5], "set": 0.25}, {"units": [7], "scale": 0})
    outputs = found.made[0].output[..., : agent.policy.in_features]
    assert (outputs[..., [2, 5]] == 0.25).all()
    assert (outputs[..., 7] == 0).all()
    assert ((outputs != 0.25) & (outputs != 0)).sum(-1).eq(6).all()
    for output, state in zip(outputs[:-1], found.states[1:], strict=True):
        assert model.core == "mlp" or any(torch.equal(output, component) for component in state)


def test_units_of_a_lower_layer():
    agent = lively(MODELS["stacked"])
    found = perturbed(agent, {"units": [6], "layer": 1, "set": 0.5})
    assert all((state[0][:, 6] == 0.5).all() for state in found.states[1:])


def test_each_is_given_what_the_one_before_left():
    found = perturbed(lively(MODELS["gru"]), {"units": [1], "set": 0.5}, {"units": [1, 2], "scale": 0.5})
    assert (found.made[0].output[..., 1] == 0.25).all()


def test_gates_stay_between_0_and_1_and_are_the_next_state():
    """An LSTM whose input gate is 0 and whose forget gate is pushed beyond 1 keeps its cell for good."""
    agent = lively(MODELS["lstm"])
    found = perturbed(agent, {"gate": "forget", "add": 3}, {"gate": "input", "units": list(range(9)), "set": 0})
    first = found.seen.first
    for t, (before, after) in enumerate(zip(found.states[:-1], found.states[1:], strict=True)):
        expected = torch.where(first[t][:, None], agent.initial_state(B)[1], before[1])
        assert torch.equal(after[1], expected)


@models
@pytest.mark.parametrize("unrolls", [1, 3])
def test_a_when_acts_exactly_where_python_says(model, unrolls):
    """Row by row: on what was told of the step before, never in the first step of an episode."""
    found = perturbed(
        lively(model),
        {"units": [1], "set": 0.25, "when": "kind == 1 and reward > 0"},
        {"units": [2], "set": 0.25, "when": "step in (0, 2)"},
        {"units": [3], "set": 0.25, "when": "not action == 0 or step > 1"},
        unrolls=unrolls,
    )
    outputs = torch.cat([part.output[:-1] for part in found.made])
    actions, age = found.policy.argmax(-1), np.zeros(B, dtype=int)
    for t, output in enumerate(outputs):
        for b in range(B):
            fresh = bool(found.seen.first[t, b])
            age[b] = 0 if fresh else age[b] + 1
            kind, reward, action = found.kind[t - 1, b], float(found.seen.prev_reward[t, b]), int(actions[t - 1, b])
            expected = [
                not fresh and kind == 1 and reward > 0,
                age[b] in (0, 2),
                not fresh and (action != 0 or age[b] > 1),
            ]
            assert (output[b, 1:4] == 0.25).tolist() == expected


def test_the_reward_that_is_fed():
    """As if that reward had been earned, but in the first step of an episode, in which none is fed."""
    agent = lively(MODELS["lstm"])
    for one, fed in (
        ({"set": 0}, lambda r: 0 * r),
        ({"add": 0.5}, lambda r: r + 0.5),
        ({"scale": -2}, lambda r: -2 * r),
        ({"set": 3, "when": "kind == 2"}, None),
    ):
        found = perturbed(agent, {"input": "prev_reward", **one})
        seen = Seen(*(buffer[:T] for buffer in found.seen[:4]))
        given = torch.from_numpy(np.concatenate((np.zeros((1, B), int), found.kind[:-1]))) == 2
        wanted = torch.where(given, 3.0, seen.prev_reward) if fed is None else fed(seen.prev_reward)
        with torch.no_grad():
            state = agent.initial_state(B)
            for t in range(T):
                step = seen.at(t)
                now = step._replace(prev_reward=torch.where(step.first, 0.0, wanted[t]))
                output, state = agent.act(now, state)
                assert torch.equal(output, found.made[0].output[t])


@pytest.mark.parametrize(("deed", "wanted"), [({"set": 0.5}, lambda e: 0.5 + 0 * e), ({"scale": -1}, lambda e: -e)])
def test_the_prediction_error_that_is_fed(deed, wanted):
    """The fed reward differs from the real one by as much as the error is to differ from what it would be."""
    with precision(torch.float64), torch.no_grad():
        agent = lively(MODELS["gru"])
        found = perturbed(agent, {"input": "rpe", **deed})
        state, value = agent.initial_state(B), torch.zeros(B)
        for t in range(T):
            seen = found.seen.at(t)
            real, _ = agent.act(seen, state)
            error = seen.prev_reward + DISCOUNT * agent.value(real).squeeze(-1) - value
            fed = torch.where(seen.first, 0.0, seen.prev_reward + wanted(error) - error)
            output, state = agent.act(seen._replace(prev_reward=fed), state)
            assert (output - found.made[0].output[t]).abs().max() <= IDENTITY
            value = agent.value(output).squeeze(-1)


@pytest.mark.parametrize(("deed", "wanted"), [({"add": 0.5}, lambda e: e + 0.5), ({"scale": -1}, lambda e: -e)])
def test_a_core_that_is_fed_its_prediction_error_is_fed_another_one(deed, wanted):
    """The reward stays, and with it the value; what the policy's LSTM is fed is the error, changed."""
    with precision(torch.float64), torch.no_grad():
        agent = lively(MODELS["actor_critic"])
        found = perturbed(agent, {"input": "rpe", **deed})
        state = agent.initial_state(B)
        for t in range(T):
            seen = found.seen.at(t)
            fresh = seen.first[:, None]

            def fed(name, shown, fresh=fresh):
                return torch.where(fresh, shown, wanted(shown)) if name == "rpe_input" else shown

            output, state = agent.act(seen, state, fed)
            assert (output - found.made[0].output[t]).abs().max() <= IDENTITY
    assert torch.equal(found.made[0].fed, found.seen.prev_reward[: T + 1])


@models
def test_every_batch_gives_the_same(model):
    """A row alone, and the rows together."""
    changes = [
        {"units": [2], "scale": 0.5, "when": "kind > 0"},
        {"units": "all", "add": 0.1, "when": "step > 3"},
        {"input": "rpe", "set": 0, "when": "reward == 0.5"},
    ]
    with precision(torch.float64):
        agent = lively(model)
        together = perturbed(agent, *changes, unrolls=2)
        for b in range(B):
            alone = perturbed(agent, *changes, unrolls=2, rows=slice(b, b + 1))
            assert (alone.policy[:, 0] - together.policy[:, b]).abs().max() <= IDENTITY


@pytest.mark.parametrize("where", [{"units": "all"}, {"gate": "output"}, {"input": "prev_reward"}, {"input": "rpe"}])
def test_noise_is_of_its_size_and_repeats_by_its_seed(where):
    agent = lively(MODELS["lstm"])
    one, again, other = (perturbed(agent, {**where, "noise": 0.2}, seed=seed, unrolls=2) for seed in (5, 5, 6))
    assert torch.equal(one.policy, again.policy)
    assert not torch.equal(one.policy, other.policy)


def test_noise_is_normal_and_new_in_each_step_unit_and_episode():
    agent = lively(MODELS["mlp"])
    with torch.no_grad():
        agent.core.layers[2].weight.zero_()
        agent.core.layers[2].bias.zero_()
    found = perturbed(agent, {"units": "all", "noise": 0.2}, unrolls=30)
    noise = torch.cat([part.output[:-1] for part in found.made]).flatten()
    assert len(noise.unique()) > 0.999 * noise.numel() > 19_000, "but for those that float32 does not tell apart"
    assert abs(noise.mean()) < 4 * 0.2 / noise.numel() ** 0.5
    assert abs(noise.std() - 0.2) < 4 * 0.2 / (2 * noise.numel()) ** 0.5


def test_the_step_ahead_is_the_one_that_is_made():
    """What follows an unroll is known before it is made, noise and all."""
    found = perturbed(
        lively(MODELS["ep_lstm"]), {"units": "all", "noise": 0.3}, {"input": "rpe", "noise": 1}, unrolls=3
    )
    for part, following in zip(found.made[:-1], found.made[1:], strict=True):
        assert torch.equal(part.output[-1], following.output[0])
        assert torch.equal(part.fed[-1], following.fed[0])


def test_closed_reinstatement_gates_let_nothing_in():
    agent = lively(MODELS["ep_lstm"])
    found = perturbed(agent, {"gate": "reinstatement", "units": [3, 8], "set": 0})
    gates = torch.stack(found.made[0].inner["reinstatement_gate"])
    assert (gates[..., [3, 8]] == 0).all()
    assert (gates[..., [0, 1, 2, 4, 5, 6, 7]] > 0).all()


def test_columns_by_kind_of_actions():
    told_of = {"kind": np.int64, "name": np.str_}
    one = columns_of(lively(ModelConfig()).policy, told_of)
    assert one == dict.fromkeys(("kind", "action", "reward", "step"), "number") | {"name": "text"}
    several = columns_of(lively(ModelConfig(), Actions("multi_discrete", (2, 3))).policy, {})
    assert set(several) == {"action_0", "action_1", "reward", "step"}


@pytest.mark.parametrize(
    ("model", "one", "message"),
    [
        ("lstm", {"units": [9], "set": 0}, r"units=\[9\]: there is no unit 9; the units are 0 to 8"),
        ("lstm", {"gate": "reset", "set": 0}, "gate=reset: there is no such gate. There is: input, forget, output"),
        ("gru", {"gate": "upate", "set": 0}, "did you mean update"),
        ("rnn", {"gate": "input", "set": 0}, "There is: none"),
        ("stacked", {"units": [8], "layer": 1, "set": 0}, "0 to 6"),
        ("stacked", {"units": [8], "layer": 3, "set": 0}, "layer=3: the core has 2 layers"),
        ("mlp", {"gate": "input", "set": 0}, "There is: none"),
        ("lstm", {"units": [1], "set": 0, "when": "knd > 1"}, "when=knd > 1: knd: .* did you mean kind"),
    ],
)
def test_what_an_agent_does_not_have_is_named(model, one, message):
    agent = lively(MODELS[model])
    with pytest.raises(ValueError, match=message):
        checked(Perturbation, one).check(agent, columns_of(agent.policy, {"kind": np.int64}))


def test_agents_that_lack_what_is_perturbed():
    with pytest.raises(ValueError, match="does not see rewards"):
        checked(Perturbation, {"input": "rpe", "add": 1}).place(lively(ModelConfig(see_reward=False)))
    incremental = lively(ModelConfig(core="ep_lstm", memory=MemoryConfig(reinstate=False)))
    with pytest.raises(ValueError, match="There is: input, forget, output"):
        checked(Perturbation, {"gate": "reinstatement", "set": 0}).place(incremental)


def test_settings_that_cannot_be_are_named_in_full():
    with pytest.raises(ConfigError, match=r"^perturb\[0\]\.when=reward ==: no expression that can be read"):
        checked(Perturbation, {"units": [1], "set": 0, "when": "reward =="}, "perturb[0]")
