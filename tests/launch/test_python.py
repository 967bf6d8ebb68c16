"""`import prefrontal`: the same runs as the command line makes, runs as objects, a process left as it was."""

from __future__ import annotations

import copy
import json
import os
import pickle
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pandas
import prefrontal
import pytest
import torch
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from hydra.version import VersionBase
from packaging.version import Version
from prefrontal.launch.run.measures import flatten
from prefrontal.learner.checkpoint import read
from program import ONE_PROCESS, call, newest
from threadpoolctl import threadpool_info

SETTINGS = {
    "actors.envs": 8,
    "run.env_steps": 20_000,
    "run.figures": 0,
    "run.log_points": 10,
    "evaluate": {"episodes": 40},
}
PRINTED = ("wall_s", "steps_per_second")
"""Results that differ from run to run."""


def train(folder, *given, **more):
    return prefrontal.train(*given, cluster="none", folder=folder, settings=SETTINGS, **more)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return train(tmp_path_factory.mktemp("python") / "run", "two_step", algo="a2c", seed=3)


def test_nothing_heavy_is_imported_before_it_is_asked_for():
    program = (
        "import sys, prefrontal\n"
        "assert sorted(prefrontal.__all__) == sorted({*dir(prefrontal)} & {*prefrontal.__all__})\n"
        "heavy = {'ray', 'torch', 'numpy', 'pandas', 'hydra', 'matplotlib', 'gymnasium', 'pydantic'}\n"
        "print(heavy & sys.modules.keys())\n"
        "prefrontal.train, prefrontal.load\n"
        "print({'ray', 'pandas', 'tensorboard.program'} & sys.modules.keys())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout == "set()\nset()\n", done.stdout


def test_every_name_is_there_and_no_other():
    assert {name: getattr(prefrontal, name) for name in prefrontal.__all__}
    with pytest.raises(AttributeError, match=r"'nosuch'; it has ConfigError, .*train"):
        _ = prefrontal.nosuch


@pytest.mark.parametrize("algo", ["a2c", "impala"])
def test_a_call_makes_the_run_that_the_command_makes(algo, tmp_path):
    ours = train(tmp_path / "called", "two_step", algo=algo, seed=7)
    small = [setting for setting in ONE_PROCESS if not setting.startswith(("run.", "evaluate."))]
    last = ["run.env_steps=20000", "run.figures=0", "run.log_points=10", "evaluate.episodes=40"]
    call(tmp_path, "train", *small, *last, f"algo={algo}", "seed=7", "run.folder=typed")
    typed = prefrontal.load(tmp_path / "typed")
    here, there = (newest(tmp_path / name) for name in ("called", "typed"))
    assert here.tensors.keys() == there.tensors.keys()
    assert all(torch.equal(here.tensors[name], there.tensors[name]) for name in here.tensors)
    assert ours.trials.equals(typed.trials)
    # To the last digit where both compute with one thread; a variable of the environment may give the command others.
    results = [flatten({k: v for k, v in each.results.items() if k not in PRINTED}) for each in (ours, typed)]
    assert len(results[0]) > 20
    assert results[0] == pytest.approx(results[1], rel=1e-9, abs=1e-12, nan_ok=True)
    saved = [(tmp_path / name / "config.yaml").read_text() for name in ("called", "typed")]
    assert saved[0].replace("/called", "") == saved[1].replace("typed", str(tmp_path))


def test_a_run_is_what_its_folder_holds(run):
    assert run.config.seed == 3
    assert run.config.algo.name == "a2c"
    assert run.config.run.env_steps == 20_000
    assert run.results["episodes"] == 40
    assert len(run.trials) == 4000
    assert run.trials.groupby("episode")["reward"].sum().mean() == pytest.approx(run.results["return"])
    assert run.history["env_steps"].iloc[-1] == 20_000
    assert run.history["env_steps"].dtype.kind == "i"
    assert "steps_per_second" in run.history
    assert list(run.figures) == ["stay_probability", "lag_regression", "prediction_errors", "learning_curve"]
    assert run.figures._repr_html_().count("<img") == 4
    assert run.table.loc["reward_per_trial", "this run"] == run.results["reward_per_trial"]
    assert run.table.loc["stay_probability.rewarded_common", "Wang et al. 2018"] == 0.99
    assert os.fspath(run) == run.folder
    assert repr(run) == f"Run({run.folder!r}): two_step, seed 3"
    assert (Path(run) / "evaluation.parquet").is_file()


def test_the_agent_has_the_weights_of_a_checkpoint(run):
    state = torch.random.get_rng_state()
    agent = run.agent
    assert torch.equal(state, torch.random.get_rng_state())
    assert not agent.training
    final = {name.removeprefix("agent."): value for name, value in newest(Path(run)).tensors.items()}
    assert all(torch.equal(value, final[name]) for name, value in agent.state_dict().items())
    best = prefrontal.load(run, checkpoint="best")
    written = read(Path(run) / "checkpoints" / "best.safetensors").tensors
    assert torch.equal(best.agent.value.weight, written["agent.value.weight"])
    assert "checkpoint='best'" in repr(best)


def test_an_evaluation_is_the_command_line_s(run, tmp_path):
    before = (Path(run) / "results.json").read_text()
    ours = run.evaluate(np.int64(12), seed=5, envs=4, common=0.9)
    call(tmp_path, "evaluate", f"run={run.folder}", "episodes=12", "seed=5", "envs=4", "task.common=.9", "name=typed")
    lies = Path(run) / "evaluations" / "typed"
    named = run.evaluate(12, name="called", seed=5, envs=4, common=0.9)
    assert ours.results == named.results
    assert ours.results == json.loads((lies / "results.json").read_text())
    assert ours.trials.equals(pandas.read_parquet(lies / "evaluation.parquet"))
    assert {path.name for path in lies.rglob("*")} == {path.name for path in (lies.parent / "called").rglob("*")}
    assert ours.trials["common"].mean() == pytest.approx(0.9, abs=0.03)
    assert list(ours.figures) == list(run.figures)
    assert ours.config.task_options["common"] == run.config.task_options["common"] != 0.9
    assert (Path(run) / "results.json").read_text() == before
    place = Path(ours._temporary.name)
    assert place.is_dir()
    del ours
    assert not place.exists()


def test_what_goes_on_inside(run):
    activity = run.record(episodes=6, seed=2)
    assert activity.hidden.dims == ("episode", "step", "unit")
    assert activity.hidden.shape == (6, 100, *run.config.model.hidden_sizes)
    trials = run.evaluate(6, seed=2).trials
    np.testing.assert_allclose(activity["value"].values.ravel(), trials["value"], atol=1e-5)
    named = run.evaluate(4, name="recorded", record=True)
    with named.activity as kept:
        assert kept.encoding["source"] == str(Path(run) / "evaluations" / "recorded" / "activity.nc")
    with pytest.raises(prefrontal.ConfigError, match="record=true"):
        _ = run.activity


def test_a_perturbed_agent_beside_itself(run):
    silent = run.evaluate(10, perturb={"units": "all", "set": 0})
    assert [one["fraction"] for one in silent.results["perturbations"]] == [1.0]
    assert list(silent.table)[:2] == ["this run", "control"]
    assert silent.table.loc["return", "control"] == run.results["return"]
    titles = [panel.get_title(loc="left") for panel in silent.figures["stay_probability"].axes]
    assert {"perturbed (1)", "control (1)"} <= set(titles)
    bias = float(run.agent.value.bias.detach())
    np.testing.assert_allclose(silent.trials["value"], bias, atol=1e-6)
    several = run.evaluate(4, perturb=[{"units": [1], "add": 0.5}, {"gate": "forget", "scale": 0.5}])
    assert len(several.results["perturbations"]) == 2
    held = run.evaluate(4, perturb={"input": "prev_reward", "set": 0}, control="recorded")
    assert held.table.loc["episode_length", "control"] == 100


def test_a_run_travels_to_other_processes(run):
    there = pickle.loads(pickle.dumps(run))
    assert there.folder == run.folder
    assert there.results == run.results


def test_runs_lie_in_folders(run, tmp_path, capsys):
    train(tmp_path / "deep" / "one", "two_step")
    for name in ("other", "broken"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.yaml").write_text("nosuch: 1\n")
    found = prefrontal.runs(tmp_path)
    assert [each.folder for each in found] == [str(tmp_path / "deep" / "one")]
    assert "left out" in capsys.readouterr().err
    with pytest.raises(prefrontal.ConfigError, match="there is no folder"):
        prefrontal.runs(tmp_path / "nowhere")


def test_environments():
    env = prefrontal.make("bandit", 16, arms="hard", trials=20)
    obs, info = env.reset(seed=1)
    assert obs.shape == (16, *env.single_observation_space.shape)
    assert info == {}
    for _ in range(20):
        obs, reward, terminated, truncated, info = env.step(np.zeros(16, dtype=int))
        assert reward.shape == terminated.shape == truncated.shape == (16,)
        assert info.keys() - {"final_obs", "_final_obs"} == env.info_spec.keys()
    assert terminated.all()
    table = prefrontal.tasks()
    assert table.loc["two_step", "gymnasium_id"] == "prefrontal/TwoStep-v0"
    assert "Daw" in table.loc["two_step", "paper"]


WRONG = {
    "task=two_stepp: there is no such choice; did you mean task=two_step?": lambda: prefrontal.train("two_stepp"),
    "sed: there is no such setting; did you mean seed?": lambda: prefrontal.train(sed=1),
    "seed=a: a whole number, at least 0": lambda: prefrontal.train(seed="a"),
    "run.env_steps=2.5: a whole number, at least 1": lambda: prefrontal.train(env_steps=2.5),
    "algo.learning_rat: there is no such": lambda: prefrontal.train(settings={"algo.learning_rat": 1e-3}),
    "algo.discount=2: ": lambda: prefrontal.train(algo={"discount": 2}),
    "foo: not understood": lambda: prefrontal.train(settings=["foo"]),
    "seed=1,2: several values": lambda: prefrontal.train(settings=["seed=1,2"]),
    "settings='seed=1': a mapping": lambda: prefrontal.train(settings="seed=1"),
    "settings=5: a mapping": lambda: prefrontal.train(settings=5),
    "config_dir=/nowhere: there is no such folder": lambda: prefrontal.train(config_dir="/nowhere"),
    "algo.discount=<object object": lambda: prefrontal.train(settings={"algo.discount": object()}),
    "evaluate.task.nosuch: there is no such": lambda: prefrontal.train(evaluate={"task": {"nosuch": 1}}),
    "needs an asynchronous algorithm": lambda: prefrontal.train(algo="a2c", actors={"num": "auto"}),
    "there is no folder /nowhere": lambda: prefrontal.load("/nowhere"),
    "run=3: a run folder": lambda: prefrontal.load(3),
    "is not a run folder": lambda: prefrontal.train(resume="/"),
    "there is no task 'bandits'; did you mean bandit?": lambda: prefrontal.make("bandits"),
    "task.arm: there is no such setting; did you mean task.arms?": lambda: prefrontal.make("bandit", arm="easy"),
    "task.arms=1: one of ": lambda: prefrontal.make("bandit", arms=1),
    "num_envs=0: a whole number, at least 1": lambda: prefrontal.make("bandit", 0),
    "render_mode=human: ": lambda: prefrontal.make("bandit", render_mode="human"),
}


@pytest.mark.parametrize("message", WRONG)
def test_wrong_input_is_an_error_that_says_what(message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(prefrontal.ConfigError) as caught:
        WRONG[message]()
    assert message in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_wrong_input_to_a_run(run):
    wrong = {
        "episodes=0: a whole number, at least 1": lambda: run.evaluate(0),
        "task.comon: there is no such setting; did you mean task.common?": lambda: run.evaluate(comon=0.5),
        "observations of shape": lambda: run.evaluate(4, steps_per_trial=3),
        "closed_units": lambda: run.evaluate(4, closed_units=[3]),
        "perturb[0].units=[99]: there is no unit 99": lambda: run.evaluate(4, perturb={"units": [99], "set": 0}),
        "perturb[0].unit: there is no such setting": lambda: run.evaluate(4, perturb={"unit": [9], "set": 0}),
        "control=nosuch: there is nothing": lambda: run.evaluate(4, control="nosuch"),
        "name=a/b: a name without /": lambda: run.evaluate(4, name="a/b"),
        "there are: best.safetensors": lambda: prefrontal.load(run, "nosuch"),
        "a run that goes on keeps its algo": lambda: prefrontal.train(resume=run, algo="ppo"),
    }
    for message, asked in wrong.items():
        with pytest.raises(prefrontal.ConfigError) as caught:
            asked()
        assert message in str(caught.value)
    assert not (Path(run) / "evaluations" / "a").exists()


def test_a_run_that_was_not_evaluated_says_how(run, tmp_path):
    (tmp_path / "config.yaml").write_text((Path(run) / "config.yaml").read_text())
    begun = prefrontal.load(tmp_path)
    for what in ("results", "trials", "figures", "table"):
        with pytest.raises(prefrontal.ConfigError, match="prefrontal evaluate"):
            getattr(begun, what)
    with pytest.raises(prefrontal.ConfigError, match="no usable checkpoint"):
        _ = begun.agent
    assert begun.history.empty


def test_settings_of_every_kind_arrive(tmp_path):
    settings = {
        "model": {"hidden_sizes": (np.int64(12),), "learned_initial_state": True},
        "algo.max_grad_norm": 1e-7,
        "run.folder": tmp_path / "a b='c', {d}",
        "evaluate": {"task": {"common": 0.6}, "episodes": 4},
        "task.trials": 10,
    }
    (tmp_path / "it's, mine" / "experiment").mkdir(parents=True)
    (tmp_path / "it's, mine" / "experiment" / "own.yaml").write_text("# @package _global_\nseed: 77\n")
    run = prefrontal.train(
        config_dir=tmp_path / "it's, mine",
        experiment="own",
        cluster="none",
        env_steps=2000,
        actors={"envs": 4},
        settings=settings,
    )
    assert run.folder == str(tmp_path / "a b='c', {d}")
    config = run.config
    assert config.seed == 77
    assert config.model.hidden_sizes == (12,)
    assert config.model.learned_initial_state
    assert config.algo.max_grad_norm == 1e-7
    assert config.evaluate.task == {"common": 0.6}
    assert config.task_options["trials"] == 10
    again = prefrontal.train(
        cluster="none", folder=tmp_path / "typed", settings=["task=bandit", "run.env_steps=2000", "evaluate.episodes=4"]
    )
    assert again.config.task_name == "bandit"


class Interrupting:
    """Ctrl-C, or another signal, as soon as a training makes its third update."""

    def __init__(self, monkeypatch, number=signal.SIGINT):
        from prefrontal.launch.engines.serial import SerialEngine

        self.updates, step = 0, SerialEngine.step

        def interrupted(engine):
            self.updates += 1
            if self.updates == 3:
                signal.raise_signal(number)
            return step(engine)

        monkeypatch.setattr(SerialEngine, "step", interrupted)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_what_was_stopped_goes_on(number, tmp_path, monkeypatch, run):
    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    Interrupting(monkeypatch, number)
    with pytest.raises(KeyboardInterrupt) as caught:
        train(tmp_path / "stopped", "two_step", algo="a2c", seed=3)
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == before
    stopped = caught.value
    assert isinstance(stopped, prefrontal.Stopped)
    assert "prefrontal.train(resume=" in str(stopped)
    assert stopped.run.folder == str(tmp_path / "stopped")
    whole = prefrontal.train(resume=stopped.run)
    assert whole.folder == stopped.run.folder
    assert whole.trials.equals(run.trials)  # as if nobody had stopped it
    assert whole.results["env_steps"] == 20_000


def test_a_second_ctrl_c_ends_at_once(tmp_path, monkeypatch):
    from prefrontal.launch.engines.serial import SerialEngine

    def twice(engine):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(SerialEngine, "step", twice)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt) as caught:
        train(tmp_path / "ended", "two_step")
    assert not isinstance(caught.value, prefrontal.Stopped)
    assert signal.getsignal(signal.SIGINT) is before


def test_from_another_thread_the_same_run(run, tmp_path):
    made = []
    thread = threading.Thread(target=lambda: made.append(train(tmp_path / "there", "two_step", algo="a2c", seed=3)))
    thread.start()
    thread.join(120)
    assert made[0].trials.equals(run.trials)


def test_a_process_is_left_as_it_was(tmp_path, monkeypatch):
    """One after the other, also within an application of Hydra's: nothing of ours is left, nothing of theirs lost."""
    from omegaconf import OmegaConf

    monkeypatch.delenv("OMP_NUM_THREADS")
    threads, rng = torch.get_num_threads(), torch.random.get_rng_state()
    torch.set_num_threads(2)
    theirs, pools = copy.copy(Singleton._instances), threadpool_info()
    try:
        VersionBase.instance().setbase(Version("1.1"))
        HydraConfig.instance().cfg = OmegaConf.create({"hydra": {"mode": "MULTIRUN"}})
        GlobalHydra.instance().hydra = "theirs"
        arguments, environment = list(sys.argv), dict(os.environ)
        for seed in (1, 2):
            train(tmp_path / str(seed), "two_step", seed=seed)
        assert VersionBase.instance().getbase() == Version("1.1")
        assert HydraConfig.get().mode == "MULTIRUN"
        assert GlobalHydra.instance().hydra == "theirs"
        assert dict(os.environ) == environment
        assert sys.argv == arguments
        assert torch.get_num_threads() == 2
        assert threadpool_info() == pools
        assert torch.equal(torch.random.get_rng_state(), rng)
    finally:
        torch.set_num_threads(threads)
        Singleton._instances.clear()
        Singleton._instances.update(theirs)
        GlobalHydra.instance().clear()
        HydraConfig.instance().cfg = None


def test_through_ray(tmp_path):
    """The default: a Ray of its own that is gone afterwards; the handlers of signals are what they were.

    In a process of its own, where no other Ray stands that the training would use and leave.
    """
    program = (
        "import signal, sys, prefrontal, ray\n"
        "handlers = lambda: [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]\n"
        "before = handlers()\n"
        f"settings = {SETTINGS | {'actors.num': 1}!r}\n"
        "run = prefrontal.train('two_step', folder=sys.argv[1], settings=settings)\n"
        "assert run.config.cluster == 'local'\n"
        "assert run.results['env_steps'] >= 20_000\n"
        "assert not ray.is_initialized()\n"
        "assert handlers() == before\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "run"], capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
