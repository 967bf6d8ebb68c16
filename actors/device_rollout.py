"""The rollout worker that stays on one device: tensor task, network and sampling, thousands of episodes at once.

What `rollout.RolloutWorker` does with NumPy on the host, for a `TensorTask` and a learner in the same process. The
trajectory lies where the learner trains on it. Within an unroll nothing asks the device for data, so that the host
runs ahead of it; there is one look before (which episodes may be cut off) and one transfer after it (the returns).
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..envs import registry
from ..envs.tensors import make_generator, restore_generator
from ..models.acting import TorchActing
from ..models.agent import Agent
from ..models.flat import Vector, load_vector
from ..replay.trajectory import Array, LastSteps, Trajectory, on_host
from .recorder import Episodes, Recorder, as_it_is
from .rollout import Unroll, UnrollReport, WorkerSpec, agent_spec, check_finite


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
    ended: Tensor
    """[T, B] bool, where an episode ended."""
    truncated: Tensor
    """[T, B] bool, where it was cut off and not terminated."""


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
            the policy that acted: of the very one that the actions were drawn from.

    Raises:
        NoTensorTaskError: if the task cannot be played as tensors.
        ValueError: for an agent with an episodic memory, which lies on the host.
    """

    memory: None = None
    perturbed: None = None
    """As of a `RolloutWorker` whose agent has none, and nothing is done to."""

    def __init__(self, spec: WorkerSpec, device: torch.device, bf16: bool = False) -> None:
        self.spec, self.device = spec, device
        self.env = registry.tensor_task(spec.task, **spec.task_options)(spec.num_envs, device)
        self.agent = Agent(agent_spec(self.env, spec.model)).to(device).eval()
        if self.agent.has_memory:
            raise ValueError("an episodic memory lies on the host: play this agent with actors.device=host")
        self.params_version = -1
        self._code = self._codes if spec.codes and self.agent.gives_codes else None
        self._bf16 = bf16
        self._acting = TorchActing(self.agent, bf16)
        env_seed, action_seed = spec.seeds()
        self._generator = make_generator(device)
        if self._generator is not None:
            self._generator.manual_seed(action_seed)
        self._episodes = Episodes.begin(self.env.reset(env_seed), self.agent.policy, as_it_is, device)
        with torch.no_grad():
            self._state = tuple(component.clone() for component in self.agent.initial_state(spec.num_envs))

    def close(self) -> None:
        """As of a `RolloutWorker`; a task of tensors holds nothing open."""

    def load(self, version: int, vector: Vector | Tensor, env_steps: int = 0) -> None:  # noqa: ARG002
        """As of a `RolloutWorker`."""
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
        length, acting = self.spec.unroll_length, self._acting
        clock = clock or _Clock(self.device)
        record = Recorder(length, self._episodes, self.env.info_spec, as_it_is, self.device, self._code)
        initial_state = self._state
        shape = (length, self.spec.num_envs)
        noise = self.agent.policy.noise(shape, self._generator, self.spec.greedy, self.device)
        acting.begin(record.seen, noise, initial_state)
        for t, (action, rows) in enumerate(zip(acting.actions.unbind(), watched, strict=True)):
            acting.step(t)
            clock.mark()
            obs, played, final_obs = self.env.step(action, rows)
            clock.mark()
            record.step(
                t, action, played.reward, played.terminated, played.terminated | played.truncated, obs, played.info
            )
            if rows is not None and final_obs is not None:
                record.cut(t, rows, final_obs, acting.state)
        self._state = acting.state
        record.carry(self._episodes)
        info = {name: torch.stack(rows) for name, rows in record.info.items()} | {"first": record.first}
        trajectory = record.trajectory(acting, initial_state, self.params_version, self.spec.actor_id)
        return Recorded(trajectory, info, record.ended, record.ended & ~record.terminated)

    def _codes(self, obs: Tensor) -> Tensor:
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self._bf16):
            return self.agent.codes(obs).float()

    def _hand_over(self, recorded: Recorded, clock: _Clock, started: float) -> tuple[Trajectory, UnrollReport]:
        """The trajectory with the episodes that were truly cut off, and the report: one transfer to the host."""
        trajectory, last = recorded.trajectory, recorded.trajectory.last
        tensors = [torch.as_tensor(trajectory.reward), recorded.ended, _all_finite(trajectory)]
        if last is not None:
            tensors.append(recorded.truncated[last.time, last.row])
        sizes = np.cumsum([tensor.numel() for tensor in tensors])[:-1]
        reward, ended, finite, *cut = np.split(torch.cat([t.flatten().float() for t in tensors]).cpu().numpy(), sizes)
        if not finite.all():
            arrays = {"observation": trajectory.obs, "reward": trajectory.reward}
            arrays |= {"last_observation": last.obs} if last is not None else {}
            check_finite(self.spec.task, **{name: on_host(data) for name, data in arrays.items()})
        if last is not None:
            chosen = _chosen(last, np.flatnonzero(cut[0]), self.device)
            trajectory = dataclasses.replace(trajectory, last=chosen)
        shape = recorded.ended.shape
        finished = self._episodes.finished(reward.reshape(shape), ended.reshape(shape) > 0)
        total_s = time.perf_counter() - started
        report = UnrollReport.of(self.spec, self.params_version, finished, clock.seconds(), total_s)
        return trajectory, report

    # Exact resume ------------------------------------------------------------------------------------------

    def state(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Everything needed to go on from here exactly: arrays on the host, and plain JSON."""
        arrays = {f"env.{name}": value for name, value in self.env.state().items()}
        arrays |= {f"core.{i}": on_host(component).copy() for i, component in enumerate(self._state)}
        arrays |= {f"worker.{name}": value for name, value in self._episodes.state().items()}
        if self._generator is not None:
            arrays["worker.noise"] = self._generator.get_state().numpy().copy()
        return arrays, {"on_device": True}

    def restore(self, arrays: Mapping[str, Array], scalars: Mapping[str, Any]) -> None:
        """Go on from a `state` of a worker with the same spec; from one of the host, with new episodes."""
        if not scalars.get("on_device"):
            return

        def put(array: Array) -> Tensor:
            return torch.from_numpy(array.copy()).to(self.device)

        self.env.restore({k.removeprefix("env."): v for k, v in arrays.items() if k.startswith("env.")})
        self._state = tuple(put(arrays[f"core.{i}"]) for i in range(len(self._state)))
        worker = {k.removeprefix("worker."): v for k, v in arrays.items() if k.startswith("worker.")}
        self._episodes = Episodes.restored(self.env.observe(), worker, put)
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
