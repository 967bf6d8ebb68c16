"""Loss, schedules and hand-off: closed forms."""

from __future__ import annotations

import math

import pytest
import torch
from prefrontal.learner.losses import actor_critic_loss
from prefrontal.learner.schedules import Schedule
from prefrontal.models.policy import discrete, make_policy
from prefrontal.replay.handoff import Handoff


def log_prob_and_entropy(logits, action):
    return make_policy(discrete(logits.shape[-1]), 1).log_prob_and_entropy(logits, action)


def test_policy_gradient_is_the_softmax_gradient():
    """d(-A log pi(a)) / d logits = A (pi - onehot(a)), averaged over T x B."""
    torch.manual_seed(0)
    logits = torch.randn(4, 3, 5, dtype=torch.double, requires_grad=True)
    action, advantage = torch.randint(5, (4, 3)), torch.randn(4, 3).double()
    zeros = torch.zeros(4, 3).double()
    actor_critic_loss(*log_prob_and_entropy(logits, action), advantage, zeros, zeros, 0.0, 0.0).total.backward()
    expected = advantage[..., None] * (logits.softmax(-1) - torch.nn.functional.one_hot(action, 5)) / 12
    torch.testing.assert_close(logits.grad, expected.detach())


def test_entropy_gradient_and_value_gradient():
    """d H / d logits = -pi (log pi + H); d ½(target - V)² / dV = V - target; both averaged over T x B."""
    torch.manual_seed(1)
    logits = torch.randn(3, 2, 4, dtype=torch.double, requires_grad=True)
    value = torch.randn(3, 2, dtype=torch.double, requires_grad=True)
    target, action = torch.randn(3, 2).double(), torch.randint(4, (3, 2))
    actor_critic_loss(
        *log_prob_and_entropy(logits, action), torch.zeros(3, 2).double(), value, target, 0.3, 0.2
    ).total.backward()
    policy = logits.detach().softmax(-1)
    entropy = -(policy * policy.log()).sum(-1, keepdim=True)
    torch.testing.assert_close(logits.grad, 0.2 * policy * (policy.log() + entropy) / 6)
    torch.testing.assert_close(value.grad, 0.3 * (value.detach() - target) / 6)


def test_parts_and_their_weights():
    logits = torch.zeros(2, 2, 4)
    action = torch.zeros(2, 2, dtype=torch.long)
    advantage, value, target = torch.ones(2, 2), torch.full((2, 2), 1.0), torch.full((2, 2), 4.0)
    loss = actor_critic_loss(*log_prob_and_entropy(logits, action), advantage, value, target, 0.5, 0.1)
    assert loss.entropy.item() == pytest.approx(math.log(4))
    assert loss.policy.item() == pytest.approx(math.log(4))
    assert loss.value.item() == pytest.approx(4.5)
    assert loss.total.item() == pytest.approx(math.log(4) + 0.5 * 4.5 - 0.1 * math.log(4))
    assert log_prob_and_entropy(logits, action)[0].exp().unique().item() == pytest.approx(0.25)


def test_targets_and_advantages_are_constants_and_shapes_are_checked():
    value = torch.zeros(2, 2, requires_grad=True)
    target, advantage = torch.ones(2, 2, requires_grad=True), torch.ones(2, 2, requires_grad=True)
    logits, action = torch.zeros(2, 2, 3), torch.zeros(2, 2, dtype=torch.long)
    actor_critic_loss(*log_prob_and_entropy(logits, action), advantage, value, target, 1.0, 0.0).total.backward()
    assert target.grad is None
    assert advantage.grad is None
    assert value.grad is not None
    with pytest.raises(ValueError, match="advantage must have the shape"):
        actor_critic_loss(*log_prob_and_entropy(logits, action), torch.ones(3, 2), value, target, 1.0, 0.0)


def test_schedules():
    linear = Schedule(1.0, 0.0, 100)
    assert [linear(s) for s in (0, 25, 100, 900)] == [1.0, 0.75, 0.0, 0.0]
    cosine = Schedule(2.0, 1.0, 10, "cosine")
    assert cosine(0) == 2.0
    assert cosine(5) == pytest.approx(1.5)
    assert cosine(2) == pytest.approx(1.5 + 0.5 * math.cos(0.2 * math.pi))
    assert cosine(10) == 1.0
    assert Schedule(3.0, 0.0, 10, "constant")(99) == 3.0


def test_schedules_are_exact_where_they_should_be():
    """A quantity that does not change must not change in its last bit; the end is reached, not approached."""
    for kind in ("linear", "cosine"):
        assert {Schedule(7e-3, 7e-3, 1000, kind)(s) for s in range(1500)} == {7e-3}
        assert Schedule(0.7, 0.1, 3, kind)(3) == 0.1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ((1.0, 0.0, 10, "steps"), "choose one of: constant"),
        ((1.0, 0.0, 0), "at least one step"),
        ((math.nan, 0.0, 10), "finite"),
    ],
)
def test_impossible_schedules_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Schedule(*settings)


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
