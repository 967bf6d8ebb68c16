"""Our optimizers against those of torch.optim, in float64."""

from __future__ import annotations

import pytest
import torch
from prefrontal.learner.algorithm import OptimizerConfig
from prefrontal.learner.optimizer import make_optimizer, restore

SHAPES = ((5, 3), (3,), ())


def parameters():
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator, dtype=torch.float64, requires_grad=True) for shape in SHAPES]


def gradients(step):
    generator = torch.Generator().manual_seed(100 + step)
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in SHAPES]


def set_gradients(parameters, step):
    for parameter, gradient in zip(parameters, gradients(step), strict=True):
        parameter.grad = gradient


@pytest.mark.parametrize("name", ["rmsprop", "adam"])
def test_steps_are_those_of_torch(name):
    config = OptimizerConfig(name=name, alpha=0.9, betas=(0.8, 0.95), eps=1e-3)
    ours, theirs = parameters(), parameters()
    optimizer = make_optimizer(config, ours)
    if name == "adam":
        reference = torch.optim.Adam(theirs, 0.1, betas=config.betas, eps=config.eps)
    else:
        reference = torch.optim.RMSprop(theirs, 0.1, alpha=config.alpha, eps=config.eps)
    for step in range(20):
        learning_rate = 0.1 / (1 + step)
        set_gradients(ours, step)
        set_gradients(theirs, step)
        if step == 7:
            ours[1].grad = None
            theirs[1].grad = torch.zeros_like(theirs[1])
        reference.param_groups[0]["lr"] = learning_rate
        optimizer.step(learning_rate)
        reference.step()
    torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("name", ["rmsprop", "adam"])
def test_a_restored_optimizer_goes_on_as_the_one_that_was_saved(name):
    config = OptimizerConfig(name=name)
    straight = parameters()
    optimizer = make_optimizer(config, straight)
    for step in range(5):
        set_gradients(straight, step)
        optimizer.step(0.01)
    resumed = [parameter.detach().clone().requires_grad_() for parameter in straight]
    another = make_optimizer(config, resumed)
    restore(another, {f"{i}.{slot}": t.clone() for slot, kept in optimizer.slots.items() for i, t in enumerate(kept)})
    for step in range(5, 10):
        for those, it in ((straight, optimizer), (resumed, another)):
            set_gradients(those, step)
            it.step(0.01)
    assert all(torch.equal(one, other) for one, other in zip(straight, resumed, strict=True))
