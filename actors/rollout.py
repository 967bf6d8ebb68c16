"""The rollout worker: plays B episodes of one task with an agent and hands over trajectories. Knows no Ray.

A Ray actor (`remote.py`), the one-process engine, the tests and the benchmark all use this one class. Acting costs one
inference call a step for the whole batch; what can wait (log-probabilities, checks) is done once an unroll.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..envs import registry
from ..envs.tensors import TensorTask
from ..envs.vector import VectorTask
from ..models.agent import Agent, AgentSpec, ModelConfig, Seen
from ..models.flat import Vector, load_vector
from ..replay.trajectory import NO_ACTION, Array, LastSteps, Trajectory, join_last, on_host
from .remembering import INFO, Remembering


class EnvironmentFaultError(RuntimeError):
    """An environment returned what it must not: a wrong shape, NaN or infinity."""


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
    greedy: bool = False
    """Take the likeliest action instead of sampling the policy (evaluation only)."""

    def seeds(self) -> tuple[int, int]:
        """Independent seeds for the environments and for the action noise."""
        sequence = np.random.SeedSequence(self.seed, spawn_key=(self.actor_id, self.generation))
        env_seed, action_seed = sequence.generate_state(2, dtype=np.uint32)
        return int(env_seed), int(action_seed)


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


@dataclass(frozen=True)
class Unroll:
    """What one call of `unroll` gives."""

    trajectory: Trajectory
    info: Mapping[str, Array]
    """The task's truth, [T, B] a key (see `VectorTask.info_spec`), `first` [T+1, B] and, with an episodic memory, what
    `remembering.INFO` names, [T, B]: for analyses, not learning."""
    report: UnrollReport


def agent_spec(env: VectorTask | TensorTask, model: ModelConfig) -> AgentSpec:
    """The agent that fits a task's spaces."""
    num_actions = int(env.single_action_space.n)  # type: ignore[union-attr]  # tasks have discrete actions
    obs_shape = tuple(env.single_observation_space.shape or ())
    return AgentSpec(obs_shape=obs_shape, num_actions=num_actions, model=model, cue_size=env.cue_size)


