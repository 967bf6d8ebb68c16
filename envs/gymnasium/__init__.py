"""Any Gymnasium environment as a task (Towers et al. 2024); NeuroGym's are told trial by trial."""

from ..registry import Task
from .analysis import analyse, references, summarise
from .baselines import BASELINES
from .env import GymnasiumEnv
from .figures import figures
from .settings import GymnasiumSettings

TASK = Task(
    name="gymnasium",
    gym_id="prefrontal/Gymnasium-v0",
    summary="any Gymnasium environment by its id, NeuroGym's trial by trial (docs/gymnasium.md)",
    paper="Towers et al. 2024; Molano-Mazón et al. 2022",
    settings=GymnasiumSettings,
    make=GymnasiumEnv,
    actions=(),
    baselines=BASELINES,
    summarise=summarise,
    analyse=analyse,
    references=references,
    figures=figures,
)
