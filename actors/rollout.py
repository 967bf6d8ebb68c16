"""The rollout worker: plays B episodes of one task with an agent and hands over trajectories. Knows no Ray.

A Ray actor (`remote.py`), the one-process engine, the tests and the benchmark all use this one class. Acting costs one
inference call a step for the whole batch; what can wait (log-probabilities, checks) is done once an unroll.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..envs import registry
from ..envs.tensors import TensorTask
from ..envs.vector import EnvironmentFaultError, VectorTask
from ..learner.algorithm import AlgorithmConfig
from ..learner.objective import Objective
from ..models.acting import Acting, make_acting
from ..models.agent import Agent, AgentSpec, ModelConfig
from ..models.flat import Vector, load_vector
from ..models.perturbation import Interventions
from ..models.perturbed import PerturbedActing
from ..replay.gradient import Gradient, Result
from ..replay.trajectory import Array, Trajectory, on_host
from .gradients import GradientMaker
from .recorder import Episodes, Recorder
from .remembering import Remembering, told_of
from .spaces import actions_of

HOST = torch.device("cpu")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class WorkerSpec:
    """Everything a worker is built from: small and plain, so that a restarted actor depends on nothing else."""

    task: str
    task_options: Mapping[str, Any]
    model: ModelConfig
    num_envs: int
    """B, episodes side by side."""
    unroll_length: int
    """T."""
    seed: int
    actor_id: int
    generation: int = 0
    """How many times this actor was replaced; a replacement draws other episodes."""
    codes: bool = False
    """Hand over `Agent.codes` in the place of observations, if the agent gives them: what a frozen encoder makes of an
    observation is the same for the learner, and small."""
    greedy: bool = False
    """Take the likeliest action instead of sampling the policy (evaluation only)."""
    objective: Objective | None = None
    """Compute the gradient of each unroll, of this."""
    adaptation: AlgorithmConfig | None = None
    """Adapt the policy to each task within an unroll, as this says (`actors.adapting`)."""
    interventions: Interventions | None = None
    """Act under these (evaluation only)."""

    def seeds(self) -> tuple[int, int]:
        """Independent seeds for the environments and for the action noise."""
        sequence = np.random.SeedSequence(self.seed, spawn_key=(self.actor_id, self.generation))
        env_seed, action_seed = sequence.generate_state(2, dtype=np.uint32)
        return int(env_seed), int(action_seed)

    def acting(self, agent: Agent) -> Acting:
        """What makes the agent's steps.

        Raises:
            ValueError: for interventions that cannot be of this agent.
        """
        if self.interventions is None:
            return make_acting(agent, keep=self.objective is not None)
        return PerturbedActing(agent, self.interventions, self.num_envs, self.seeds()[1])


@dataclass(frozen=True)
class UnrollReport:
    """A few numbers about an unroll, for counters and the log."""

    actor_id: int
    env_steps: int
    params_version: int
    returns: Array
    """[n] undiscounted returns of the episodes that ended in this unroll."""
    lengths: Array
    """[n] their lengths in environment steps."""
    env_s: float
    """Seconds spent in the environment."""
    inference_s: float
    """Seconds spent in the network."""
    total_s: float
    """Seconds for the whole unroll."""

    @classmethod
    def of(
        cls, spec: WorkerSpec, params_version: int, finished: tuple[Array, Array], env_s: float, total_s: float
    ) -> UnrollReport:
        """Of a worker's unroll, with the returns and lengths of the episodes that `finished` in it."""
        return cls(
            actor_id=spec.actor_id,
            env_steps=spec.unroll_length * spec.num_envs,
            params_version=params_version,
            returns=finished[0],
            lengths=finished[1],
            env_s=env_s,
            inference_s=total_s - env_s,
            total_s=total_s,
        )


@dataclass(frozen=True)
class Unroll:
    """What one call of `unroll` gives."""

    trajectory: Trajectory
    info: Mapping[str, Array]
    """The task's truth, [T, B] a key (see `VectorTask.info_spec`), `first` [T+1, B] and, with an episodic memory, what
    `remembering.INFO` names, [T, B]: for analyses, not learning."""
    report: UnrollReport
    gradient: Gradient | None = None
    """Of the trajectory, where the worker computes it."""

    @property
    def result(self) -> Result:
        """What the learner is sent."""
        return self.trajectory if self.gradient is None else self.gradient


