"""`prefrontal play`: a person plays a task, in the terminal or (where there is a display) in a window."""

from __future__ import annotations

import os
import sys
import termios
import tty
from collections.abc import Sequence
from dataclasses import field
from typing import Any, Literal

import hydra
import numpy as np
from gymnasium.spaces import Discrete
from omegaconf import DictConfig

from ...conf.settings import Count, Seed, settings
from ...envs import registry
from ...envs.vector import SingleTask
from ..config import ConfigError, task_settings, verb_settings
from ..console import console
from ..failures import reported
from ..run.film import action_names

QUIT = ("q", "\x03", "\x04")


@settings
class PlaySettings:
    """See `conf/play.yaml`."""

    task: dict[str, Any] = field(default_factory=dict)
    window: bool | Literal["auto"] = "auto"
    episodes: Count = 1
    seed: Seed | None = None


def _display() -> bool:
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")) or sys.platform == "darwin"


def keys_of(num_actions: int) -> dict[str, int]:
    """Keys 1, 2, … 9, a, b, … for actions 0, 1, …"""
    return dict(zip("123456789abcdefghijklm", range(num_actions), strict=False))


def _read_key() -> str:
    """One key without waiting for Enter; a whole line where the input is no terminal."""
    if not sys.stdin.isatty():
        line = sys.stdin.readline()
        return line.strip()[:1] if line else "q"
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor, termios.TCSADRAIN)  # keep what was typed ahead
        return sys.stdin.read(1)
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def play_in_terminal(
    env: SingleTask, task: registry.Task, names: Sequence[str], episodes: int, seed: int | None
) -> list[float]:
    """Play; returns the return of each episode that was finished."""
    keys = keys_of(int(env.action_space.n))  # type: ignore[attr-defined]  # tasks have discrete actions
    legend = "  ".join(f"[bold]{key}[/] {name}" for key, name in zip(keys, names, strict=False))
    returns: list[float] = []
    for episode in range(episodes):
        env.reset(seed=None if seed is None else seed + episode)
        total, steps, ended = 0.0, 0, False
        console.print(
            f"\n[bold]{task.name}[/], episode {episode + 1} of {episodes}    {legend}    [bold]q[/] quit", markup=True
        )
        while not ended:
            console.print(str(env.render()))
            key = _read_key()
            while key not in keys and key not in QUIT:
                key = _read_key()
            if key in QUIT:
                console.print(f"stopped after {steps} steps with a return of {total:.2f}")
                return returns
            _, reward, terminated, truncated, _ = env.step(keys[key])
            total, steps, ended = total + reward, steps + 1, terminated or truncated
            console.print(f"{names[keys[key]]}: reward {reward:+.2f}, so far {total:.2f}", style="dim")
        console.print(str(env.render()))
        console.print(f"episode over: return {total:.2f} in {steps} steps", style="bold")
        returns.append(total)
    return returns


def play_in_window(env: SingleTask, names: Sequence[str], seed: int | None) -> None:
    """Play in Gymnasium's own window."""
    from gymnasium.utils.play import play

    keys = keys_of(int(env.action_space.n))  # type: ignore[attr-defined]
    console.print("  ".join(f"{key}: {name}" for key, name in zip(keys, names, strict=False)) + "  Esc: quit")
    total = 0.0

    def show(_: Any, __: Any, ___: Any, reward: float, terminated: bool, truncated: bool, ____: Any) -> None:
        nonlocal total
        total += float(reward)
        if terminated or truncated:
            console.print(f"episode over: return {total:.2f}", style="bold")
            total = 0.0

    play(env, keys_to_action=dict(keys), seed=seed, wait_on_player=True, callback=show)


def _seed() -> int:
    return int(np.random.default_rng().integers(2**31))


@hydra.main(config_path="pkg://prefrontal.conf", config_name="play", version_base="1.3")
def main(composed: DictConfig) -> None:
    """Entry point of the verb; see the module's text."""
    with reported():
        told = verb_settings(PlaySettings, composed, beside=("model", "algo", "actors", "run", "evaluate"))
        chosen = task_settings(told.task)
        if told.window is True and not _display():
            raise ConfigError("window=true needs a display (DISPLAY or WAYLAND_DISPLAY is not set); use window=false")
        in_window = told.window is True or (told.window == "auto" and _display())
        name = str(told.task["name"])
        options = {key: value for key, value in told.task.items() if key != "name"}
        try:
            env = registry.make_single(name, "rgb_array" if in_window else "ansi", **options)
        except ValueError as error:
            raise ConfigError(str(error)) from error
        if not isinstance(env.action_space, Discrete):
            raise ConfigError(f"a key is one of a few actions; those of this task lie in {env.action_space}")
        task = registry.get(name)
        names = action_names(task, chosen, int(env.action_space.n))
        seed = _seed() if told.seed is None else told.seed
        if in_window:
            play_in_window(env, names, seed)
        else:
            play_in_terminal(env, task, names, told.episodes, seed)
