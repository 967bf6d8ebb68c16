"""Playing fresh episodes with frozen weights: only the recurrent state changes. Gives the table of trials."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from ..envs.trials import TrialRecorder
from .rollout import RolloutWorker


@torch.inference_mode()
def evaluate(
    worker: RolloutWorker, episodes: int, discount: float, progress: Callable[[int], None] | None = None
) -> TrialRecorder:
    """Record `episodes` episodes of a new worker that holds the weights to test.

    Each trial gets two columns from the network: `value`, V before the trial's last action, and `rpe`, the
    reward-prediction error r + discount * V' - V of that action (V' = 0 where the episode ended).

    Args:
        worker: plays; its unroll length does not matter.
        episodes: how many complete episodes to record.
        discount: of the reward-prediction error.
        progress: called now and then with the number of episodes complete.
    """
    recorder = TrialRecorder(worker.env.info_spec, worker.spec.num_envs, episodes)
    while not recorder.done:
        unroll = worker.unroll()
        played = unroll.trajectory
        _, values = worker.agent.unroll(
            torch.from_numpy(played.obs),
            torch.from_numpy(played.prev_action),
            torch.from_numpy(played.prev_reward),
            torch.from_numpy(played.first),
            tuple(torch.from_numpy(component) for component in played.initial_state),
        )
        value = values.numpy()
        ended = played.first[1:]
        rpe = played.reward + discount * np.where(ended, np.float32(0), value[1:]) - value[:-1]
        for t in range(played.unroll_length):
            info = {key: column[t] for key, column in unroll.info.items()}
            recorder.add(info, played.reward[t], ended[t], value=value[t], rpe=rpe[t])
        if progress is not None:
            progress(recorder.completed)
    return recorder
