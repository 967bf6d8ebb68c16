"""Stable and volatile blocks (Behrens et al. 2007; Wang et al. 2018, simulation 2)."""

from ..registry import Task
from .analysis import analyse, references, summarise
from .baselines import BASELINES
from .drawing import figures
from .env import VolatilityEnv, VolatilitySettings

TASK = Task(
    name="volatility",
    gym_id="prefrontal/Volatility-v0",
    summary="two sides that pay with p and 1 - p, in stable blocks and in volatile ones, where they change places",
    paper="Behrens et al. 2007; Wang et al. 2018",
    settings=VolatilitySettings,
    make=VolatilityEnv,
    actions=("left", "right"),
    baselines=BASELINES,
    summarise=summarise,
    analyse=analyse,
    references=references,
    figures=figures,
    side_by_side=True,
    coded=("volatile", "previous_reward", "previous_choice", "p_left"),
)
