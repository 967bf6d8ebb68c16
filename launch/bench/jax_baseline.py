"""The race against one XLA program: `jax_program` in a process of its own, where JAX is installed and the task fits."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from dataclasses import asdict
from typing import Any

from ...envs.two_step.env import TwoStepSettings
from ...models.agent import ModelConfig
from ..config import TrainConfig, task_settings
from ..engines.specs import batch_unrolls
from .rate import Rate

SLOWEST_S = 600.0
"""Beyond what it is to measure; compiling takes seconds."""


def why_not(config: TrainConfig) -> str | None:
    """Why there is nothing to compare with; None if there is."""
    if importlib.util.find_spec("jax") is None:
        return "JAX is not installed (pip install jax)"
    model = config.model
    plain = ModelConfig(hidden_sizes=model.hidden_sizes)
    if config.task_name != "two_step" or model != plain or len(model.hidden_sizes) != 1:
        return "the program is written for task=two_step and one plain LSTM"
    settings = task_settings(config.task)
    episode = TwoStepSettings(settings.common, settings.reward, settings.reversal, trials=config.algo.unroll_length)
    if settings != episode:
        return "the program's episodes are one unroll long, a step a trial"
    return None


def jax_alone(config: TrainConfig, seconds: float, recompute: bool) -> Rate:
    """As many episodes an update as `config` has, learnt with the same loss.

    Args:
        config: for which `why_not` gives None.
        seconds: of the measurement.
        recompute: the loss evaluates the network again, as in IMPALA; else its gradient goes through the playing, as
            where actors compute the gradients.

    Raises:
        RuntimeError: if the program failed; with the last line that it said.
    """
    settings = task_settings(config.task)
    episodes = config.actors.envs * batch_unrolls(config)
    program: dict[str, Any] = {
        "episodes": episodes,
        "length": config.algo.unroll_length,
        "hidden": config.model.hidden_sizes[0],
        "recompute": recompute,
        "seconds": seconds,
        "discount": config.algo.discount,
        "learning_rate": config.algo.learning_rate.start,
        "entropy_weight": config.algo.entropy_weight.start,
        "value_weight": config.algo.value_weight,
        **{name: value for name, value in asdict(settings).items() if name in ("common", "reward", "reversal")},
    }
    command = [sys.executable, "-m", f"{__package__}.jax_program", json.dumps(program)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + SLOWEST_S, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise RuntimeError(f"the JAX program of the benchmark failed: {last}")
    told = json.loads(done.stdout.splitlines()[-1])
    kind = "two passes" if recompute else "one pass"
    return Rate(
        name=f"JAX, one XLA program, {kind}, {episodes} episodes",
        steps_per_second=told["steps"] / told["wall_s"],
        steps_per_cpu_second=told["steps"] / told["cpu_s"],
        memory_mb=told["memory_mb"],
        detail=f"JAX {told['jax']}",
    )
