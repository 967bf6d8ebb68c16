"""The half-cheetah with a hidden direction or velocity (Finn et al. 2017)."""

from ..families import COMPARED, LIFE
from ..mujoco_family import BASELINES
from ..registry import Task
from .analysis import analyse, figures, references, summarise
from .env import HalfCheetahEnv, HalfCheetahSettings

TASK = Task(
    name="half_cheetah",
    gym_id="prefrontal/HalfCheetah-v0",
    summary="a running robot that is not told the direction or the speed, several episodes a life (docs/maml.md)",
    paper="Finn et al. 2017",
    settings=HalfCheetahSettings,
    make=HalfCheetahEnv,
    actions=("back thigh", "back shin", "back foot", "front thigh", "front shin", "front foot"),
    baselines=BASELINES,
    summarise=summarise,
    analyse=analyse,
    references=references,
    figures=figures,
    side_by_side=True,
    headline="return_last",
    coded=("goal", "velocity", "trial"),
    compared=COMPARED,
    life=LIFE,
)
