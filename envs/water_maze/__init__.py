"""The contextual water maze (Ritter et al. 2018): hidden platforms that come back, each with a barcode of its own."""

from ..registry import Task
from .analysis import HEADLINE, analyse, references, summarise
from .baselines import BASELINES
from .drawing import figures
from .env import WaterMazeEnv, WaterMazeSettings

TASK = Task(
    name="water_maze",
    gym_id="prefrontal/WaterMaze-v0",
    summary="a pool with a hidden platform, told by a barcode: who recalls where it was swims straight there",
    paper="Ritter et al. 2018",
    settings=WaterMazeSettings,
    make=WaterMazeEnv,
    actions=("up", "down", "left", "right"),
    baselines=BASELINES,
    summarise=summarise,
    analyse=analyse,
    references=references,
    figures=figures,
    headline=HEADLINE,
    side_by_side=True,
    condition="encounter",
    coded=("encounter", "path"),
)
