"""An episode as pictures: what the agent's environment shows, step by step, and what the agent makes of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Box
from PIL import Image
from torch import Tensor

from ..envs.canvas import Canvas
from ..replay.trajectory import Array, on_host
from .adapting import AdaptingWorker
from .evaluation import Replayed
from .recorder import Recorder
from .rollout import RolloutWorker, WorkerSpec


@dataclass(frozen=True)
class Film:
    """N steps of one episode; entry i is what was seen before action i and what the agent made of it."""

    frames: Array
    """[N, height, width, 3] uint8: the observations where they are pictures, else what the task renders."""
    trial: Array
    """[N] from 0."""
    prev_action: Array
    """[N, ...], none at the first step."""
    prev_reward: Array
    """[N]"""
    value: Array
    """[N]"""
    policy: Array
    """[N, K] from 0 to 1: the probability of each choice; of a `Box` where its mean lies between the bounds."""
    gaze: Array | None
    """[N, 2] x and y as fractions of the frame, for tasks whose `info` has `gaze_x` and `gaze_y`."""


@torch.inference_mode()
def film_episode(worker: RolloutWorker, most: int = 400, reward_scale: float = 1.0) -> Film:
    """One episode of a worker with one environment and an unroll of one step, or its first `most` steps.

    The last frame is the one before the step that ends the episode, after which autoreset shows the next one. Values
    are told in units of reward, of an agent that was trained with `reward_scale`.

    Raises:
        ValueError: for a worker of another size.
    """
    if worker.spec.num_envs != 1 or worker.spec.unroll_length != 1:
        raise ValueError("a video needs a worker with num_envs=1 and unroll_length=1")
    worker.env.render_mode = "rgb_array"
    space = worker.env.single_observation_space
    seen_as_shown = space.dtype == np.uint8 and len(space.shape or ()) == 3 and (space.shape or ())[-1] in (1, 3)
    columns: dict[str, list[Array]] = {}
    ended = False
    while not ended and len(columns.get("frames", [])) < most:
        picture = None if seen_as_shown else worker.env.render()
        unroll = worker.unroll()
        played = unroll.trajectory
        replayed = Replayed.of(unroll, worker.agent, 0.0, worker.perturbed, reward_scale)
        policy, value = replayed.policy, replayed.value
        obs = on_host(played.obs)[0, 0]
        step = {
            "frames": np.broadcast_to(obs, (*obs.shape[:2], 3)) if picture is None else picture,
            "trial": unroll.info["trial"][0, 0],
            "prev_action": played.prev_action[0, 0],
            "prev_reward": played.prev_reward[0, 0],
            "value": value[0, 0].numpy(),
            "policy": _shares(worker.env.single_action_space, worker.agent.policy.shares(policy[0, 0]).numpy()),
        }
        if "gaze_x" in unroll.info and "gaze_y" in unroll.info:
            step["gaze"] = np.array([unroll.info["gaze_x"][0, 0], unroll.info["gaze_y"][0, 0]])
        for name, entry in step.items():
            columns.setdefault(name, []).append(entry)
        ended = bool(played.first[-1, 0])
    arrays = {name: np.stack(entries) for name, entries in columns.items()}
    return Film(gaze=arrays.pop("gaze", None), **arrays)


class _Filmed(AdaptingWorker):
    """Draws row 0 before each step of its first and of its last phase."""

    def __init__(self, spec: WorkerSpec) -> None:
        super().__init__(spec)
        self.env.render_mode = "rgb_array"
        self.frames: list[Array] = []

    def _before_step(self, t: int, record: Recorder[Array]) -> None:
        super()._before_step(t, record)
        if self._phase in (0, self._config.maml.steps):
            frame = self.env.render()
            canvas = Canvas(frame.shape[1], frame.shape[0] + 26)
            canvas.picture(0, 26, frame)
            canvas.text(frame.shape[1] / 2, 14, f"{self._phase} steps of adaptation", size=15)
            self.frames.append(canvas.pixels)


def film_adaptation(spec: WorkerSpec, parameters: Mapping[str, Tensor]) -> Array:
    """An episode of one task before adaptation and one after its last step: frames [N, height, width, 3].

    Args:
        spec: of an `AdaptingWorker`; it plays one task.
        parameters: the agent's, for `load_state_dict`.
    """
    assert spec.adaptation is not None
    worker = _Filmed(dataclasses.replace(spec, num_envs=spec.adaptation.maml.episodes))
    worker.agent.load_state_dict(parameters)
    worker.unroll()
    worker.close()
    return np.stack(worker.frames)


def _shares(space: gymnasium.Space[Any], shares: Array) -> Array:
    if not isinstance(space, Box):
        return shares
    low, high = space.low.flatten(), space.high.flatten()
    bounded = np.isfinite(low) & np.isfinite(high)
    start, width = np.where(bounded, low, 0), np.where(bounded, high - low, 1)
    # Without bounds a logistic curve, with 0 in the middle.
    return np.where(bounded, np.clip((shares - start) / width, 0, 1), 1 / (1 + np.exp(-shares)))


def save_gif(frames: Array, path: Path, frames_per_second: float) -> None:
    """Write frames [N, height, width, 3] as an animated GIF that repeats; each has a palette of its own colours."""
    pictures = [
        Image.fromarray(frame).quantize(method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE) for frame in frames
    ]
    duration_ms = round(1000 / frames_per_second)
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=duration_ms, loop=0)
