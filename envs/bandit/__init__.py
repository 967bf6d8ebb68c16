"""Bandits (Wang et al. 2016, experiments 1-4)."""

from ..registry import Task
from .analysis import TABLE, analyse, references, summarise
from .baselines import BASELINES
from .drawing import figures
from .env import BanditEnv, BanditSettings
from .models import ModelPlayer, models

TASK = Task(
    name="bandit",
    gym_id="prefrontal/Bandit-v0",
    summary="N arms and a fixed number of pulls: explore, then exploit",
    paper="Wang et al. 2016",
    settings=BanditSettings,
    make=BanditEnv,
    actions=("arm 1", "arm 2"),
    baselines=BASELINES,
    summarise=summarise,
    analyse=analyse,
    references=references,
    figures=figures,
    side_by_side=True,
    models=models,
    player=ModelPlayer,
    table=TABLE,
    coded=("previous_reward", "previous_choice", "choice", "arm_1"),
)
