"""PsychLab's Harlow task in pixels (Leibo et al. 2018; Wang et al. 2018, simulation 5)."""

from ..registry import Task
from ..vector import VectorTask
from .actions import actions_of
from .analysis import analyse, figures, references, summarise
from .baselines import BASELINES
from .env import ScreenEnv
from .lab import LabEnv
from .options import PsychLabSettings
from .screen import Screen


def make(settings: PsychLabSettings, num_envs: int, render_mode: str | None = None) -> VectorTask:
    """The environment that `settings.env` names."""
    return (ScreenEnv if settings.env == "screen" else LabEnv)(settings, num_envs, render_mode)


def tensors(settings: PsychLabSettings) -> type[Screen] | None:
    """What plays on the learner's device: our own screen does, the real game does not."""
    return Screen if settings.env == "screen" else None


TASK = Task(
    name="psychlab_harlow",
    gym_id="prefrontal/PsychLabHarlow-v0",
    summary="the learning set in pixels: look at a cross, then at one of two new pictures",
    paper="Harlow 1949; Leibo et al. 2018; Wang et al. 2018",
    settings=PsychLabSettings,
    make=make,
    alone=lambda settings: settings.env == "dmlab",
    tensors=tensors,
    actions=lambda settings: actions_of(settings.actions).names,
    baselines=BASELINES,
    summarise=summarise,
    analyse=analyse,
    references=references,
    figures=figures,
    headline="accuracy_after_first",
    coded=("rewarded_right", "chose_right", "previous_correct"),
)
