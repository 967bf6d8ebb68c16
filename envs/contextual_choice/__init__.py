"""Contextual choice, the task of the published DND-LSTM."""

from ..registry import Task
from .analysis import analyse, references, summarise
from .baselines import BASELINES
from .drawing import figures
from .env import ContextualChoiceEnv, ContextualChoiceSettings

TASK = Task(
    name="contextual_choice",
    gym_id="prefrontal/ContextualChoice-v0",
    summary="weigh evidence that comes late, or recall the answer from the context",
    paper="published DND-LSTM, after Ritter et al. 2018",
    settings=ContextualChoiceSettings,
    make=ContextualChoiceEnv,
    actions=("negative", "positive"),
    baselines=BASELINES,
    summarise=summarise,
    analyse=analyse,
    references=references,
    figures=figures,
    headline="repeated_noise_accuracy",
    side_by_side=True,
    condition="repeated",
    coded=("repeated", "choice", "correct"),
)
