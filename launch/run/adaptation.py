"""What `algo=maml` asks of a run, told before anything of it starts."""

from __future__ import annotations

from ...actors.adapting import check_episodes, check_played_by_task
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
        for options in (config.task_options, config.evaluation_task_options):
            check_episodes(registry.make_vector(config.task_name, 1, **options), config.algo)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    if config.actors.device == "learner" or config.learner.bf16:
        raise ConfigError("algo=maml plays on the host, in float32: set actors.device=host and learner.bf16=false")
    if config.evaluate.perturbations or config.evaluate.record:
        raise ConfigError(
            "algo=maml: a recording or a perturbation is of one network, and each task has one of its own: leave "
            "record=false and perturb=[]"
        )
