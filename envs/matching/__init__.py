"""Probability matching (Lau & Glimcher 2005; Tsutsui et al. 2016; Wang et al. 2018, simulation 1)."""

from ..registry import Task
from .analysis import TABLE, analyse, references, summarise
from .baselines import BASELINES
from .drawing import figures
from .env import MatchingEnv, MatchingSettings

TASK = Task(
    name="matching",
    gym_id="prefrontal/Matching-v0",
    summary="two sides with baited rewards: the longer one was left, the likelier it pays",
    paper="Lau & Glimcher 2005; Tsutsui et al. 2016; Wang et al. 2018",
    settings=MatchingSettings,
    make=MatchingEnv,
    actions=("left", "right", "fixate"),
    baselines=BASELINES,
    summarise=summarise,
    analyse=analyse,
    references=references,
    figures=figures,
    side_by_side=True,
    table=TABLE,
    coded=("previous_choice", "previous_reward", "previous_choice*previous_reward", "value"),
)
