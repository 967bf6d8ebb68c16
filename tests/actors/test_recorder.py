"""The recorder of unrolls: the same from arrays and from tensors, and what became of the episodes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from prefrontal.actors.recorder import Episodes, Recorder
from prefrontal.models.acting import TorchActing
from prefrontal.models.agent import Agent, AgentSpec, ModelConfig
from prefrontal.models.policy import discrete, make_policy
from prefrontal.replay.trajectory import NO_ACTION, on_host

CPU = torch.device("cpu")
T, B = 30, 7
KINDS = {"arrays": torch.Tensor.numpy, "tensors": lambda tensor: tensor}


def recorded(view, seed=0):
    """An unroll of made-up steps; what was played, and the trajectory."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    agent = Agent(AgentSpec((3,), discrete(2), ModelConfig(hidden_sizes=(5,))))

    def rows(array):
        return view(torch.from_numpy(array))

    obs = rng.standard_normal((T + 1, B, 3)).astype(np.float32)
    reward = rng.standard_normal((T, B)).astype(np.float32)
    terminated, cut = rng.random((2, T, B)) < 0.2
    episodes = Episodes.begin(rows(obs[0]), agent.policy, view, CPU)
    record = Recorder(T, episodes, {"trial": np.int16}, view, CPU)
    acting = TorchActing(agent)
    state = agent.initial_state(B)
    acting.begin(record.seen, agent.policy.noise((T, B), torch.Generator().manual_seed(1)), state)
    for t in range(T):
        acting.step(t)
        ended = terminated[t] | cut[t]
        step = (rows(reward[t]), rows(terminated[t]), rows(ended), rows(obs[t + 1]))
        record.step(t, view(acting.actions[t]), *step, {"trial": rows(np.full(B, t, dtype=np.int16))})
        truncated = np.flatnonzero(cut[t] & ~terminated[t])
        if len(truncated):
            record.cut(t, rows(truncated), rows(10 + obs[t + 1][truncated]), acting.state)
    record.carry(episodes)
    return obs, reward, terminated, cut, record.trajectory(acting, state, 3, 4), episodes


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_played_is_what_is_recorded(kind):
    obs, reward, terminated, cut, played, episodes = recorded(KINDS[kind])
    ended = terminated | cut
    assert np.array_equal(on_host(played.obs), obs)
    assert np.array_equal(on_host(played.reward), reward)
    assert np.array_equal(on_host(played.discount), 1 - terminated.astype(np.float32))
    assert np.array_equal(on_host(played.first)[1:], ended)
    assert on_host(played.first)[0].all()
    action = on_host(played.action)
    assert np.array_equal(on_host(played.prev_action)[1:], np.where(ended, NO_ACTION, action))
    assert np.array_equal(on_host(played.prev_reward)[1:], np.where(ended, 0, reward))
    where = np.argwhere(cut & ~terminated)
    assert np.array_equal(np.stack([on_host(played.last.time), on_host(played.last.row)], 1), where)
    assert np.array_equal(on_host(played.last.obs), 10 + obs[where[:, 0] + 1, where[:, 1]])
    for name in ("obs", "first", "prev_action", "prev_reward"):
        carried = on_host(getattr(episodes, name))
        assert np.array_equal(carried, on_host(getattr(played, name))[-1])
        assert not np.shares_memory(carried, on_host(getattr(played, name)))


def test_arrays_and_tensors_give_the_same_trajectory():
    *_, one, _ = recorded(KINDS["arrays"])
    *_, other, _ = recorded(KINDS["tensors"])
    for field in dataclasses.fields(one):
        if isinstance(found := getattr(one, field.name), np.ndarray):
            assert np.array_equal(found, on_host(getattr(other, field.name))), field.name


def test_returns_and_lengths_are_those_of_a_loop_over_the_steps():
    """Over several unrolls, whose ends cut episodes apart. Whole numbers, whose sums are exact."""
    rng = np.random.default_rng(0)
    episodes = Episodes.begin(np.zeros((B, 1), dtype=np.float32), make_policy(discrete(2), 5), KINDS["arrays"], CPU)
    total, steps = np.zeros(B), np.zeros(B, dtype=int)
    for ending in (0.0, 0.1, 0.9, 0.3):
        reward = rng.integers(-3, 9, (T, B)).astype(np.float32)
        ended = rng.random((T, B)) < ending
        returns, lengths = [], []
        for t in range(T):
            total += reward[t]
            steps += 1
            returns += total[ended[t]].tolist()
            lengths += steps[ended[t]].tolist()
            total[ended[t]] = steps[ended[t]] = 0
        found = episodes.finished(reward, ended)
        assert found[0].tolist() == returns
        assert found[1].tolist() == lengths
        assert np.array_equal(episodes.returns, total)
        assert np.array_equal(episodes.lengths, steps)


def test_a_state_brings_the_episodes_back():
    *_, episodes = recorded(KINDS["tensors"])
    episodes.finished(np.ones((4, B), dtype=np.float32), np.zeros((4, B), dtype=bool))
    again = Episodes.restored(episodes.obs, episodes.state(), lambda array: torch.from_numpy(array.copy()))
    for field in dataclasses.fields(Episodes):
        assert np.array_equal(on_host(getattr(again, field.name)), on_host(getattr(episodes, field.name))), field.name
