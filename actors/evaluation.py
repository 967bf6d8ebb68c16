"""Playing fresh episodes with frozen weights: only the recurrent state changes. Gives the table of trials."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from ..envs.trials import TrialRecorder
from ..models.agent import Seen
from ..models.core import State
from ..replay.trajectory import Array, Trajectory, on_host
from .device_rollout import DeviceRollout
from .remembering import INFO
from .rollout import RolloutWorker


def inputs_of(played: Trajectory) -> tuple[Seen, State]:
    """What the agent was given, as the arguments of `Agent.unroll`."""
    seen = Seen(
        torch.as_tensor(played.obs),
        torch.as_tensor(played.prev_action),
        torch.as_tensor(played.prev_reward),
        torch.as_tensor(played.first),
        tuple(torch.as_tensor(component) for component in played.recall),
    )
    return seen, tuple(torch.as_tensor(component) for component in played.initial_state)


@torch.inference_mode()
def evaluate(
    worker: RolloutWorker | DeviceRollout,
    episodes: int,
    discount: float,
    progress: Callable[[int], None] | None = None,
    take: Callable[[dict[str, Array]], None] | None = None,
) -> TrialRecorder:
    """Record `episodes` episodes of a new worker that holds the weights to test.

    Each trial gets two columns from the network: `value`, V before the trial's last action, and `rpe`, the
    reward-prediction error r + discount * V' - V of that action (V' = 0 where the episode ended). An agent with an
    episodic memory adds `recalled`, `sought`, `hit` (see `actors.remembering`), `gate`, the reinstatement gate's mean
    over units, and `gate_by_unit`, the gate of each unit (a column of rows [H]).

    Args:
        worker: plays; its unroll length does not matter.
        episodes: how many complete episodes to record.
        discount: of the reward-prediction error.
        progress: called now and then with the number of episodes complete.
        take: is given the table in parts, see `TrialRecorder.take`; the recorder keeps returns and lengths only.
    """
    recorder = TrialRecorder(worker.env.info_spec, worker.spec.num_envs, episodes)
    while not recorder.done:
        unroll = worker.unroll()
        played = unroll.trajectory
        replayed = inputs_of(played)
        value = worker.agent.unroll(*replayed)[1].cpu().numpy()
        ended, reward, told = on_host(played.first)[1:], on_host(played.reward), dict(unroll.info)
        rpe = reward + discount * np.where(ended, np.float32(0), value[1:]) - value[:-1]
        columns = {"value": value, "rpe": rpe}
        if worker.memory is not None:
            gate = worker.agent.reinstatement_gate(*replayed).cpu().numpy()
            columns |= {"gate": gate.mean(-1), "gate_by_unit": gate, **{key: told[key] for key in INFO}}
        for t in range(played.unroll_length):
            info = {key: column[t] for key, column in told.items()}
            recorder.add(info, reward[t], ended[t], **{key: column[t] for key, column in columns.items()})
        if take is not None and (len((part := recorder.take())["episode"]) or recorder.done):
            take(part)
        if progress is not None:
            progress(recorder.completed)
    return recorder
