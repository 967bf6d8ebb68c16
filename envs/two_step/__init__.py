"""The two-step task."""
from ..registry import Task
from .env import TwoStepEnv, TwoStepSettings
import numpy as np
from matplotlib.figure import Figure
def summ(t,s):
    if not t: return {"reward_per_trial": float("nan")}
    same=t["episode"][1:]==t["episode"][:-1]
    stay=(t["choice"][1:]==t["choice"][:-1])
    rew=t["reward"][:-1]>0; com=t["common"][:-1]
    f=lambda m: float(stay[m&same].mean())
    return {"reward_per_trial": float(t["reward"].mean()),"stay_probability":{"rewarded_common":f(rew&com),"rewarded_uncommon":f(rew&~com),"unrewarded_common":f(~rew&com),"unrewarded_uncommon":f(~rew&~com)}}
TASK=Task(name="two_step",gym_id="prefrontal/TwoStep-v0",summary="x",paper="y",settings=TwoStepSettings,make=TwoStepEnv,actions=("left","right"),baselines={},summarise=summ,analyse=lambda t,s:{},references=lambda s:[],figures=lambda e,s:{"x":Figure()})
