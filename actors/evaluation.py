"""Playing fresh episodes with frozen weights: only the recurrent state changes. Gives the table of trials."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..envs.trials import TrialRecorder
from ..learner.batch import Batch, make_batch
from ..learner.objective import next_values
from ..models.agent import Agent
from ..models.ep_lstm import REINSTATEMENT
from ..models.perturbed import Made, PerturbedActing
from ..replay.trajectory import Array, on_host
from .adapting import ADAPTATION, AdaptingWorker
from .device_rollout import DeviceRollout
from .remembering import INFO
from .rollout import RolloutWorker, Unroll


@dataclass(frozen=True)
class Replayed:
    """An unroll of T steps of B episodes as it was played, and what its agent computes of it."""

    unroll: Unroll
    agent: Agent
    batch: Batch
    """The trajectory as the learner gets it; under perturbations `prev_reward` is what the network was fed."""
    policy: Tensor
    """[T+1, B, P] parameters of the policy."""
    value: Tensor
    """[T+1, B]"""
    rpe: Tensor
    """[T, B] reward-prediction error r + discount * V' - V: what the learner's returns are with λ = 0. V' is 0 where
    an episode terminated; where it was cut off, V of its real last observation."""
    made: Made | None = None
    """What was made under perturbations, which no replay gives again."""

    @classmethod
    @torch.inference_mode()
    def of(
        cls,
        unroll: Unroll,
        agent: Agent,
        discount: float,
        perturbed: PerturbedActing | None = None,
        reward_scale: float = 1.0,
    ) -> Replayed:
        """Replay an unroll; of one that was `perturbed`, the last that was played, see what was made.

        The agent's values are in the unit of its training, `reward_scale`; here they are told in units of reward.
        """
        batch = make_batch([unroll.trajectory], [], agent.policy.weight.device)
        made = None
        if perturbed is None:
            policy, value = agent.unroll(batch.seen, batch.initial_state)
            following = next_values(agent, batch, value)
        else:
            made = perturbed.made(batch.seen.at(-1))
            batch = dataclasses.replace(batch, prev_reward=made.fed)
            policy, value = agent.heads(made.output)
            following = value[1:]
            if batch.last is not None:
                where = batch.last.time, batch.last.row
                following = following.index_put(where, agent.value(made.beyond[where]).squeeze(-1))
        value, following = value / reward_scale, following / reward_scale
        rpe = batch.reward + discount * batch.discount * following - value[:-1]
        return cls(unroll, agent, batch, policy, value, rpe, made)

    @torch.inference_mode()
    def internals(self) -> dict[str, Tensor]:
        """What the core computed on the way (`Core.inner`), [T+1, B, H] each."""
        if self.made is not None:
            return {name: torch.stack(steps) for name, steps in self.made.inner.items()}
        return self.agent.internals(self.batch.seen, self.batch.initial_state)

    @torch.inference_mode()
    def reinstatement_gate(self) -> Array:
        """How far each unit let in what was recalled, [T+1, B, H] (only of an agent with an episodic memory)."""
        if self.made is not None:
            return on_host(torch.stack(self.made.inner[REINSTATEMENT]))
        return on_host(self.agent.reinstatement_gate(self.batch.seen, self.batch.initial_state))


@torch.inference_mode()
def evaluate(
    worker: RolloutWorker | DeviceRollout,
    episodes: int,
    discount: float,
    reward_scale: float = 1.0,
    progress: Callable[[int], None] | None = None,
    take: Callable[[dict[str, Array]], None] | None = None,
    watch: Callable[[Replayed], None] | None = None,
) -> TrialRecorder:
    """Record `episodes` episodes of a new worker that holds the weights to test.

    Each trial gets two columns from the network: `value`, V before the trial's last action, and `rpe`, the
    reward-prediction error of that action (see `Replayed`); the same of each phase that the task names. An agent with
    an episodic memory adds `recalled`, `sought`, `hit` (see `actors.remembering`), `gate`, the reinstatement gate's
    mean over units, and `gate_by_unit`, the gate of each unit (a column of rows [H]). Under perturbations values and
    gates are those that they made, rewards those that were earned.

    Args:
        worker: plays; its unroll length does not matter.
        episodes: how many complete episodes to record.
        discount: of the reward-prediction error.
        reward_scale: the unit in which the agent was trained; values are told in units of reward.
        progress: called now and then with the number of episodes complete.
        take: is given the table in parts, see `TrialRecorder.take`; the recorder keeps returns and lengths only.
        watch: is given every unroll, one after the other, the first one from the start of all episodes.
    """
    recorder = TrialRecorder(worker.env.info_spec, worker.spec.num_envs, episodes, worker.env.phases)
    while not recorder.done:
        unroll = worker.unroll()
        told, played = dict(unroll.info), unroll.trajectory
        ended, reward = on_host(played.first)[1:], on_host(played.reward)
        if isinstance(worker, AdaptingWorker):  # many policies played, and none of them has a value
            columns = {ADAPTATION: told[ADAPTATION]}
        else:
            replayed = Replayed.of(unroll, worker.agent, discount, worker.perturbed, reward_scale)
            if watch is not None:
                watch(replayed)
            columns = {"value": on_host(replayed.value), "rpe": on_host(replayed.rpe)}
        if worker.memory is not None:
            gate = replayed.reinstatement_gate()
            columns |= {"gate": gate.mean(-1), "gate_by_unit": gate, **{key: told[key] for key in INFO}}
        for t in range(unroll.trajectory.unroll_length):
            if worker.perturbed is not None:
                worker.perturbed.count(t, recorder.wanted)
            info = {key: column[t] for key, column in told.items()}
            recorder.add(info, reward[t], ended[t], **{key: column[t] for key, column in columns.items()})
        if take is not None and (len((part := recorder.take())["episode"]) or recorder.done):
            take(part)
        if progress is not None:
            progress(recorder.completed)
    return recorder
