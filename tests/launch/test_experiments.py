"""Papers' settings and our own, under `conf/experiment/`: each gives a run that could start."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra import compose, initialize_config_module
from prefrontal.launch.config import task_settings, train_config
from prefrontal.models.cores import CORES

EXPERIMENTS = sorted(path.stem for path in (Path(__file__).parents[2] / "conf" / "experiment").glob("*.yaml"))


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_is_whole(name):
    """All values are known to the run, to the task that is trained on and to the one that is evaluated."""
    with initialize_config_module("prefrontal.conf", version_base="1.3"):
        config = train_config(compose("train", [f"experiment={name}"]))
    trained = task_settings({"name": config.task_name, **config.task_options})
    evaluated = task_settings({"name": config.task_name, **config.evaluation_task_options})
    assert type(trained) is type(evaluated)
    assert config.model.core in CORES
    assert config.run.name != "", "its runs are told apart by name"
