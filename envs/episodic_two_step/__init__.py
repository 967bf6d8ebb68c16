"""The episodic two-step task (Vikbladh et al. 2017; Ritter et al. 2018)."""

from ..registry import Task
from .analysis import REWARDS, analyse, references, summarise
from .baselines import BASELINES
from .drawing import figures
from .env import EpisodicTwoStepEnv, EpisodicTwoStepSettings

TASK = Task(
    name="episodic_two_step",
    gym_id="prefrontal/EpisodicTwoStep-v0",
    summary="the two-step task whose second half shows cues of earlier trials: what a cue's trial paid, its state pays",
    paper="Ritter et al. 2018",
    settings=EpisodicTwoStepSettings,
    make=EpisodicTwoStepEnv,
    actions=("left", "right"),
    baselines=BASELINES,
    summarise=summarise,
    analyse=analyse,
    references=references,
    figures=figures,
    headline="reward_per_cued_trial",
    compared=REWARDS,
    side_by_side=True,
    condition="cued",
    coded=("cued", "previous_reward", "previous_common", "choice", "good_state", "stored_reward"),
)
