"""Two-dimensional navigation to a hidden goal (Finn et al. 2017)."""

from ..families import COMPARED, LIFE
from ..registry import Task
from .analysis import analyse, references, summarise
from .baselines import BASELINES
from .drawing import figures
from .env import NavigationEnv, NavigationSettings

TASK = Task(
    name="navigation_2d",
    gym_id="prefrontal/Navigation2D-v0",
    summary="a point on a plane looks for a hidden goal, several episodes a life (docs/maml.md)",
    paper="Finn et al. 2017",
    settings=NavigationSettings,
    make=NavigationEnv,
    actions=("x", "y"),
    baselines=BASELINES,
    summarise=summarise,
    analyse=analyse,
    references=references,
    figures=figures,
    side_by_side=True,
    headline="return_last",
    coded=("goal_x", "goal_y", "trial"),
    compared=COMPARED,
    life=LIFE,
)
