"""Trials of others through the program: drawn beside a run, fitted beside it, and a run's own trials as a table."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from prefrontal.envs import registry
from prefrontal.envs.behaviour.simulation import drawn, simulated
from program import ONE_PROCESS, call

LEFT_OUT = {"agent", "subject", "trials", "episodes", "return", "episode_length"}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a short run, its trials as a CSV file, and two rats as another one, with names of their own."""
    folder = tmp_path_factory.mktemp("others")
    call(folder, "train", *ONE_PROCESS, "run.folder=run", "evaluate.episodes=12")
    pyarrow.csv.write_csv(pq.read_table(folder / "run" / "evaluation.parquet"), folder / "own.csv")
    task = registry.get("two_step")
    model = task.models(task.configure())[0]
    tables = simulated(task, task.configure(), model, drawn(model, 2), sessions=3)
    joined = {name: np.concatenate([one[name] for one in tables.values()]) for name in tables["1"]}
    sides = np.where(joined["choice"] == 1, "right", "left")
    rats = {
        "rat": np.repeat(list(tables), [len(one["trial"]) for one in tables.values()]),
        "day": joined["episode"] + 1,
        "trial": joined["trial"] + 1,
        "poke": sides,
        "common": joined["common"],
        "reward": joined["reward"],
    }
    pyarrow.csv.write_csv(pa.table(rats), folder / "rats.csv")
    (folder / "names.yaml").write_text("subject: rat\nsession: day\naction: poke\n")
    return folder


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_runs_own_trials_as_a_table_give_the_same_numbers(place):
    output = call(place, "figures", "run=run", "trials=own.csv")
    assert "own/figures/stay_probability.png" in output
    merged = json.loads((place / "own" / "merged_results.json").read_text())
    ours, theirs = merged["runs"]
    assert (theirs["agent"], theirs["subject"], theirs["episodes"], theirs["trials"]) == ("own", "own", 12, 1200)
    for name in set(theirs) - LEFT_OUT:
        assert theirs[name] == ours[name], name
    assert {"stay_probability", "lag_regression", "anova", "rpe_regression"} <= set(theirs)
    assert set(merged["comparison"]["reward_per_trial"]) == {"lstm", "own", "lstm_vs_own"}


def test_animals_beside_an_agent_and_alone(place):
    told = ["trials=rats.csv", "columns={subject: rat, session: day, action: poke}", "actions=[left,right]"]
    before = {path: path.stat().st_mtime_ns for path in (place / "run" / "figures").iterdir()}
    output = call(place, "figures", "run=run", *told)
    assert "two_step, rats: 2 subjects, 6 sessions, 600 trials" in output
    assert {path: path.stat().st_mtime_ns for path in (place / "run" / "figures").iterdir()} == before
    merged = json.loads((place / "rats" / "merged_results.json").read_text())
    assert [run.get("subject") for run in merged["runs"]] == [None, "1", "2"]
    output = call(place, "figures", *told, "task.name=two_step", "out=alone")
    assert "alone/figures/stay_probability.png" in output
    alone = json.loads((place / "alone" / "merged_results.json").read_text())
    assert alone["runs"] == merged["runs"][1:]


def test_fit_an_agent_and_animals(place):
    some = ["models=[rescorla_wagner,bayes_observer]", "starts=1"]
    output = call(place, "fit", "run=run", "trials=own.csv", *some)
    assert "own/fits/fits.csv" in output
    fits = rows(place / "own" / "fits" / "fits.csv")
    assert len(fits) == 4
    for ours, theirs in zip(fits[:2], fits[2:], strict=True):
        assert (ours["group"], ours["subject"], theirs["group"], theirs["subject"]) == ("lstm", "seed 0", "own", "own")
        assert ours["log_likelihood"] == theirs["log_likelihood"]
        likelihood, trials, count = (float(ours[name]) for name in ("log_likelihood", "trials", "parameters"))
        assert (trials, ours["converged"]) == (1200, "true")
        assert float(ours["bic"]) == pytest.approx(-2 * likelihood + count * np.log(trials))
    told = ["trials=rats.csv", "columns=names.yaml", "actions=[left,right]", "task.name=two_step", "sessions=2"]
    output = call(place, "fit", *told, *some)
    assert [row["trials"] for row in rows(place / "rats" / "fits" / "fits.csv")] == ["200"] * 4
    parameters = rows(place / "rats" / "fits" / "parameters.csv")
    assert {row["parameter"] for row in parameters} == {"learning_rate", "inverse_temperature"}
    assert {path.name for path in (place / "rats" / "fits" / "figures").glob("*.svg")} == {"fits.svg", "parameters.svg"}


def test_recovery_needs_no_trials(place):
    told = ["task.name=bandit", "task.arms=easy", "task.trials=20", "recovery=3", "recovery_sessions=2", "starts=1"]
    output = call(place, "fit", *told, "models=[rescorla_wagner,forgetting]")
    assert "recovered    forgetting: rank correlation learning_rate" in output
    recovered = rows(place / "fits" / "recovery.csv")
    assert len(recovered) == 3 * (2 + 3)
    assert (place / "fits" / "figures" / "model_recovery.png").is_file()


def test_sessions_of_another_length_are_said(place):
    told = ["trials=own.csv", "task.name=bandit", "task.trials=50"]
    table = pq.read_table(place / "run" / "evaluation.parquet")
    ones = pa.array(np.full(table.num_rows, 0.5))
    pyarrow.csv.write_csv(table.append_column("p_1", ones).append_column("p_2", ones), place / "arms.csv")
    output = call(place, "figures", "trials=arms.csv", *told[1:])
    assert "warning: 12 of 12 sessions do not have 50 trials" in output