def agent_spec(env: VectorTask | TensorTask, model: ModelConfig) -> AgentSpec:
    """The agent that fits a task's spaces.

    Raises:
        ValueError: for an action space that no policy acts in.
    """
    obs_shape = tuple(env.single_observation_space.shape or ())
    return AgentSpec(obs_shape, actions_of(env.single_action_space), model, env.cue_size)


def check_finite(task: str, **named: Array) -> None:
    """Raise `EnvironmentFaultError` if one of a task's arrays [T, B, ...] holds NaN or infinity."""
    for name, values in named.items():
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            where = tuple(np.argwhere(~np.isfinite(values))[0].tolist())
            raise EnvironmentFaultError(
                f"task '{task}' returned a {name.replace('_', ' ')} that is not finite: "
                f"{values[where]} at index {where} of this unroll (step, environment, ...)"
            )


class RolloutWorker:
    """Plays unrolls of T steps x B episodes; episodes, recurrent states and memories go on from unroll to unroll."""

    def __init__(self, spec: WorkerSpec) -> None:
        self.spec = spec
        self.env = registry.make_vector(spec.task, spec.num_envs, **spec.task_options)
        self.agent = Agent(agent_spec(self.env, spec.model)).eval()
        self.params_version = -1
        self._code = self._codes if spec.codes and self.agent.gives_codes else None
        self._acting = spec.acting(self.agent)
        self._types = dict(told_of(self.env, self.agent))
        self._gradients = None if spec.objective is None else GradientMaker(self.agent, spec.objective)
        self._env_steps = 0
        env_seed, action_seed = spec.seeds()
        self._generator = torch.Generator().manual_seed(action_seed)
        self._begin(env_seed)

    def _begin(self, env_seed: int | None) -> None:
        """New episodes, as if nothing had been played."""
        batch = self.spec.num_envs
        obs, _ = self.env.reset(seed=env_seed)
        self._episodes = Episodes.begin(self._checked_shape(obs), self.agent.policy, Tensor.numpy, HOST)
        with torch.no_grad():
            self._state = tuple(component.clone() for component in self.agent.initial_state(batch))
        self.memory = Remembering(self.agent, batch) if self.agent.has_memory else None

    def close(self) -> None:
        """End what the environment holds open. Whatever was played is not lost where it fails in that."""
        try:
            self.env.close()
        except Exception as error:
            log.warning("task '%s' could not be closed: %s", self.spec.task, error)

    def load(self, version: int, vector: Vector | Tensor, env_steps: int = 0) -> None:
        """Act with these parameters from now on (see `Published`)."""
        load_vector(vector, self.agent.parameters())
        self.params_version, self._env_steps = version, env_steps

    @property
    def perturbed(self) -> PerturbedActing | None:
        """What acts under interventions, where it does."""
        return self._acting if isinstance(self._acting, PerturbedActing) else None

    @torch.no_grad()
    def unroll(self) -> Unroll:
        """T steps of all B episodes.

        Raises:
            EnvironmentFaultError: if the environment returned a wrong shape or something that is not finite.
        """
        started = time.perf_counter()
        length, env, memory, acting = self.spec.unroll_length, self.env, self.memory, self._acting
        record = Recorder(length, self._episodes, self._types, Tensor.numpy, HOST, self._code)
        initial_state = self._state
        noise = self.agent.policy.noise((length, self.spec.num_envs), self._generator, self.spec.greedy)
        acting.begin(record.seen, noise, initial_state)
        recall: tuple[Tensor, ...] = ()
        env_s = 0.0
        for t, action in enumerate(acting.actions.numpy()):
            self._before_step(t, record)
            if memory is not None:
                cue = env.cue()
                recall, notes = memory.recall(cue)
                record.recall(recall)
            acting.step(t, recall)
            if memory is not None:
                memory.store(cue, acting.state, action)
            before_env = time.perf_counter()
            obs, reward, terminated, truncated, told = env.play(action)
            env_s += time.perf_counter() - before_env
            if memory is not None:
                told |= notes
            told |= self._notes
            if (perturbed := self.perturbed) is not None:
                perturbed.happened(told, action, reward)
            record.step(t, action, reward, terminated, told["_final_obs"], self._checked_shape(obs), told)
            cut = truncated > terminated
            if cut.any():
                self._cut(record, t, np.flatnonzero(cut), told)
        self._state = acting.state
        if memory is not None:
            record.recall(memory.recall(env.cue())[0])
        record.carry(self._episodes)
        trajectory = record.trajectory(acting, initial_state, self.params_version, self.spec.actor_id)
        check_finite(self.spec.task, observation=on_host(trajectory.obs), reward=on_host(trajectory.reward))
        if trajectory.last is not None:
            check_finite(self.spec.task, last_observation=on_host(trajectory.last.obs))
        info = {name: np.array(rows, dtype=self._types[name]) for name, rows in record.info.items()}
        finished = self._episodes.finished(on_host(trajectory.reward), record.ended.numpy())
        gradient = None if self._gradients is None else self._gradients(trajectory, acting, self._env_steps)
        report = UnrollReport.of(self.spec, self.params_version, finished, env_s, time.perf_counter() - started)
        return Unroll(trajectory, {**info, "first": on_host(trajectory.first)}, report, gradient)

    def _codes(self, obs: Array) -> Array:
        return self.agent.codes(torch.from_numpy(obs)).numpy()

    @property
    def _notes(self) -> Mapping[str, Array]:
        """What the worker itself tells of a step, as `info`, [B, ...] each."""
        return {}

    def _before_step(self, t: int, record: Recorder[Array]) -> None:
        """Called before each step of an unroll; row t of what is seen is there."""

    def _cut(self, record: Recorder[Array], t: int, rows: Array, told: Mapping[str, Array]) -> None:
        """The episodes of `rows` [K] were cut off after step t."""
        recall: tuple[Tensor, ...] = ()
        if self.memory is not None and self.env.final_cue is not None:
            recall = self.memory.peek(self.env.final_cue)
        if self.perturbed is not None:
            self.perturbed.look_beyond(told["final_obs"], recall)
        record.cut(t, rows, told["final_obs"][rows], self._acting.state, recall)

    def state(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Everything needed to go on from here exactly: arrays, and plain JSON (the random generators)."""
        env_arrays, env_rng = self.env.state()
        arrays = {f"env.{name}": value for name, value in env_arrays.items()}
        arrays |= {f"core.{i}": component.numpy().copy() for i, component in enumerate(self._state)}
        arrays |= {f"worker.{name}": value for name, value in self._episodes.state().items()}
        arrays["worker.obs"] = self._episodes.obs.copy()
        if self.memory is not None:
            arrays |= {f"memory.{name}": value for name, value in self.memory.state().items()}
        arrays["worker.noise"] = self._generator.get_state().numpy().copy()
        return arrays, {"env_rng": env_rng}

    def restore(self, arrays: Mapping[str, Array], scalars: Mapping[str, Any]) -> None:
        """Go on from a `state` of a worker with the same spec.

        With new episodes if the task cannot be restored, or the state is one of a worker on the learner's device.
        """
        if scalars.get("on_device"):
            return

        def part(prefix: str) -> dict[str, Array]:
            return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}

        self._generator.set_state(torch.from_numpy(arrays["worker.noise"].copy()))
        self.env.restore(part("env."), scalars["env_rng"])
        if not self.env.restorable:
            self._begin(None)
            return
        if self.memory is not None:
            self.memory.restore(part("memory."))
        self._state = tuple(torch.from_numpy(arrays[f"core.{i}"].copy()) for i in range(len(self._state)))
        self._episodes = Episodes.restored(arrays["worker.obs"].copy(), part("worker."), np.copy)

    def _checked_shape(self, obs: Array) -> Array:
        expected = self.env.observation_space.shape
        if np.shape(obs) != expected:
            raise EnvironmentFaultError(
                f"task '{self.spec.task}' returned an observation of shape {np.shape(obs)}; "
                f"its observation_space says {expected}"
            )
        return obs
