"""The two-step task (Daw et al. 2011; Wang et al. 2016, 2018)."""

from ..registry import Task
from .analysis import TABLE, analyse, references, summarise
from .baselines import BASELINES
from .drawing import figures
from .env import TwoStepEnv, TwoStepSettings
from .models import ModelPlayer, models

TASK = Task(
    name="two_step",
    gym_id="prefrontal/TwoStep-v0",
    summary="two choices, usually but not always to their own outcome state; which state pays reverses",
    paper="Daw et al. 2011; Wang et al. 2018",
    settings=TwoStepSettings,
    make=TwoStepEnv,
    actions=("left", "right"),
    baselines=BASELINES,
    summarise=summarise,
    analyse=analyse,
    references=references,
    figures=figures,
    side_by_side=True,
    models=models,
    player=ModelPlayer,
    table=TABLE,
    coded=("previous_state", "previous_reward", "previous_choice", "previous_common", "choice", "good_state"),
)
