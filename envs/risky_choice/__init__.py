"""A safe and a risky lever (Stopper et al. 2014; Wang et al. 2018, simulation 6)."""

from ..registry import Task
from .analysis import analyse, references, summarise
from .baselines import BASELINES
from .drawing import figures
from .env import RiskyChoiceEnv, RiskyChoiceSettings

TASK = Task(
    name="risky_choice",
    gym_id="prefrontal/RiskyChoice-v0",
    summary="a small reward for certain, or a large one with a probability that each episode draws",
    paper="Stopper et al. 2014; Wang et al. 2018",
    settings=RiskyChoiceSettings,
    make=RiskyChoiceEnv,
    actions=("left", "right", "fixate"),
    baselines=BASELINES,
    summarise=summarise,
    analyse=analyse,
    references=references,
    figures=figures,
    side_by_side=True,
    coded=("previous_reward", "previous_choice", "choice", "p"),
)
