"""Analyses of an agent's memory: measures in closed form, maps and components of known tables."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from numerics import IDENTITY, precision
from prefrontal.envs.memory import (
    gate_by_unit,
    memory_figures,
    memory_measures,
    principal_components,
    similarity_map,
)
from prefrontal.envs.trials import Evaluation
from prefrontal.models.agent import Agent, AgentSpec, ModelConfig, Seen
from prefrontal.models.dnd import MemoryConfig
from prefrontal.models.policy import discrete


def table():
    return {
        "cued": np.array([0, 0, 1, 1, 1, 1]),
        "recalled": np.array([0, 0, 1, 1, 1, 0], dtype=bool),
        "sought": np.array([0, 0, 1, 1, 1, 1], dtype=bool),
        "hit": np.array([0, 0, 1, 0, 1, 0], dtype=bool),
        "gate": np.array([0.1, 0.3, 0.5, 0.7, 0.9, 0.7]),
    }


def test_measures():
    measures = memory_measures(table(), "cued")
    assert measures["memory"] == {"recall_rate": 0.5, "hit_rate": 0.5, "gate": pytest.approx(3.2 / 6)}
    assert measures["gate_by_kind"] == {"cued_0": pytest.approx(0.2), "cued_1": pytest.approx(0.7)}
    assert memory_measures({"cued": np.zeros(3)}, "cued") == {}
    assert memory_measures(table(), "")["gate_by_kind"] == {}


def test_gate_by_unit():
    units = np.outer(table()["gate"], [1.0, 0.5])
    means = gate_by_unit(table(), units, "cued")
    assert means["all"] == pytest.approx([3.2 / 6, 1.6 / 6])
    assert means["cued_1"] == pytest.approx([0.7, 0.35])


def test_similarity_map_is_the_correlation():
    rows = np.random.default_rng(0).standard_normal((5, 20))
    np.testing.assert_allclose(similarity_map(rows), np.corrcoef(rows), atol=1e-12)
    assert (similarity_map(np.ones((2, 4))) == 0).all()


def test_principal_components_of_a_plane():
    rng = np.random.default_rng(1)
    axes = np.linalg.qr(rng.standard_normal((6, 2)))[0].T
    plane = rng.standard_normal((200, 2)) * [3.0, 1.0]
    scores, shares = principal_components(plane @ axes + 7.0)
    assert shares.sum() == pytest.approx(1.0)
    assert shares[0] == pytest.approx(0.9, abs=0.03)
    centred = plane - plane.mean(0)
    np.testing.assert_allclose(scores @ scores.T, centred @ centred.T, atol=1e-8)


def test_figures_of_agents_with_a_memory_only():
    rng = np.random.default_rng(2)
    memory = {
        "keys": rng.standard_normal((12, 4)),
        "values": rng.standard_normal((12, 6)),
        "tags": np.arange(12),
        "choices": np.arange(12) % 2,
    }
    with_memory = Evaluation(table(), {}, memory=memory)
    drawn = memory_figures([with_memory, with_memory, Evaluation({"cued": np.zeros(3)}, {})], "cued")
    assert set(drawn) == {"memory_gate", "memory_contents"}
    assert all(isinstance(figure, Figure) for figure in drawn.values())
    assert memory_figures([Evaluation({"cued": np.zeros(3)}, {})], "cued") == {}


def episodic_agent(**memory):
    torch.manual_seed(0)
    return Agent(AgentSpec((3,), discrete(2), ModelConfig(core="ep_lstm", memory=MemoryConfig(**memory)), cue_size=3))


def inputs(agent, T=12, B=5):
    torch.manual_seed(1)
    first = torch.rand(T, B) < 0.2
    action = torch.where(first, -1, torch.randint(0, 2, (T, B)))
    seen = Seen(torch.randn(T, B, 3), action, torch.rand(T, B), first, (torch.randn(T, B, 48),))
    return seen, agent.initial_state(B)


def test_gates_are_those_of_the_recurrence():
    """A gate's part in the cell, found by taking the recall of one step away."""
    with precision(torch.float64):
        agent = episodic_agent(squash=False)
        seen, carried = inputs(agent)
        gate = agent.reinstatement_gate(seen, carried)
        for t, step in enumerate(zip(*seen[:4], *seen.recall, strict=True)):
            *others, recall = step
            with_recall = agent.act(Seen(*others, (recall,)), carried)[1]
            without = agent.act(Seen(*others, (torch.zeros_like(recall),)), carried)[1]
            torch.testing.assert_close(gate[t] * recall, with_recall[1] - without[1], atol=IDENTITY, rtol=0)
            carried = with_recall