def action_noise(
    shape: Sequence[int], generator: torch.Generator | None, greedy: bool, device: torch.device | None = None
) -> Tensor:
    """Gumbel noise for logits of a shape: the largest of logits + noise is a sample of the policy; zero if `greedy`.

    One call for a whole unroll.
    """
    noise = torch.empty(*shape, device=device).exponential_(generator=generator).log_().neg_()
    return noise.zero_() if greedy else noise


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
        env_seed, action_seed = spec.seeds()
        self._generator = torch.Generator().manual_seed(action_seed)
        self._begin(env_seed)

    def _begin(self, env_seed: int | None) -> None:
        """New episodes, as if nothing had been played."""
        batch = self.spec.num_envs
        obs, _ = self.env.reset(seed=env_seed)
        self._obs = self._checked_shape(obs)
        self._first = np.ones(batch, dtype=bool)
        self._prev_action = np.full(batch, NO_ACTION, dtype=np.int64)
        self._prev_reward = np.zeros(batch, dtype=np.float32)
        self._return = np.zeros(batch)
        self._length = np.zeros(batch, dtype=np.int64)
        with torch.inference_mode():
            self._state = self.agent.initial_state(batch)
        self.memory = Remembering(self.agent, batch) if self.agent.has_memory else None

    def load(self, version: int, vector: Vector | Tensor) -> None:
        """Act with these parameters from now on."""
        load_vector(vector, self.agent.parameters())
        self.params_version = version

    @torch.inference_mode()
    def unroll(self) -> Unroll:
        """T steps of all B episodes.

        Raises:
            EnvironmentFaultError: if the environment returned a wrong shape or something that is not finite.
        """
        started = time.perf_counter()
        length, batch = self.spec.unroll_length, self.spec.num_envs
        agent, env, memory = self.agent, self.env, self.memory
        obs = np.empty((length + 1, *self._obs.shape), dtype=self._obs.dtype)
        first = np.empty((length + 1, batch), dtype=bool)
        prev_action = np.empty((length + 1, batch), dtype=np.int64)
        prev_reward = np.empty((length + 1, batch), dtype=np.float32)
        reward = np.empty((length, batch), dtype=np.float32)
        discount = np.empty((length, batch), dtype=np.float32)
        info = {key: np.empty((length, batch), dtype=dtype) for key, dtype in env.info_spec.items()}
        if memory is not None:
            info |= {key: np.empty((length, batch), dtype=bool) for key in INFO}
        recalls: list[tuple[torch.Tensor, ...]] = []
        logits = torch.empty(length, batch, agent.spec.num_actions)
        noise = action_noise(logits.shape, self._generator, self.spec.greedy)
        actions = torch.empty(length, batch, dtype=torch.long)
        initial_state = tuple(component.numpy().copy() for component in self._state)
        cut: list[LastSteps] = []
        returns: list[Array] = []
        lengths: list[Array] = []
        env_s = 0.0
        state = self._state
        for t in range(length):
            obs[t], first[t], prev_action[t], prev_reward[t] = (
                self._obs,
                self._first,
                self._prev_action,
                self._prev_reward,
            )
            recall: tuple[torch.Tensor, ...] = ()
            notes: Mapping[str, Array] = {}
            if memory is not None:
                cue = env.cue()
                recall, notes = memory.recall(cue)
                recalls.append(recall)
            starts = torch.from_numpy(first[t]) if first[t].any() else None
            seen = Seen(
                torch.from_numpy(obs[t]),
                torch.from_numpy(prev_action[t]),
                torch.from_numpy(prev_reward[t]),
                starts,
                recall,
            )
            output, state = agent.act(seen, state)
            torch.addmm(agent.policy.bias, output, agent.policy.weight.t(), out=logits[t])
            action = torch.argmax(torch.add(logits[t], noise[t]), -1, out=actions[t]).numpy()
            if memory is not None:
                memory.store(cue, state, action)
            before_env = time.perf_counter()
            next_obs, reward[t], terminated, truncated, step_info = env.step(action)
            env_s += time.perf_counter() - before_env
            self._obs = self._checked_shape(next_obs)
            np.subtract(1.0, terminated, out=discount[t])
            for key, column in info.items():
                column[t] = notes[key] if key in notes else step_info[key]
            self._return += reward[t]
            self._length += 1
            self._first = ended = step_info["_final_obs"]
            if ended.any():
                rows = np.flatnonzero(truncated & ~terminated)
                if rows.size:
                    last_recall: tuple[torch.Tensor, ...] = ()
                    if memory is not None and env.final_cue is not None:
                        last_recall = memory.peek(env.final_cue)
                    cut.append(
                        LastSteps(
                            time=np.full(len(rows), t),
                            row=rows,
                            obs=step_info["final_obs"][rows],
                            state=tuple(c.numpy()[rows] for c in state),
                            recall=tuple(c.numpy()[rows] for c in last_recall),
                        )
                    )
                returns.append(self._return[ended])
                lengths.append(self._length[ended])
                self._return = np.where(ended, 0.0, self._return)
                self._length = np.where(ended, 0, self._length)
                self._prev_action = np.where(ended, NO_ACTION, action)
                self._prev_reward = np.where(ended, np.float32(0), reward[t])
            else:
                self._prev_action, self._prev_reward = action, reward[t]
        obs[length], first[length] = self._obs, self._first
        prev_action[length], prev_reward[length] = self._prev_action, self._prev_reward
        self._state = state
        if memory is not None:
            recalls.append(memory.recall(env.cue())[0])
        last = join_last([(part, 0) for part in cut])
        check_finite(self.spec.task, observation=obs, reward=reward)
        if last is not None:
            check_finite(self.spec.task, last_observation=on_host(last.obs))
        log_policy = torch.log_softmax(logits, dim=-1)
        trajectory = Trajectory(
            obs=obs,
            first=first,
            prev_action=prev_action,
            prev_reward=prev_reward,
            action=actions.numpy(),
            reward=reward,
            discount=discount,
            behaviour_logp=log_policy.gather(-1, actions.unsqueeze(-1)).squeeze(-1).numpy(),
            initial_state=initial_state,
            recall=tuple(torch.stack(component).numpy() for component in zip(*recalls, strict=True)),
            last=last,
            params_version=self.params_version,
            actor_id=self.spec.actor_id,
        )
        total_s = time.perf_counter() - started
        report = UnrollReport(
            actor_id=self.spec.actor_id,
            env_steps=length * batch,
            params_version=self.params_version,
            returns=np.concatenate(returns) if returns else np.zeros(0),
            lengths=np.concatenate(lengths) if lengths else np.zeros(0, dtype=np.int64),
            env_s=env_s,
            inference_s=total_s - env_s,
            total_s=total_s,
        )
        return Unroll(trajectory, {**info, "first": first}, report)

    def state(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Everything needed to go on from here exactly: arrays, and plain JSON (the random generators)."""
        env_arrays, env_rng = self.env.state()
        arrays = {f"env.{name}": value for name, value in env_arrays.items()}
        arrays |= {f"core.{i}": component.numpy().copy() for i, component in enumerate(self._state)}
        arrays |= {f"worker.{name}": np.array(getattr(self, f"_{name}")) for name in self._CARRIED}
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
        with torch.inference_mode():
            self._state = tuple(torch.from_numpy(arrays[f"core.{i}"].copy()) for i in range(len(self._state)))
        for name in self._CARRIED:
            setattr(self, f"_{name}", arrays[f"worker.{name}"].copy())

    _CARRIED = ("obs", "first", "prev_action", "prev_reward", "return", "length")

    def _checked_shape(self, obs: Array) -> Array:
        expected = self.env.observation_space.shape
        if np.shape(obs) != expected:
            raise EnvironmentFaultError(
                f"task '{self.spec.task}' returned an observation of shape {np.shape(obs)}; "
                f"its observation_space says {expected}"
            )
        return obs
