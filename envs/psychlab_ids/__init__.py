"""PsychLab's Harlow task without its pixels: the pictures' numbers are told (the public image-number agent)."""

from ..registry import Task
from .analysis import analyse, figures, references, summarise
from .baselines import BASELINES
from .env import PictureNumbersEnv, PictureNumbersSettings

TASK = Task(
    name="psychlab_ids",
    gym_id="prefrontal/PsychLabIds-v0",
    summary="the same learning set with the pictures' numbers as input, one choice a trial",
    paper="Harlow 1949; Wang et al. 2018",
    settings=PictureNumbersSettings,
    make=PictureNumbersEnv,
    actions=("left", "right"),
    baselines=BASELINES,
    summarise=summarise,
    analyse=analyse,
    references=references,
    figures=figures,
    headline="accuracy_after_first",
    coded=("rewarded_right", "chose_right", "previous_correct"),
)
