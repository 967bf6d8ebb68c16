"""The rollout worker that stays on one device: tensor task, network and sampling, thousands of episodes at once.

What `rollout.RolloutWorker` does with NumPy on the host, for a `TensorTask` and a learner in the same process. The
trajectory lies where the learner trains on it. Within an unroll nothing asks the device for data, so that the host
runs ahead of it; there is one look before (which episodes may be cut off) and one transfer after it (the returns).
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..envs import registry
from ..envs.tensors import make_generator, restore_generator
from ..models.agent import Agent, Seen
from ..models.flat import Vector, load_vector
from ..replay.trajectory import NO_ACTION, Array, LastSteps, Trajectory, join_last, on_host
from .rollout import Unroll, UnrollReport, WorkerSpec, action_noise, agent_spec, check_finite


class Told(Mapping[str, Array]):
    """The task's truth of an unroll. It comes to the host when somebody asks for it, column by column."""

    def __init__(self, columns: Mapping[str, Tensor]) -> None:
        self._columns: dict[str, Tensor | Array] = dict(columns)

    def __getitem__(self, key: str) -> Array:
        column = self._columns[key] = on_host(self._columns[key])
        return column

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)


class Recorded(NamedTuple):
    """What an unroll left on the device."""

    trajectory: Trajectory
    """With the last steps of all rows that were watched, cut off or not."""
    info: Mapping[str, Tensor]
    returns: Tensor
    """[T, B] of the episodes that ended in a step, NaN elsewhere."""
    lengths: Tensor
    """[T, B] steps of the episode until then."""
    cut: Tensor
    """[T, B] bool, where an episode was truncated and not terminated."""


class _Clock:
    """Seconds that the device spent between pairs of marks, read when it is idle anyway."""

    def __init__(self, device: torch.device) -> None:
        self._cuda = device.type == "cuda"
        self._marks: list[Any] = []

    def mark(self) -> None:
        if self._cuda:
            event = torch.cuda.Event(enable_timing=True)
            event.record()
            self._marks.append(event)
        else:
            self._marks.append(time.perf_counter())

    def seconds(self) -> float:
        pairs = zip(self._marks[::2], self._marks[1::2], strict=True)
        return float(sum(a.elapsed_time(b) / 1000 if self._cuda else b - a for a, b in pairs))


