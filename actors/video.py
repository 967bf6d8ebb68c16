"""An episode as pictures: what the agent's environment renders, step by step."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from ..replay.trajectory import Array
from .rollout import RolloutWorker


def episode_frames(worker: RolloutWorker, most: int = 400) -> Array:
    """One episode of a worker with one environment and an unroll of one step: frames [N, height, width, 3], uint8.

    The last frame is the one before the step that ends the episode, after which autoreset shows the next one.

    Raises:
        ValueError: for a worker of another size.
    """
    if worker.spec.num_envs != 1 or worker.spec.unroll_length != 1:
        raise ValueError("a video needs a worker with num_envs=1 and unroll_length=1")
    worker.env.render_mode = "rgb_array"
    frames = [worker.env.render()]
    while not worker.unroll().trajectory.first[-1, 0] and len(frames) < most:
        frames.append(worker.env.render())
    return np.stack(frames)


def save_gif(frames: Array, path: Path, frames_per_second: float) -> None:
    """Write frames [N, height, width, 3] as an animated GIF that repeats."""
    pictures = [Image.fromarray(frame) for frame in frames]
    duration_ms = round(1000 / frames_per_second)
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=duration_ms, loop=0, optimize=True)
