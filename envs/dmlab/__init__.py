"""DeepMind Lab (Beattie et al. 2016) and the PsychLab levels in it (Leibo et al. 2018)."""

from ..registry import Task
from .actions import action_names
from .analysis import analyse, figures, references, summarise
from .baselines import BASELINES
from .env import DMLabEnv, DMLabSettings

TASK = Task(
    name="dmlab",
    gym_id="prefrontal/DMLab-v0",
    summary="any level of DeepMind Lab, from pixels (needs deepmind_lab)",
    paper="Beattie et al. 2016; Leibo et al. 2018",
    settings=DMLabSettings,
    make=DMLabEnv,
    alone=lambda _: True,
    actions=lambda settings: action_names(settings.actions),
    baselines=BASELINES,
    summarise=summarise,
    analyse=analyse,
    references=references,
    figures=figures,
    headline="return",
    coded=("rewarded_right", "chose_right", "previous_correct"),
)
