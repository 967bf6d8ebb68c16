"""Papers' settings and our own, under `conf/experiment/`: each gives a run that could start."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra import compose, initialize_config_module
from prefrontal.launch.config import task_settings, train_config
from prefrontal.models.cores import CORES

CONF = Path(__file__).parents[2] / "conf"
EXPERIMENTS = sorted(path.stem for path in (CONF / "experiment").glob("*.yaml"))


def composed(*overrides):
    with initialize_config_module("prefrontal.conf", version_base="1.3"):
        return train_config(compose("train", list(overrides)))


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_is_whole(name):
    """All values are known to the run, to the task that is trained on and to the one that is evaluated."""
    config = composed(f"experiment={name}")
    trained = task_settings({"name": config.task_name, **config.task_options})
    evaluated = task_settings({"name": config.task_name, **config.evaluation_task_options})
    assert type(trained) is type(evaluated)
    assert config.model.core in CORES
    assert config.run.name != "", "its runs are told apart by name"


@pytest.mark.parametrize("task", sorted(path.stem for path in (CONF / "task").glob("*.yaml")))
def test_ppos_learning_rate_is_its_own_whatever_the_task(task):
    """Tasks set one for a single step of RMSprop a batch; what a person or an experiment asks for stands above both."""
    ppo = composed(f"task={task}", "algo=ppo").algo.learning_rate
    assert ppo == composed("task=harlow", "algo=ppo").algo.learning_rate
    assert composed(f"task={task}", "algo=ppo", "algo.learning_rate.start=0.5").algo.learning_rate.start == 0.5


def test_an_experiment_stands_above_what_its_algorithm_settles():
    asked, with_ppo = (composed("experiment=wang2018_two_step", *more).algo for more in ([], ["algo=ppo"]))
    assert with_ppo.ppo.epochs > 0
    assert with_ppo.learning_rate.start == asked.learning_rate.start
