"""Harlow's learning set in one dimension (Harlow 1949; Wang et al. 2018, simulation 5)."""

from ..registry import Task
from .analysis import analyse, figures, references, summarise
from .baselines import BASELINES
from .env import HarlowEnv, HarlowSettings

TASK = Task(
    name="harlow",
    gym_id="prefrontal/Harlow-v0",
    summary="find out in one trial which of two new objects pays, and stay with it",
    paper="Harlow 1949; Wang et al. 2018",
    settings=HarlowSettings,
    make=HarlowEnv,
    actions=("left", "right"),
    baselines=BASELINES,
    summarise=summarise,
    analyse=analyse,
    references=references,
    figures=figures,
    headline="accuracy_after_first",
    coded=("rewarded_right", "chose_right", "previous_correct"),
)
