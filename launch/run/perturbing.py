"""Perturbed evaluations: what can be done to an agent in a task, what was done, and what it is held against."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...actors.remembering import told_of
from ...actors.rollout import agent_spec
from ...conf.checking import joined, shown
from ...envs.vector import VectorTask
from ...learner.checkpoint import Checkpoint
from ...models.agent import Agent
from ...models.perturbed import columns_of
from ..config import ConfigError, TrainConfig, train_config
from ..console import errors
from ..engines.specs import Worker
from .folder import RunFolder

CONTROL = "control"
"""What an evaluation is called that a perturbed one is held against."""


def check_perturbations(config: TrainConfig, env: VectorTask, at: str = "") -> None:
    """That the evaluation's perturbations can be done to the agent of a run.

    Args:
        config: of the run.
        env: the evaluation's task.
        at: path to the evaluation's settings, for messages.

    Raises:
        ConfigError: naming what cannot be.
    """
    if not config.evaluate.perturbations:
        return
    agent = Agent(agent_spec(env, config.model))
    columns = columns_of(agent.policy, told_of(env, agent))
    for name, perturbation in config.evaluate.perturbations.items():
        try:
            perturbation.check(agent, columns)
        except ValueError as error:
            raise ConfigError(joined(at, f"{name}.{error}")) from error


def acted(worker: Worker, config: TrainConfig, steps: int) -> list[dict[str, Any]]:
    """What was done, as it was declared, each with the number and the fraction of the `steps` in which it acted."""
    if worker.perturbed is None:
        return []
    perturbations = config.evaluate.perturbations.values()
    return [
        {**one.declared(), "steps": count, "fraction": count / steps}
        for one, count in zip(perturbations, worker.perturbed.counts.tolist(), strict=True)
    ]


def described(perturbation: Mapping[str, Any]) -> str:
    """One line of `acted`, in words."""
    told = {name: value for name, value in perturbation.items() if name not in ("steps", "fraction")}
    what = ", ".join(
        f"{name}: {value:g}" if isinstance(value, float) else f"{name}: {shown(value)}" for name, value in told.items()
    )
    return f"{what} ({perturbation['steps']:,} steps, {100 * perturbation['fraction']:.1f} %)"


def control_of(
    folder: RunFolder, config: TrainConfig, checkpoint: Checkpoint, asked_for: str | None
) -> RunFolder | None:
    """Where the evaluation lies that a perturbed one is held against: the run's own, or one that has a name.

    Args:
        folder: of the run.
        config: of the perturbed evaluation.
        checkpoint: that plays in it.
        asked_for: the name; None: the run's own, if it is one of the same agent and task without perturbations.

    Raises:
        ConfigError: if there is none of that name.
    """
    if asked_for is not None:
        named = folder.evaluation_called(asked_for)
        if not (named.evaluation.is_file() and named.results.is_file()):
            raise ConfigError(f"control={asked_for}: there is no evaluation {named.location} (make it first, by name=)")
        return named
    difference = _difference(folder, config, checkpoint)
    if not difference:
        return folder
    errors.print(f"warning: figures without a control: {difference}; control=<name> names one", style="yellow")
    return None


def _difference(folder: RunFolder, config: TrainConfig, checkpoint: Checkpoint) -> str:
    """Why a run's own evaluation is no control; empty if it is one."""
    if not folder.evaluation.is_file() or not folder.results.is_file():
        return "the run has no evaluation of its own yet"
    own, results = train_config(folder.read_config()).evaluate, folder.read_results()
    if results.get("perturbations"):
        return "the run's own evaluation is perturbed"
    if config.evaluate.task != own.task:
        return "the run's own evaluation has other options of the task"
    if config.evaluate.greedy != own.greedy or results.get("env_steps") != checkpoint.scalars["env_steps"]:
        return "the run's own evaluation is of an agent that chooses otherwise (greedy, checkpoint)"
    return ""
