"""The value of a state as a linear function of features, fitted anew to every task's episodes (Duan et al. 2016)."""

from __future__ import annotations

import torch
from torch import Tensor

RIDGE = 1e-5
TRIES = 5
"""With ten times the ridge each, where the equations cannot be solved."""


def features(obs: Tensor) -> Tensor:
    """[o, o², t / 100, (t / 100)², (t / 100)³, 1] of observations [H, M, K, ...]: [M, H K, F] float64."""
    steps, tasks, episodes = obs.shape[:3]
    flat = obs.reshape(steps, tasks, episodes, -1).double().clamp(-10, 10)
    time = torch.arange(steps, dtype=flat.dtype, device=flat.device) / 100
    time = time.view(-1, 1, 1, 1).expand(steps, tasks, episodes, 1)
    parts = (flat, flat**2, time, time**2, time**3, torch.ones_like(time))
    return torch.cat(parts, -1).transpose(0, 1).flatten(1, 2)


@torch.no_grad()
def fitted_values(obs: Tensor, returns: Tensor) -> Tensor:
    """V of every state [H, M, K], from a ridge regression of returns [H, M, K] in each of M tasks of its own.

    Raises:
        RuntimeError: if the equations cannot be solved, whatever the ridge: what was seen is not finite.
    """
    steps, tasks, episodes = returns.shape
    table = features(obs)
    target = returns.double().transpose(0, 1).reshape(tasks, -1, 1)
    gram, moment = table.mT @ table, table.mT @ target
    eye = torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
    for tried in range(TRIES):
        factor, failed = torch.linalg.cholesky_ex(gram + RIDGE * 10**tried * eye)
        if not failed.any():
            values = table @ torch.cholesky_solve(moment, factor)
            return values.view(tasks, steps, episodes).transpose(0, 1).to(returns.dtype)
    raise RuntimeError("the linear baseline cannot be fitted: observations or rewards are not finite")