class DeviceRollout:
    """Plays unrolls of T steps x B episodes on `device`; episodes and recurrent states go on from unroll to unroll.

    Args:
        spec: as of a `RolloutWorker`.
        device: of the learner.
        bf16: act under bfloat16 autocast, as the learner computes then. What is recorded are the log-probabilities of
            the policy that acted: of the very logits that the actions were drawn from.

    Raises:
        NoTensorTaskError: if the task cannot be played as tensors.
        ValueError: for an agent with an episodic memory, which lies on the host.
    """

    memory: None = None
    """As of a `RolloutWorker` whose agent has none."""

    def __init__(self, spec: WorkerSpec, device: torch.device, bf16: bool = False) -> None:
        self.spec, self.device = spec, device
        self.env = registry.tensor_task(spec.task, **spec.task_options)(spec.num_envs, device)
        self.agent = Agent(agent_spec(self.env, spec.model)).to(device).eval()
        if self.agent.has_memory:
            raise ValueError("an episodic memory lies on the host: play this agent with actors.device=host")
        self.params_version = -1
        self._bf16 = bf16
        env_seed, action_seed = spec.seeds()
        self._generator = make_generator(device)
        if self._generator is not None:
            self._generator.manual_seed(action_seed)
        batch = spec.num_envs
        self._obs = self.env.reset(env_seed)
        self._first = torch.ones(batch, dtype=torch.bool, device=device)
        self._prev_action = torch.full((batch,), NO_ACTION, device=device)
        self._prev_reward = torch.zeros(batch, device=device)
        self._return = torch.zeros(batch, dtype=torch.float64, device=device)
        self._length = torch.zeros(batch, dtype=torch.long, device=device)
        with torch.no_grad():
            self._state = self.agent.initial_state(batch)

    def load(self, version: int, vector: Vector | Tensor) -> None:
        """Act with these parameters from now on."""
        load_vector(vector, self.agent.parameters())
        self.params_version = version

    def unroll(self) -> Unroll:
        """T steps of all B episodes.

        Raises:
            EnvironmentFaultError: if the task gave something that is not finite.
        """
        started = time.perf_counter()
        clock = _Clock(self.device)
        recorded = self.play(self.env.may_be_cut(self.spec.unroll_length), clock)
        trajectory, report = self._hand_over(recorded, clock, started)
        return Unroll(trajectory, Told(recorded.info), report)

    @torch.no_grad()  # not inference_mode, whose tensors the learner's backward pass would refuse
    def play(self, watched: Sequence[Tensor | None], clock: _Clock | None = None) -> Recorded:
        """T steps without a look at the data; `watched` as `TensorTask.may_be_cut` gives it."""
        length, batch, agent = self.spec.unroll_length, self.spec.num_envs, self.agent
        clock = clock or _Clock(self.device)
        obs = torch.empty(length + 1, *self._obs.shape, dtype=self._obs.dtype, device=self.device)
        noise = action_noise(
            (length, batch, agent.spec.num_actions), self._generator, self.spec.greedy, device=self.device
        )
        columns: dict[str, list[Tensor]] = {}
        info: dict[str, list[Tensor]] = {}
        last: list[LastSteps] = []
        initial_state = self._state
        autocast = torch.autocast(self.device.type, dtype=torch.bfloat16) if self._bf16 else contextlib.nullcontext()
        for t in range(length):
            self._note_inputs(obs[t], columns)
            with autocast:
                seen = Seen(self._obs, self._prev_action, self._prev_reward, self._first)
                output, state = agent.act(seen, self._state)
                logits = agent.policy(output)
            self._state = tuple(component.float() for component in state)
            logits = logits.float()
            action = (logits + noise[t]).argmax(-1)
            clock.mark()
            step = self.env.step(action, watched[t])
            clock.mark()
            played, rows = step.played, watched[t]
            if rows is not None and step.final_obs is not None:
                cores = tuple(component[rows] for component in self._state)
                last.append(LastSteps(time=torch.full_like(rows, t), row=rows, obs=step.final_obs, state=cores))
            self._return = self._return + played.reward
            self._length = self._length + 1
            ended = played.terminated | played.truncated
            noted = {
                "action": action,
                "logits": logits,
                "reward": played.reward,
                "discount": (~played.terminated).float(),
                "cut": played.truncated & ~played.terminated,
                "returns": torch.where(ended, self._return, float("nan")),
                "lengths": self._length,
            }
            for into, found in ((columns, noted), (info, played.info)):
                for name, column in found.items():
                    into.setdefault(name, []).append(column)
            self._obs, self._first = step.obs, ended
            self._prev_action = torch.where(ended, NO_ACTION, action)
            self._prev_reward = torch.where(ended, 0.0, played.reward)
            self._return = torch.where(ended, 0.0, self._return)
            self._length = torch.where(ended, 0, self._length)
        self._note_inputs(obs[length], columns)
        stacked = {name: torch.stack(parts) for name, parts in columns.items()}
        action = stacked["action"]
        trajectory = Trajectory(
            obs=obs,
            first=stacked["first"],
            prev_action=stacked["prev_action"],
            prev_reward=stacked["prev_reward"],
            action=action,
            reward=stacked["reward"],
            discount=stacked["discount"],
            behaviour_logp=stacked["logits"].log_softmax(-1).gather(-1, action.unsqueeze(-1)).squeeze(-1),
            initial_state=initial_state,
            recall=(),
            last=join_last([(part, 0) for part in last]),
            params_version=self.params_version,
            actor_id=self.spec.actor_id,
        )
        told = {name: torch.stack(parts) for name, parts in info.items()}
        told["first"] = stacked["first"]
        return Recorded(trajectory, told, stacked["returns"], stacked["lengths"], stacked["cut"])

    def _note_inputs(self, obs: Tensor, columns: dict[str, list[Tensor]]) -> None:
        obs.copy_(self._obs)
        for name in ("first", "prev_action", "prev_reward"):
            columns.setdefault(name, []).append(getattr(self, f"_{name}"))

    def _hand_over(self, recorded: Recorded, clock: _Clock, started: float) -> tuple[Trajectory, UnrollReport]:
        """The trajectory with the episodes that were truly cut off, and the report: one transfer to the host."""
        trajectory, last = recorded.trajectory, recorded.trajectory.last
        tensors = [recorded.returns, recorded.lengths, _all_finite(trajectory)]
        if last is not None:
            tensors.append(recorded.cut[last.time, last.row])
        sizes = np.cumsum([tensor.numel() for tensor in tensors])[:-1]
        numbers = torch.cat([tensor.flatten().double() for tensor in tensors]).cpu().numpy()
        returns, lengths, finite, *cut = np.split(numbers, sizes)
        if not finite.all():
            arrays = {"observation": trajectory.obs, "reward": trajectory.reward}
            arrays |= {"last_observation": last.obs} if last is not None else {}
            check_finite(self.spec.task, **{name: on_host(data) for name, data in arrays.items()})
        if last is not None:
            chosen = _chosen(last, np.flatnonzero(cut[0]), self.device)
            trajectory = dataclasses.replace(trajectory, last=chosen)
        ended = np.isfinite(returns)
        total_s, env_s = time.perf_counter() - started, clock.seconds()
        report = UnrollReport(
            actor_id=self.spec.actor_id,
            env_steps=trajectory.env_steps,
            params_version=self.params_version,
            returns=returns[ended],
            lengths=lengths[ended].astype(np.int64),
            env_s=env_s,
            inference_s=total_s - env_s,
            total_s=total_s,
        )
        return trajectory, report

    # Exact resume ------------------------------------------------------------------------------------------

    _CARRIED = ("first", "prev_action", "prev_reward", "return", "length")

    def state(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Everything needed to go on from here exactly: arrays on the host, and plain JSON."""
        arrays = {f"env.{name}": value for name, value in self.env.state().items()}
        arrays |= {f"core.{i}": on_host(component).copy() for i, component in enumerate(self._state)}
        arrays |= {f"worker.{name}": on_host(getattr(self, f"_{name}")).copy() for name in self._CARRIED}
        if self._generator is not None:
            arrays["worker.noise"] = self._generator.get_state().numpy().copy()
        return arrays, {"on_device": True}

    def restore(self, arrays: Mapping[str, Array], scalars: Mapping[str, Any]) -> None:
        """Go on from a `state` of a worker with the same spec; from one of the host, with new episodes."""
        if not scalars.get("on_device"):
            return

        def tensor(name: str) -> Tensor:
            return torch.from_numpy(arrays[name].copy()).to(self.device)

        self.env.restore({k.removeprefix("env."): v for k, v in arrays.items() if k.startswith("env.")})
        self._obs = self.env.observe()
        self._state = tuple(tensor(f"core.{i}") for i in range(len(self._state)))
        for name in self._CARRIED:
            setattr(self, f"_{name}", tensor(f"worker.{name}"))
        if self._generator is not None:
            restore_generator(self._generator, arrays["worker.noise"])


def _all_finite(trajectory: Trajectory) -> Tensor:
    """[1] bool: whether rewards and observations are."""
    data = [trajectory.reward, trajectory.obs] + ([] if trajectory.last is None else [trajectory.last.obs])
    floating = [d for d in data if isinstance(d, Tensor) and d.is_floating_point()]
    return torch.stack([torch.isfinite(d).all() for d in floating]).all().unsqueeze(0)


def _chosen(last: LastSteps, which: Array, device: torch.device) -> LastSteps | None:
    """Those of the records `which` [K]."""
    if not len(which):
        return None
    rows = torch.from_numpy(which).to(device)
    state = tuple(component[rows] for component in last.state)
    return LastSteps(time=last.time[rows], row=last.row[rows], obs=last.obs[rows], state=state)
