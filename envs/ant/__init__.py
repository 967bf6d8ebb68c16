"""The ant with a hidden direction, velocity or place to go (Finn et al. 2017)."""

from ..families import COMPARED, LIFE
from ..mujoco_family import BASELINES
from ..registry import Task
from .analysis import analyse, figures, references, summarise
from .env import AntEnv, AntSettings

TASK = Task(
    name="ant",
    gym_id="prefrontal/Ant-v0",
    summary="a robot on four legs that is not told where to go, several episodes a life (docs/maml.md)",
    paper="Finn et al. 2017",
    settings=AntSettings,
    make=AntEnv,
    actions=(),
    baselines=BASELINES,
    summarise=summarise,
    analyse=analyse,
    references=references,
    figures=figures,
    side_by_side=True,
    headline="return_last",
    coded=("goal", "trial"),
    compared=COMPARED,
    life=LIFE,
)
