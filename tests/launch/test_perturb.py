"""Perturbed evaluations from the command line: results, figures beside a control, what is recorded, who may be one."""

from __future__ import annotations

import json
import shutil

import pyarrow.parquet as pq
import pytest
from prefrontal.launch.run import evaluation
from prefrontal.launch.run.recording import opened
from program import ONE_PROCESS, call, runs


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A short run in one process."""
    folder = tmp_path_factory.mktemp("trained")
    call(folder, "train", *ONE_PROCESS, "run.name=short", "model.kernel=torch")
    (run,) = runs(folder)
    return run


def results_of(run, name):
    return json.loads((run / "evaluations" / name / "results.json").read_text())


def test_a_perturbed_evaluation_stands_beside_its_control(trained, tmp_path):
    perturb = "perturb=[{input: prev_reward, set: 0}, {units: [3, 7], scale: .5, when: 'not common and reward == 1'}]"
    output = call(tmp_path, "evaluate", f"run={trained}", "name=blind", perturb)
    found, control = results_of(trained, "blind"), json.loads((trained / "results.json").read_text())
    always, sometimes = found.pop("perturbations")
    assert always == {"input": "prev_reward", "set": 0.0, "steps": 40 * 99, "fraction": 0.99}
    trials = pq.read_table(trained / "evaluations" / "blind" / "evaluation.parquet").to_pydict()
    rows = zip(trials["common"], trials["reward"], trials["trial"], strict=True)
    expected = sum(not common and reward == 1 and trial < 99 for common, reward, trial in rows)
    assert sometimes == {
        "units": [3, 7],
        "scale": 0.5,
        "when": "not common and reward == 1",
        "steps": expected,
        "fraction": expected / 4000,
    }
    assert found.keys() == control.keys()
    stay = control["stay_probability"]["rewarded_common"]
    for text in (
        "control",
        f"{stay:.3f}",
        "input: prev_reward, set: 0 (3,960 steps, 99.0 %)",
        "stay_probability.png",
    ):
        assert text in output, text
    assert (trained / "evaluations" / "blind" / "figures" / "stay_probability.png").is_file()
    assert "perturbations" not in control


def test_what_changes_nothing_gives_the_control_again(trained, tmp_path):
    call(tmp_path, "evaluate", f"run={trained}", "name=nothing", "perturb=[{units: all, add: 0}]", "record=true")
    found = pq.read_table(trained / "evaluations" / "nothing" / "evaluation.parquet")
    control = pq.read_table(trained / "evaluation.parquet")
    assert all(found[name].equals(control[name]) for name in control.column_names if name not in ("value", "rpe"))
    with opened(trained / "evaluations" / "nothing" / "activity.nc") as recorded:
        assert json.loads(recorded.attrs["perturbations"]) == [{"units": "all", "add": 0.0}]


def test_figures_show_both(trained, tmp_path, monkeypatch):
    """What is drawn: the perturbed one under its name, then the control, with one learning curve."""
    from prefrontal.launch import cli

    drawn = []
    draw = evaluation.draw
    monkeypatch.setattr(
        evaluation, "draw", lambda evaluations, *rest: drawn.append(evaluations) or draw(evaluations, *rest)
    )
    monkeypatch.chdir(tmp_path)
    assert cli.called(["evaluate", f"run={trained}", "name=quiet", "perturb=[{units:[1],set:0}]"]) == 0
    ((perturbed, control),) = drawn
    assert (control.group, perturbed.group) == ("control", "quiet")
    assert len(control.history)
    assert not perturbed.history
    assert not (control.trials["choice"] == perturbed.trials["choice"]).all()


def test_a_control_is_of_the_same_task_and_agent(trained, tmp_path):
    """Else the figures stand alone, and it is said why; another evaluation may be named."""
    blind = ["evaluate", f"run={trained}", "episodes=8", "perturb=[{input: prev_reward, set: 0}]"]
    for difference, said in (("task.common=0.7", "other options"), ("greedy=true", "chooses otherwise")):
        output = call(tmp_path, *blind, "name=other", difference)
        assert said in output
        assert "control  " not in output
    call(tmp_path, "evaluate", f"run={trained}", "name=common", "task.common=0.7", "episodes=8")
    output = call(tmp_path, *blind, "name=other", "task.common=0.7", "control=common")
    assert "control" in output
    assert "warning" not in output


def test_evaluations_of_several_runs_are_merged(trained, tmp_path):
    """Each run's own and its perturbed one, as two groups that are tested against each other."""
    for seed in (0, 1):
        run = tmp_path / "runs" / str(seed)
        shutil.copytree(trained, run, ignore=shutil.ignore_patterns("evaluations"))
        for name, value in (("blind", 0), ("paid", 1)):
            told = f"perturb=[{{input: prev_reward, set: {value}}}]"
            call(tmp_path, "evaluate", f"run={run}", f"name={name}", f"seed={seed + 2}", "episodes=8", told)
    output = call(tmp_path, "figures", f"run={tmp_path}/runs/*", "evaluations=[blind,paid]")
    merged = json.loads((tmp_path / "runs" / "merged_results.json").read_text())
    assert [run["agent"] for run in merged["runs"]] == ["lstm"] * 2 + ["blind"] * 2 + ["paid"] * 2
    assert [run["episodes"] for run in merged["runs"]] == [40, 40, 8, 8, 8, 8]
    tests = merged["comparison"]["reward_per_trial"]
    assert {"lstm_vs_blind", "lstm_vs_paid", "blind_vs_paid"} < tests.keys()
    assert tests["blind"]["seeds"] == 2
    assert "two_step, paid: 2 runs, 16 episodes" in output


def test_a_run_may_be_evaluated_under_perturbations(tmp_path):
    call(tmp_path, "train", *ONE_PROCESS, "evaluate.perturb=[{input: rpe, set: 0}]")
    (run,) = runs(tmp_path)
    assert json.loads((run / "results.json").read_text())["perturbations"][0]["steps"] == 40 * 99
    assert "perturbed" in call(tmp_path, "evaluate", f"run={run}", "name=again", "perturb=[{units: [1], set: 0}]")
