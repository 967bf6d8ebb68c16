"""Command lines that cannot be, made from the declared types and ranges of the settings of every verb and task.

`python tests/support/wrong_inputs.py` prints them with what the program says, as a table in Markdown.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import itertools
import os
import sys
import tempfile
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

import pydantic
from annotated_types import Ge, Gt, Le, Lt, MultipleOf
from prefrontal.conf.settings import is_settings
from prefrontal.envs import registry
from prefrontal.launch import cli
from prefrontal.launch.config import TrainConfig
from prefrontal.launch.reproduction.whole import ReproduceSettings
from prefrontal.launch.run.analysing import AnalyseSettings
from prefrontal.launch.run.fits import FitSettings
from prefrontal.launch.run.reevaluation import EvaluateSettings
from prefrontal.launch.verbs.bench import BenchSettings
from prefrontal.launch.verbs.figures import FiguresSettings
from prefrontal.launch.verbs.play import PlaySettings
from prefrontal.launch.verbs.pretrain import PretrainSettings

RUN = "trained"
"""Folder of the run that is evaluated and drawn."""

TABLE = f"{RUN}/evaluation.parquet"
"""A table of trials that can be read."""

ONE_PROCESS = ("cluster=none",)
GIVEN = {
    "analyse": (f"run={RUN}",),
    "evaluate": (f"run={RUN}",),
    "figures": (f"run={RUN}",),
    "fit": (f"run={RUN}",),
    "train": (*ONE_PROCESS, "model=ep_lstm"),
    "bench": ONE_PROCESS,
    "reproduce": ("wang2018",),
}
"""What a verb needs beside the wrong value."""


class WrongInput(NamedTuple):
    """A command line, and what its error has to name."""

    arguments: tuple[str, ...]
    named: str

    def __str__(self) -> str:
        return " ".join(self.arguments)


def outside(annotation: Any) -> list[str]:
    """Values, as they are written, that a declared type does not hold."""
    if get_origin(annotation) in (Union, UnionType):
        kinds = [kind for kind in get_args(annotation) if kind is not NoneType]
        words = {str(choice) for kind in kinds if get_origin(kind) is Literal for choice in get_args(kind)}
        words |= {"null"} if len(kinds) < len(get_args(annotation)) else set()
        return [value for value in outside(kinds[0]) if value not in words]
    if get_origin(annotation) is Literal:
        return ["nosuch", "null"]
    base, *bounds = get_args(annotation) if get_origin(annotation) is Annotated else (annotation,)
    if base is bool:
        return ["maybe", "2", "null"]
    if base is int:
        return ["abc", "1.5", *_beyond(bounds, 1)]
    if base is float:
        return ["abc", "nan", "inf", *_beyond(bounds, 0.25)]
    if get_origin(base) is tuple:
        items = outside(get_args(base)[0])
        length = 2 if get_args(base)[-1] is Ellipsis else len(get_args(base))
        return ["3", *(f"[{','.join([item] * length)}]" for item in items)]
    if base is str:
        return ["../up"] if any(isinstance(bound, pydantic.StringConstraints) for bound in bounds) else []
    return ["3"] if get_origin(base) is dict or is_settings(base) else []


def _beyond(bounds: list[Any], step: float) -> list[str]:
    """Numbers just outside of the bounds."""
    found: list[float] = []
    for bound in bounds:
        match bound:
            case Ge():
                found.append(bound.ge - step)
            case Gt():
                found.append(bound.gt)
            case Le():
                found.append(bound.le + step)
            case Lt():
                found.append(bound.lt)
            case MultipleOf():
                found.append(bound.multiple_of + 1)
    return [str(value) for value in found]


def fields_of(cls: type[Any], at: str = "") -> list[tuple[str, list[str]]]:
    """Full names of all settings of a class, with values that each does not hold."""
    hints = get_type_hints(cls, include_extras=True)
    found: list[tuple[str, list[str]]] = []
    for field in dataclasses.fields(cls):
        if field.init and field.name != "auto":  # which no command line sets
            hint, name = hints[field.name], f"{at}{field.name}"
            found.append((name, outside(hint)))
            if is_settings(hint):
                found += fields_of(hint, f"{name}.")
    return found


def _one_each(verb: str, fields: list[tuple[str, list[str]]], *given: str) -> list[WrongInput]:
    """For each setting one of its wrong values, another kind from setting to setting."""
    turn = itertools.count()
    return [
        WrongInput((verb, *GIVEN.get(verb, ()), *given, f"{name}={values[next(turn) % len(values)]}"), name)
        for name, values in fields
        if values and name not in ("task", "model", "algo", "actors")  # which choose a file
    ]


def declared() -> list[WrongInput]:
    """For each setting of each verb, and each option of each task, a value outside of its declared type."""
    verbs = {
        "analyse": AnalyseSettings,
        "evaluate": EvaluateSettings,
        "figures": FiguresSettings,
        "fit": FitSettings,
        "play": PlaySettings,
        "pretrain": PretrainSettings,
        "reproduce": ReproduceSettings,
    }
    found = _one_each("train", fields_of(TrainConfig))
    for verb, cls in verbs.items():
        found += _one_each(verb, fields_of(cls))
    found += _one_each("bench", fields_of(BenchSettings, "bench."))
    found += _one_each("evaluate", fields_of(registry.get("two_step").settings, "task."))
    for verb, task in zip(itertools.cycle(("play", "train")), registry.tasks().values(), strict=False):
        found += _one_each(verb, fields_of(task.settings, "task."), f"task={task.name}")
    return found


def misspelt() -> list[WrongInput]:
    """Names that there are not, for each verb."""
    found = [
        WrongInput((verb, *GIVEN.get(verb, ()), setting), setting.partition("=")[0].lstrip("+~"))
        for verb in ("train", "evaluate", "figures", "fit", "analyse", "play", "pretrain", "bench", "reproduce")
        for setting in ("nosuch=1", "+nosuch=1", "~nosuch")
    ]
    choices = ("task", "model", "algo", "actors", "experiment")
    found += [WrongInput(("train", f"{group}=nosuch"), f"{group}=nosuch") for group in choices]
    found += [WrongInput(("train", f"{part}.nosuch=1"), f"{part}.nosuch") for part in ("task", "algo", "run", "model")]
    found += [
        WrongInput((verb, *GIVEN.get(verb, ()), "task.nosuch=1"), "task.nosuch")
        for verb in ("evaluate", "play", "bench")
    ]
    return found


def others() -> list[WrongInput]:
    """What types alone do not tell: missing folders, the grammar, settings that do not fit each other or the task."""
    lines = {
        "run": ("evaluate", "figures", "analyse", "evaluate run=", "figures run=", "analyse run="),
        "/nowhere": (
            "evaluate run=/nowhere",
            "figures run=/nowhere/*",
            "train resume=/nowhere",
            "analyse run=/nowhere",
        ),
        "record=maybe": (f"evaluate run={RUN} record=maybe",),
        "record=true": (f"analyse run={RUN}", f"analyse run={RUN} name=lesion"),
        "evaluate run=trained name=lesion record=true": (f"analyse run={RUN} name=lesion",),
        "data=/nowhere": ("pretrain data=/nowhere",),
        "is not a run folder": ("train resume=.", "evaluate run=."),
        "foo": ("train foo", "play foo"),
        "seed=1,2": ("train seed=1,2",),
        "task.trials=[": ("train task.trials=[",),
        "actors=3": ("train actors=3",),
        "run.folder": ("train run.folder=${nosuch}",),
        "extra=1": ("tasks extra=1",),
        "task.name": (
            f"evaluate run={RUN} task.name=bandit",
            f"fit trials={TABLE}",
            f"fit trials={TABLE} task.name=nosuch",
            "fit recovery=3",
        ),
        "closed_units": (f"evaluate run={RUN} closed_units=[3] name=lesion",),
        "name": (
            f"evaluate run={RUN} closed_units=[3]",
            f"evaluate run={RUN} closed_above=.5",
            f"evaluate run={RUN} perturb=[{{units:[3],set:0}}]",
        ),
        **{
            named: (f"evaluate run={RUN} name=perturbed perturb=[{told}]",)
            for named, told in {
                "perturb[0].units=[48]: there is no unit 48; the units are 0 to 47": "{units:[48],set:0}",
                "perturb[0].gate=frget: there is no such gate; did you mean forget?": "{gate:frget,set:0}",
                "perturb[0].gate=reinstatement: there is no such gate": "{gate:reinstatement,set:0}",
                "perturb[0].layer=2: the core has 1 layer": "{units:[1],layer:2,set:0}",
                "perturb[0].when=stat==1: stat: there is no such column; did you mean state?": (
                    "{units:[1],set:0,when:'stat==1'}"
                ),
                "perturb[0].when=state=='a': state == 'a' compares a text": "{units:[1],set:0,when:\"state=='a'\"}",
                "perturb[0].when=state==: no expression that can be read": "{units:[1],set:0,when:'state=='}",
                "perturb[0].when=exec('1'): exec('1') cannot stand there": "{units:[1],set:0,when:\"exec('1')\"}",
                "perturb[0].sett: there is no such setting; did you mean perturb[0].set?": "{units:[1],sett:0}",
                "perturb[0].set=nan: a number": "{units:[1],set:nan}",
                "perturb[0].set=1e+39: a number, -1e+06 to 1e+06": "{units:[1],set:1e39}",
                "perturb[0].set=0.0 and add=1.0: give one of set, add, scale, noise": "{units:[1],set:0,add:1}",
                "perturb[0].set: give one of set, add, scale, noise": "{units:[1]}",
                "perturb[0].set=2: a gate lies between 0 and 1": "{gate:forget,set:2}",
                "perturb[0].input=reward: one of prev_reward, rpe": "{input:reward,set:0}",
                "perturb[0].input=rpe: goes without units": "{input:rpe,set:0,units:[1]}",
                "perturb[0].units: there is nothing to change": "{set:0}",
                "perturb[1].units=[]: give at least one unit": "{units:[1],set:0},{units:[],set:0}",
                "perturb[0]=3: settings by name (units, gate": "3",
            }.items()
        },
        "perturb={units:[1],set:0}: a list of settings by name": (
            f"evaluate run={RUN} name=perturbed perturb={{units:[1],set:0}}",
        ),
        "control=none": (f"evaluate run={RUN} name=perturbed perturb=[{{units:[1],set:0}}] control=none",),
        "name=control: the evaluation that it is held against is called so": (
            f"evaluate run={RUN} name=control perturb=[{{units:[1],set:0}}]",
        ),
        "name=one: the evaluation that it is held against is called so": (
            f"evaluate run={RUN} name=one control=one perturb=[{{units:[1],set:0}}]",
        ),
        "evaluations=none: ": (f"figures run={RUN} evaluations=[none]",),
        "evaluations=[one]: there is no run": (f"figures trials={TABLE} task.name=two_step evaluations=[one]",),
        "control=other: there is nothing to hold against it": (f"evaluate run={RUN} control=other",),
        "evaluate.perturb[0].units=[48]": ("train cluster=none evaluate.perturb=[{units:[48],set:0}]",),
        "checkpoint=none": (f"evaluate run={RUN} checkpoint=none",),
        "observations of shape": (f"evaluate run={RUN} task.steps_per_trial=3",),
        "evaluate.task": ("train cluster=none +evaluate.task.steps_per_trial=3", "train +evaluate.task.nosuch=1"),
        "evaluate.closed_units": ("train cluster=none evaluate.closed_units=[3]",),
        "hidden_sizes": ("train cluster=none model.hidden_sizes=[48,48]", "bench model.hidden_sizes=[]"),
        "algo.replay.ratio": ("train algo=a2c algo.replay.ratio=1",),
        "algo.batch_unrolls": ("train algo.batch_unrolls=50",),
        "model.memory.neighbours": ("train model=ep_lstm model.memory.neighbours=2000",),
        "bench.out": ("bench cluster=none bench.out=/nowhere/bench.json",),
        "task.num_arms": ("play task=bandit task.arms=easy task.num_arms=3",),
        "not enough memory": ("play task=bandit task.num_arms=1000000000000",),
        "danse": ("danse",),
        "run has to be given": ("figures", "fit"),
        "trials=/nowhere.csv": (f"figures run={RUN} trials=/nowhere.csv", "fit trials=/nowhere.csv task.name=two_step"),
        "trials=trained/config.yaml": (f"figures run={RUN} trials=trained/config.yaml",),
        "task.nosuch": (f"figures trials={TABLE} task.name=two_step task.nosuch=1",),
        "task={common:0.7}": (f"figures run={RUN} task.common=0.7",),
        "columns={action:x}": (f"figures run={RUN} columns={{action:x}}",),
        "columns=/nowhere.yaml": (f"fit run={RUN} trials={TABLE} columns=/nowhere.yaml",),
        "columns.colour": (f"fit run={RUN} trials={TABLE} columns={{colour:episode}}",),
        "no column steps_": (f"fit run={RUN} trials={TABLE} columns={{action:steps_}}",),
        "actions=[a]": (f"fit run={RUN} trials={TABLE} actions=[a]",),
        "is none of actions=[1,2]": (f"fit run={RUN} trials={TABLE} actions=[1,2]",),
        "hybird": (f"fit run={RUN} models=[hybird]",),
        # Ranges that must be: these once trained to the end and lost the network, or changed the numbers.
        "run.keep_checkpoints": ("train run.keep_checkpoints=0", "train run.keep_checkpoints=-1"),
        "algo.learning_rate.start": ("train algo.learning_rate.start=-0.1",),
        "algo.max_grad_norm": ("train algo.max_grad_norm=-1",),
        "algo.value_weight": ("train algo.value_weight=-1",),
        "run.figures": ("train run.figures=-1",),
        "seed": ("train seed=-1", "train seed=99999999999999999999", f"evaluate run={RUN} seed=-1"),
        "episodes": ("play episodes=0", f"evaluate run={RUN} episodes=1.5"),
        "greedy": (f"evaluate run={RUN} greedy=maybe",),
        "task.reward_correct": ("train task=harlow task.reward_correct=nan",),
        "task.volatility": ("train task=bandit task.arms=restless task.volatility=[inf,inf]",),
        "../../out": (f"evaluate run={RUN} name=../../out",),
        "harlow": ("fit recovery=3 task.name=harlow", f"figures trials={TABLE} task.name=harlow"),
    }
    return [WrongInput(tuple(line.split(" ")), named) for named, group in lines.items() for line in group]


def all_wrong_inputs() -> list[WrongInput]:
    """All of them."""
    return [*declared(), *misspelt(), *others()]


def train_small(folder: Path) -> None:
    """A short run in one process, in `folder`/trained; the working folder is `folder`."""
    small = ("actors.envs=4", "run.env_steps=2000", "run.figures=0", "evaluate.episodes=4", "run.log_points=2")
    assert cli.called(["train", *ONE_PROCESS, *small, "actors.num=1", "algo.batch_unrolls=1", f"run.folder={RUN}"]) == 0
    assert (folder / RUN / "results.json").is_file()


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as name:
        os.chdir(name)
        with contextlib.redirect_stdout(io.StringIO()):
            train_small(Path(name))
        print("| command line | status | what it says |\n|---|---|---|")
        for wrong in all_wrong_inputs():
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as said:
                status = cli.called(wrong.arguments)
            text = " / ".join(line for line in said.getvalue().strip().splitlines() if line)
            print(f"| `prefrontal {wrong}` | {status} | {text[:300].replace('|', chr(92) + '|')} |", flush=True)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
