"""The barcode bandit (Ritter et al. 2018): bandits that come back, each announced by a context of its own."""

from ..registry import Task
from .analysis import analyse, references, summarise
from .baselines import BASELINES
from .drawing import figures
from .env import BarcodeBanditEnv, BarcodeBanditSettings

TASK = Task(
    name="barcode_bandit",
    gym_id="prefrontal/BarcodeBandit-v0",
    summary="bandits that return under their barcodes: who recalls what was found before need not search again",
    paper="Ritter et al. 2018",
    settings=BarcodeBanditSettings,
    make=BarcodeBanditEnv,
    actions=lambda settings: tuple(f"arm {arm + 1}" for arm in range(settings.arms)),
    baselines=BASELINES,
    summarise=summarise,
    analyse=analyse,
    references=references,
    figures=figures,
    headline="first_pull_accuracy_last",
    side_by_side=True,
    condition="encounter",
    coded=("encounter", "previous_reward", "best_arm", "choice"),
)
