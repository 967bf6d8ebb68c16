"""Loss, schedules, replay buffer and hand-off: closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from prefrontal.learner.losses import actor_critic_loss, log_prob
from prefrontal.learner.schedules import Schedule
from prefrontal.replay.buffer import ReplayBuffer
from prefrontal.replay.handoff import Handoff


def test_policy_gradient_is_the_softmax_gradient():
    """d(-A log pi(a)) / d logits = A (pi - onehot(a)), averaged over T x B."""
    torch.manual_seed(0)
    logits = torch.randn(4, 3, 5, dtype=torch.double, requires_grad=True)
    action, advantage = torch.randint(5, (4, 3)), torch.randn(4, 3).double()
    zeros = torch.zeros(4, 3).double()
    actor_critic_loss(logits, action, advantage, zeros, zeros, 0.0, 0.0).total.backward()
    expected = advantage[..., None] * (logits.softmax(-1) - torch.nn.functional.one_hot(action, 5)) / 12
    torch.testing.assert_close(logits.grad, expected.detach())


def test_parts_and_their_weights():
    logits = torch.zeros(2, 2, 4)
    action = torch.zeros(2, 2, dtype=torch.long)
    advantage, value, target = torch.ones(2, 2), torch.full((2, 2), 1.0), torch.full((2, 2), 4.0)
    loss = actor_critic_loss(logits, action, advantage, value, target, 0.5, 0.1)
    assert loss.entropy.item() == pytest.approx(math.log(4))
    assert loss.policy.item() == pytest.approx(math.log(4))
    assert loss.value.item() == pytest.approx(4.5)
    assert loss.total.item() == pytest.approx(math.log(4) + 0.5 * 4.5 - 0.1 * math.log(4))
    assert log_prob(logits, action).exp().unique().item() == pytest.approx(0.25)


def test_targets_are_constants_and_shapes_are_checked():
    value = torch.zeros(2, 2, requires_grad=True)
    target = torch.ones(2, 2, requires_grad=True)
    logits, action = torch.zeros(2, 2, 3), torch.zeros(2, 2, dtype=torch.long)
    actor_critic_loss(logits, action, torch.ones(2, 2), value, target, 1.0, 0.0).total.backward()
    assert target.grad is None
    assert value.grad is not None
    with pytest.raises(ValueError, match="must have the shape"):
        actor_critic_loss(logits, action, torch.ones(3, 2), value, target, 1.0, 0.0)


def test_schedules():
    linear = Schedule(1.0, 0.0, 100)
    assert [linear(s) for s in (0, 25, 100, 900)] == [1.0, 0.75, 0.0, 0.0]
    cosine = Schedule(2.0, 1.0, 10, "cosine")
    assert cosine(5) == pytest.approx(1.5)
    assert cosine(10) == pytest.approx(1.0)
    assert Schedule(3.0, 0.0, 10, "constant")(99) == 3.0
    with pytest.raises(ValueError, match="choose one of: constant"):
        Schedule(1.0, 0.0, 10, "steps")


def test_replay_buffer_keeps_the_newest_and_draws_evenly():
    buffer = ReplayBuffer(3)
    with pytest.raises(ValueError, match="empty"):
        buffer.sample(1, np.random.default_rng(0))
    for item in range(7):
        buffer.add(item)
    drawn = buffer.sample(6000, np.random.default_rng(0))
    counts = np.bincount(drawn, minlength=7)
    assert counts[:4].sum() == 0
    assert np.abs(counts[4:] - 2000).max() < 150


def test_handoff_is_oldest_first_and_measures_both_waits():
    now = [0.0]
    handoff = Handoff(batch_size=2, clock=lambda: now[0])
    handoff.learner_idle()
    assert handoff.take() is None
    now[0] = 3.0
    handoff.put("a")
    now[0] = 4.0
    for item in "bc":
        handoff.put(item)
    now[0] = 6.0
    assert handoff.take() == ["a", "b"]
    assert handoff.learner_waited_s == 6.0
    assert handoff.data_waited_s == (6 - 3) + (6 - 4)
    assert handoff.take() is None
    assert (len(handoff), handoff.taken) == (1, 2)
