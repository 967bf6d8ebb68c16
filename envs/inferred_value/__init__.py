"""Two targets whose values are linked (Bromberg-Martin et al. 2010; Wang et al. 2018, simulation 3)."""

from ..registry import Task
from .analysis import analyse, references, summarise
from .baselines import BASELINES
from .drawing import figures
from .env import InferredValueEnv, InferredValueSettings

TASK = Task(
    name="inferred_value",
    gym_id="prefrontal/InferredValue-v0",
    summary="one of two targets is rewarded until the roles reverse; what one brings tells what the other is worth",
    paper="Bromberg-Martin et al. 2010; Wang et al. 2018",
    settings=InferredValueSettings,
    make=InferredValueEnv,
    actions=("left", "right", "fixate"),
    baselines=BASELINES,
    summarise=summarise,
    analyse=analyse,
    references=references,
    figures=figures,
    side_by_side=True,
    headline="valid",
    coded=("rewarded", "target", "previous_reward", "previous_target", "rewarded_side"),
)
