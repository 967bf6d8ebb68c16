"""The rollout worker of MAML: plays each of its tasks, adapts the policy to it, plays it again, and so on.

An unroll is a life of every task: K episodes by the common parameters, a step of adaptation, K episodes by those that
came of it, ... It is one trajectory, from which the learner takes the same steps again (`learner.maml`).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from ..envs import registry
from ..envs.vector import EnvironmentFaultError, VectorTask
from ..learner.adaptation import Adaptation, Part
from ..learner.algorithm import AlgorithmConfig
from ..models.acting import TorchActing
from ..models.agent import Agent, Seen
from ..models.core import State
from ..replay.trajectory import Array
from .recorder import Recorder
from .rollout import RolloutWorker, Unroll, WorkerSpec

ADAPTATION = "adaptation"
"""In the table of trials: how many steps of adaptation came before."""


class AdaptedActing(TorchActing):
    """Acts as `TorchActing` does, by parameters of its own in each task once there are some.

    Args:
        agent: acts.
        adaptation: of the agent.
        episodes: K, rows of a task.
    """

    def __init__(self, agent: Agent, adaptation: Adaptation, episodes: int) -> None:
        super().__init__(agent)
        self._adaptation, self._episodes = adaptation, episodes
        self._parameters: dict[str, Tensor] | None = None

    def begin(self, seen: Seen, noise: Tensor, state: State) -> None:  # noqa: D102  # see Acting
        super().begin(seen, noise, state)
        self._parameters = None
        self._before: State | None = None

    def adapt(self, part: Part, fresh: bool, then_fresh: bool) -> None:
        """Take a step in each task by what was just played.

        Args:
            part: what was played, since `begin` or the last step of adaptation.
            fresh: whether episodes started with it.
            then_fresh: whether episodes start now.
        """
        tasks = part.advantage.shape[1]
        parameters = self._adaptation.shared(tasks) if self._parameters is None else self._parameters
        self._parameters = self._adaptation.step(parameters, part, None if fresh else self._before)
        self._before = self._by_task(self.state)
        self._starts_anew = then_fresh

    def _by_task(self, rows: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(tensor.unflatten(0, (-1, self._episodes)) for tensor in rows)

    def _decide(self, seen: Seen) -> tuple[Tensor, State]:
        if self._parameters is None:
            return super()._decide(seen)
        obs, prev_action, prev_reward = self._by_task(seen[:3])
        own = Seen(obs, prev_action, prev_reward, None)
        state = None if self._starts_anew else self._by_task(self.state)
        self._starts_anew = False
        policy, after = self._adaptation.act(self._parameters, own, state)
        return policy.flatten(0, 1), tuple(component.flatten(0, 1) for component in after)


class AdaptingWorker(RolloutWorker):
    """Plays lives of `num_envs` / K tasks, by a spec whose unroll length is `AlgorithmConfig.played_steps`.

    Raises:
        ValueError: see `check_played_by_task`.
    """

    def __init__(self, spec: WorkerSpec) -> None:
        assert spec.adaptation is not None
        self._config: AlgorithmConfig = spec.adaptation
        self._per_task, self._phase_length = self._config.maml.episodes, self._config.unroll_length
        super().__init__(spec)
        check_played_by_task(self.env, self._config)
        self._adapts = AdaptedActing(self.agent, Adaptation(self.agent, self._config.maml), self._per_task)
        self._acting = self._adapts
        self._types[ADAPTATION] = np.int8

    def unroll(self) -> Unroll:
        """A life of new tasks, the rows of each one after the other. Raises as `RolloutWorker.unroll`."""
        self._begin(None)
        self._tasks = {
            name: np.repeat(value[:: self._per_task], self._per_task, axis=0)
            for name, value in self.env.hidden_tasks().items()
        }
        self._episodes.obs = self.env.play_hidden(self._tasks)
        self._fresh = True
        return super().unroll()

    @property
    def _notes(self) -> Mapping[str, Array]:
        return {ADAPTATION: np.full(self.spec.num_envs, self._phase, dtype=np.int8)}

    def _before_step(self, t: int, record: Recorder[Array]) -> None:
        self._phase, into = divmod(t, self._phase_length)
        if into or not t:
            return
        start = t - self._phase_length
        ended = record.ended[start:t].numpy()
        over = bool(ended[-1].all())
        if ended[:-1].any() or ended[-1].any() != over:
            raise EnvironmentFaultError(
                f"task '{self.spec.task}' has an episode that ends within algo.unroll_length={self._phase_length} "
                "steps: with algo=maml all have that length, or it is a part of theirs"
            )
        if over:
            obs = self.env.play_hidden(self._tasks)
            record.seen.obs[t] = torch.from_numpy(obs)
        acting, rows = self._adapts, slice(start, t)
        seen = Seen(record.seen.obs[rows], record.seen.prev_action[rows], record.seen.prev_reward[rows], None)
        action = acting.actions[rows]
        log_prob = self.agent.policy.log_prob(acting.policy[rows], action)
        acting.adapt(Part.of(seen, action, record.reward[rows], log_prob, self._config), self._fresh, over)
        self._fresh = over


def check_played_by_task(env: VectorTask, config: AlgorithmConfig) -> None:
    """That an environment can be played K rows a task, again and again.

    Raises:
        ValueError: if its rows are not K a task, or it hides nothing.
    """
    if not env.hidden:
        able = ", ".join(name for name, task in registry.tasks().items() if getattr(task.make, "hidden", ()))
        raise ValueError(f"algo=maml needs a task that hides something which can be played again: {able}")
    if env.num_envs % config.maml.episodes:
        raise ValueError(
            f"{env.num_envs} episodes side by side (actors.envs, evaluate.envs) are no whole number of tasks with "
            f"algo.maml.episodes={config.maml.episodes} each"
        )


def ends_with_a_phase(env: VectorTask, config: AlgorithmConfig) -> bool:
    """Whether an episode of an environment ends with a phase, or goes on; plays as long as one.

    Raises:
        ValueError: if it ends within a phase.
    """
    env.reset(seed=0)
    env.action_space.seed(0)
    for step in range(1, config.unroll_length + 1):
        _, _, terminated, truncated, _ = env.step(env.action_space.sample())
        ended = bool((terminated | truncated).any())
        if ended and step < config.unroll_length:
            raise ValueError(
                f"algo.unroll_length={config.unroll_length} is the length of an episode with algo=maml, and this "
                f"task's end after {step} steps"
            )
    return ended


def make_rollout_worker(spec: WorkerSpec) -> RolloutWorker:
    """The worker that a spec asks for, on the host."""
    return RolloutWorker(spec) if spec.adaptation is None else AdaptingWorker(spec)
