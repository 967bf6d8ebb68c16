"""What `algo=maml` asks of a run, told before anything of it starts."""

from __future__ import annotations

from ...actors.adapting import check_played_by_task, ends_with_a_phase
from ...envs import registry
from ...envs.vector import VectorTask
from ...learner.adaptation import Adaptation
from ...models.agent import Agent
from ..config import ConfigError, TrainConfig
from ..engines.specs import agent_for


def check_adaptation(config: TrainConfig, *played: VectorTask) -> None:
    """That the agent can adapt, tasks can be played again, and nothing is asked for that one network alone could give.

    Args:
        config: of a run or of a later evaluation, with any algorithm.
        played: what is trained on, or evaluated.

    Raises:
        ConfigError: for what cannot be.
    """
    if not config.algo.maml.steps:
        return
    try:
        Adaptation(Agent(agent_for(config)), config.algo.maml)
        for env in played:
            check_played_by_task(env, config.algo)
        ends_with_a_phase(registry.make_vector(config.task_name, 1, **config.task_options), config.algo)
        evaluated = registry.make_vector(config.task_name, 1, **config.evaluation_task_options)
        if ends_with_a_phase(evaluated, config.algo):
            _check_whole_lives(config)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    if config.actors.device == "learner" or config.learner.bf16:
        raise ConfigError("algo=maml plays on the host, in float32: set actors.device=host and learner.bf16=false")
    if config.evaluate.perturbations or config.evaluate.record:
        raise ConfigError(
            "algo=maml: a recording or a perturbation is of one network, and each task has one of its own: leave "
            "record=false and perturb=[]"
        )


def _check_whole_lives(config: TrainConfig) -> None:
    """That an evaluation, which ends with its last episode, comes to the last step of adaptation.

    Raises:
        ConfigError: if it does not.
    """
    asked, steps = config.evaluate, config.algo.maml.evaluation_steps
    needed = asked.playing * (steps + 1)
    if asked.episodes < needed:
        raise ConfigError(
            f"evaluate.episodes={asked.episodes} end before algo.maml.evaluation_steps={steps} are taken: "
            f"{asked.playing} rows (evaluate.envs) with an episode before each step and one after the last are {needed}"
        )
