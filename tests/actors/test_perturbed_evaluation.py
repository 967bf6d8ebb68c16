"""Perturbed evaluations: known agents made blind, the table that is recorded, and how often something acted."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from prefrontal.actors.activity import columns_of
from prefrontal.actors.evaluation import Replayed, evaluate
from prefrontal.actors.rollout import RolloutWorker, WorkerSpec
from prefrontal.actors.video import film_episode
from prefrontal.conf.checking import checked
from prefrontal.models.agent import ModelConfig
from prefrontal.models.dnd import MemoryConfig
from prefrontal.models.flat import to_vector
from prefrontal.models.perturbation import Interventions, Perturbation

DISCOUNT = 0.5
WIN_STAY = ModelConfig(core="mlp", hidden_sizes=(1,), reward_by_action=True)


def worker(*perturbations, task="bandit", options=None, model=None, num_envs=16, unroll_length=20, **changes):
    told = Interventions(tuple(checked(Perturbation, one) for one in perturbations), DISCOUNT)
    return RolloutWorker(
        WorkerSpec(
            task=task,
            task_options=options or {},
            model=model or ModelConfig(hidden_sizes=(12,), kernel="torch"),
            num_envs=num_envs,
            unroll_length=unroll_length,
            seed=3,
            actor_id=0,
            interventions=told if perturbations else None,
            **changes,
        )
    )


def lively(made):
    size = len(to_vector(made.agent.parameters()))
    made.load(1, 0.4 * np.random.default_rng(0).standard_normal(size, dtype=np.float32))
    return made


def win_stay_lose_shift(*perturbations):
    """Arms that pay .9 and .1, and an agent that stays after a reward of 1 and shifts after one of 0."""
    made = worker(*perturbations, options={"arms": "easy"}, model=WIN_STAY, num_envs=64, unroll_length=100)
    agent = made.agent
    with torch.no_grad():
        for parameter in agent.parameters():
            parameter.zero_()
        # Of the inputs (observation, action of two, reward by action of two): 2 r a - a, for the first arm.
        agent.core.layers[0].weight[0] = 10 * torch.tensor([0.0, -1.0, 1.0, 2.0, -2.0])
        agent.policy.weight[0] = 100
    return made


def chose_better(*perturbations):
    trials = evaluate(win_stay_lose_shift(*perturbations), 512, DISCOUNT).trials()
    late = trials["trial"] >= 10
    return (trials["chosen"] == trials["best"])[late].reshape(512, -1).mean(1)


def test_an_agent_that_is_fed_no_reward_is_at_chance():
    """Win-stay-lose-shift is on the arm that pays p = .9 in a share p of the trials; blind, it only ever shifts."""
    seeing = chose_better()
    assert abs(seeing.mean() - 0.9) < 4 * seeing.std() / len(seeing) ** 0.5
    assert (chose_better({"input": "prev_reward", "set": 0}) == 0.5).all()
    always_paid = chose_better({"input": "prev_reward", "set": 1})
    assert set(always_paid) == {0.0, 1.0}, "it stays for good on the arm that it began with"
    assert abs(always_paid.mean() - 0.5) < 4 * 0.5 / 512**0.5


def test_a_reward_that_is_hidden_where_it_was_lost_is_hidden_there():
    """Fed 1 after each loss: it never shifts. Only after losses on the worse arm: from there it never comes back."""
    assert set(chose_better({"input": "prev_reward", "set": 1, "when": "reward == 0"})) == {0.0, 1.0}
    trapped = chose_better({"input": "prev_reward", "set": 1, "when": "chosen < best and reward == 0"})
    still_there = 0.5 * 0.9 ** np.arange(10, 100)
    assert abs(trapped.mean() - still_there.mean()) < 4 * trapped.std() / len(trapped) ** 0.5
    never = {"input": "prev_reward", "set": 1, "when": "chosen > best"}
    assert np.array_equal(chose_better(never), chose_better())


@pytest.mark.parametrize("core", ["lstm", "gru", "rnn", "rgu"])
def test_what_changes_nothing_leaves_the_table_as_it_is(core):
    model = ModelConfig(core=core, hidden_sizes=(12,), kernel="torch")
    nothing = ({"units": "all", "add": 0}, {"input": "prev_reward", "add": 0}, {"input": "rpe", "add": 0})
    control, found = (evaluate(lively(worker(*p, model=model)), 32, DISCOUNT).trials() for p in ((), nothing))
    assert control.keys() == found.keys()
    near = {"value", "rpe"}  # of the unroll there, of the steps here
    assert all(np.array_equal(control[name], found[name]) for name in control.keys() - near)
    assert all(np.allclose(control[name], found[name], rtol=0, atol=1e-5) for name in near)


def test_values_and_errors_are_those_of_the_perturbed_network():
    made = lively(worker({"units": "all", "set": 0.5}, options={"trials": 10}))
    trials = evaluate(made, 32, DISCOUNT).trials()
    value = float(made.agent.value(torch.full((1, 12), 0.5)).item())
    assert np.allclose(trials["value"], value, atol=1e-6)
    following = np.where(trials["trial"] == 9, 0, value)
    assert np.allclose(trials["rpe"], trials["reward"] + DISCOUNT * following - value, atol=1e-5)


def test_how_often_each_acted_is_counted_over_the_episodes_that_count():
    made = lively(
        worker(
            {"units": [0], "set": 0},
            {"units": [0], "set": 0, "when": "step < 3"},
            {"input": "prev_reward", "set": 0, "when": "reward == 1"},
            {"input": "prev_reward", "set": 0},
            options={"trials": 10},
            num_envs=5,
        )
    )
    trials = evaluate(made, 13, DISCOUNT).trials()
    inner = trials["reward"][trials["trial"] < 9]
    assert made.perturbed.counts.tolist() == [130, 39, int(inner.sum()), 13 * 9]


def test_gates_that_are_recorded_are_those_that_were():
    model = ModelConfig(core="ep_lstm", hidden_sizes=(12,))
    made = lively(worker({"gate": "reinstatement", "units": [3, 5], "set": 0}, model=model))
    gates = evaluate(made, 32, DISCOUNT).trials()["gate_by_unit"]
    assert (gates[:, [3, 5]] == 0).all()
    assert (gates[:, [0, 1, 2, 4]] > 0).all()


def test_a_memory_of_several_neighbours_is_perturbed_too():
    model = ModelConfig(core="ep_lstm", hidden_sizes=(12,), memory=MemoryConfig(neighbours=3, key_size=2))
    made = lively(worker({"units": [1], "set": 0.5, "when": "recalled"}, model=model, task="contextual_choice"))
    assert len(evaluate(made, 32, DISCOUNT).trials()["trial"])
    assert made.perturbed.counts[0] > 0


def test_what_lies_beyond_a_cut_is_perturbed_too():
    """Episodes that are cut off bootstrap from the value that the perturbed network would have given."""
    made = lively(worker({"units": "all", "set": 0.5}, task="faulty:TASK", options={"length": 5, "truncate": True}))
    trials = evaluate(made, 32, DISCOUNT).trials()
    value = float(made.agent.value(torch.full((1, 12), 0.5)).item())
    earned = trials["rpe"] - DISCOUNT * value + value
    assert np.allclose(earned, earned.round(), atol=1e-5)
    assert set(earned.round()) == {0, 1}


def test_a_recording_holds_what_was_made_and_what_was_fed():
    made = lively(
        worker(
            {"units": [3], "set": 0.5},
            {"gate": "forget", "units": [2], "set": 0.25},
            {"input": "prev_reward", "set": 2, "when": "reward == 1"},
        )
    )
    for _ in range(3):
        replayed = Replayed.of(made.unroll(), made.agent, DISCOUNT, made.perturbed)
    columns = {name: column.data for name, column in columns_of(replayed, observation=True).items()}
    assert (columns["hidden"][..., 3] == 0.5).all()
    assert (columns["forget_gate"][..., 2] == 0.25).all()
    assert (columns["forget_gate"][..., 3] != 0.25).all()
    earned = np.where(columns["first"][1:], 0, columns["reward"][:-1])
    assert np.array_equal(columns["prev_reward"][1:], np.where(earned == 1, 2, earned))
    with torch.no_grad():
        value = made.agent.value(torch.from_numpy(columns["hidden"])).squeeze(-1)
    assert np.allclose(columns["value"], value, atol=1e-5)


def test_a_film_shows_what_the_perturbed_agent_thought():
    made = lively(worker({"units": "all", "set": 0.5}, num_envs=1, unroll_length=1, options={"trials": 5}))
    film = film_episode(made)
    with torch.no_grad():
        policy, value = made.agent.heads(torch.full((1, 12), 0.5))
    assert np.allclose(film.value, value.item(), atol=1e-6)
    assert np.allclose(film.policy, policy.softmax(-1)[0].numpy(), atol=1e-6)


def test_noise_repeats_with_the_seed():
    one, again = (evaluate(lively(worker({"units": "all", "noise": 1})), 32, DISCOUNT).trials() for _ in range(2))
    assert all(np.array_equal(one[name], again[name]) for name in one)
