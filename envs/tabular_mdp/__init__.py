"""Random Markov decision processes of few states (Duan et al. 2016)."""

from ..families import COMPARED, LIFE
from ..registry import Task
from .analysis import analyse, figures, references, summarise
from .baselines import BASELINES
from .env import TabularEnv, TabularSettings

TASK = Task(
    name="tabular_mdp",
    gym_id="prefrontal/TabularMDP-v0",
    summary="a hidden decision process of ten states, several episodes a life (docs/maml.md)",
    paper="Duan et al. 2016; Deleu 2018",
    settings=TabularSettings,
    make=TabularEnv,
    actions=lambda settings: tuple(str(action + 1) for action in range(settings.actions)),
    baselines=BASELINES,
    summarise=summarise,
    analyse=analyse,
    references=references,
    figures=figures,
    side_by_side=True,
    headline="return_last",
    coded=("trial",),
    compared=COMPARED,
    life=LIFE,
)
