"""What an agent thinks, under the pictures of an episode: trial, last choice and reward, value, policy."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...actors.video import Film
from ...envs.canvas import INK, Canvas, Color
from ...envs.registry import Task
from ...models.policy import Actions
from ...replay.trajectory import Array

LEAST_WIDTH = 252
"""Smaller frames are enlarged, each pixel to a square."""

PANEL_HEIGHT = 130
MARGIN = 10
VALUE: Color = (64, 112, 176)
POLICY: Color = (216, 132, 44)
GAZE: Color = (240, 60, 60)
GROUND: Color = (222, 222, 226)


def action_names(task: Task, settings: Any, num_actions: int) -> list[str]:
    """The task's names of its actions with these settings, or numbers where it does not know all."""
    known = task.action_names(settings)
    return list(known) if len(known) == num_actions else [f"action {i + 1}" for i in range(num_actions)]


def column_names(task: Task, settings: Any, actions: Actions) -> list[str]:
    """What stands under the columns of a film's policy: actions, component.choice, or components."""
    if actions.kind == "discrete":
        return action_names(task, settings, *actions.sizes)
    if actions.kind == "multi_discrete":
        return [f"{k}.{i}" for k, size in enumerate(actions.sizes, 1) for i in range(1, size + 1)]
    return [str(d) for d in range(1, actions.sizes[0] + 1)]


def with_thoughts(film: Film, names: Sequence[str]) -> NDArray[np.uint8]:
    """The film's frames, enlarged where they are small, each over a panel: [N, height, width, 3].

    Args:
        film: of one episode.
        names: of `column_names`.
    """
    scale = -(-LEAST_WIDTH // film.frames.shape[2])
    frames = film.frames.repeat(scale, axis=1).repeat(scale, axis=2) if scale > 1 else film.frames
    # One scale for the whole episode, with zero on it.
    bounds = min(0.0, float(film.value.min())), max(0.0, float(film.value.max()), 1e-6)
    return np.stack([_page(film, i, frame, names, bounds) for i, frame in enumerate(frames)])


def _page(
    film: Film, i: int, frame: NDArray[np.uint8], names: Sequence[str], bounds: tuple[float, float]
) -> NDArray[np.uint8]:
    height, width = frame.shape[:2]
    canvas = Canvas(width, height + PANEL_HEIGHT)
    canvas.picture(0, 0, frame)
    if film.gaze is not None:
        x, y = film.gaze[i]
        canvas.ring(x * width, y * height, max(4.0, width / 40), GAZE)
    last = f"   last: {_named(film.prev_action[i], names)}, {film.prev_reward[i]:+.2f}" if i else ""
    canvas.text(width / 2, height + 14, f"trial {int(film.trial[i]) + 1}{last}", size=13)
    _value(canvas, width, height + 34, float(film.value[i]), bounds)
    _policy(canvas, width, height + 52, film.policy[i], names)
    return canvas.pixels


def column_labels(names: Sequence[str], room: float) -> list[list[str]]:
    """The names in at most two lines of `room` letters; if that would call two the same, numbers where they fit."""
    fits = max(1, int(room))
    wrapped = [textwrap.wrap(name, fits, break_long_words=False)[:2] for name in names]
    labels = [[line[:fits] for line in lines] for lines in wrapped]
    if len({tuple(label) for label in labels}) == len(names):
        return labels
    every = math.ceil((len(str(len(names))) + 1) / room)
    return [[] if i % every else [str(i)] for i in range(1, len(names) + 1)]


def _named(action: Array, names: Sequence[str]) -> str:
    """An action [...] in words or numbers."""
    if action.ndim == 0:
        return names[int(action)]
    return " ".join(str(choice + 1) if action.dtype.kind == "i" else f"{choice:+.2f}" for choice in action)


def _value(canvas: Canvas, width: int, y: int, value: float, bounds: tuple[float, float]) -> None:
    """A bar from zero, and the number."""
    low, high = bounds
    left, right = MARGIN + 74, width - MARGIN
    canvas.text(MARGIN + 32, y, f"V {value:+.2f}", size=13)

    def place(at: float) -> float:
        return left + (right - left) * (at - low) / (high - low)

    canvas.line(left, y, right, y, GROUND, width=8)
    canvas.line(place(0.0), y, place(value), y, VALUE, width=8)
    canvas.line(place(0.0), y - 7, place(0.0), y + 7, INK, width=1)


def _policy(canvas: Canvas, width: int, top: int, policy: NDArray[np.float32], names: Sequence[str]) -> None:
    """One column an action, as high as its probability (see `Film.policy`)."""
    tall, column = 44, (width - 2 * MARGIN) / len(policy)
    thickness = int(max(1, min(34, column - 4)))
    labels = column_labels(names, column / 6.5)
    for action, probability in enumerate(policy):
        x = MARGIN + (action + 0.5) * column
        canvas.line(x, top, x, top + tall, GROUND, width=thickness)
        canvas.line(x, top + tall * (1 - float(probability)), x, top + tall, POLICY, width=thickness)
        for line, words in enumerate(labels[action]):
            canvas.text(x, top + tall + 11 + 12 * line, words, size=11)
