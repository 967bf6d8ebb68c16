"""`prefrontal fit`: models of choices fitted to whoever made them; tables, figures, recovery."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np
from rich.table import Table

from ...conf.checking import unknown
from ...conf.settings import Count, CountOrZero, Many, Seed, Text, settings
from ...envs import registry
from ...envs.behaviour.drawing import Fits, fit_figures, recovery_figures
from ...envs.behaviour.fitting import Fit, fit
from ...envs.behaviour.model import ChoiceModel
from ...envs.behaviour.recovery import Recovery, recover
from ...envs.behaviour.sessions import sessions_of
from ...envs.registry import Task
from ...envs.trials import Trials
from ..config import ConfigError
from ..console import ProgressLine, console
from .folder import RunFolder
from .merged import EvaluatedRuns, evaluated_runs, home_of
from .others import Played, subjects_of, write_csv
from .places import output_at

FOLDER = "fits"
"""Where fits lie, in a run's folder or in the one beside a table."""


@settings
class FitSettings(Played):
    """See `conf/fit.yaml`."""

    models: Many[Text] = ()
    sessions: Count | None = None
    starts: Count = 4
    seed: Seed = 0
    recovery: CountOrZero = 0
    recovery_sessions: Count = 4

    @property
    def needs_none(self) -> bool:
        """See `Played`."""
        return self.recovery > 0


def fit_all(told: FitSettings) -> None:
    """Fit, simulate and recover what was asked for; writes tables and figures, prints what it found.

    Raises:
        NotARunFolderError: if nothing that matches is an evaluated run.
        ConfigError: for a model that there is not, runs of several tasks, or a table that cannot be read.
    """
    with ExitStack() as opened:
        runs = evaluated_runs(told, opened)
        models = _models(told, runs.task, runs.settings)
        groups = _groups(told, runs, models)
        output = opened.enter_context(output_at(told.out or _default_output(told, runs)))
        subjects = sum(len(tables) for tables in groups.values())
        steps = len(models) * subjects + len(models) ** 2 * told.recovery
        with ProgressLine(steps, 0) as line:
            fits = _fitted(told, models, groups, line)
            recoveries = _recovered(told, runs, models, line, len(models) * subjects)
        _write(output, fits, recoveries)
        figures = {
            **(fit_figures(fits, models) if fits else {}),
            **(recovery_figures(recoveries) if recoveries else {}),
        }
        for group, by_model in fits.items():
            console.print(_table(group, by_model))
        for recovery in recoveries:
            console.print(_recovery_line(recovery))
        for path in output.write_figures(figures):
            console.print(f"figure       {output.shown(path)}")
        for name in ("fits.csv", "parameters.csv") * bool(fits) + ("recovery.csv",) * bool(recoveries):
            console.print(f"table        {output.shown(output.path / name)}")


def _default_output(told: FitSettings, runs: EvaluatedRuns) -> str:
    if told.trials is not None:
        return f"{told.beside_table()}/{FOLDER}"
    return f"{home_of(runs.folders)}/{FOLDER}" if runs.folders else FOLDER


def _models(told: FitSettings, task: Task, task_settings: Any) -> list[ChoiceModel]:
    """Those that were asked for, of those that the task has."""
    there = {model.called: model for model in task.models(task_settings)}
    if not there:
        able = [name for name, other in registry.tasks().items() if other.models(other.configure())]
        raise ConfigError(f"no models of choices are known for task {task.name}; they are for: {', '.join(able)}")
    for name in told.models:
        if name not in there:
            raise ConfigError(f"models: {unknown(name, there, 'model')}")
    return [there[name] for name in dict.fromkeys(told.models or there)]


def _groups(told: FitSettings, runs: EvaluatedRuns, models: Sequence[ChoiceModel]) -> dict[str, dict[str, Trials]]:
    """Trials by group (agent, species, ...) and subject."""
    groups: dict[str, dict[str, Trials]] = {}
    for evaluation, folder in zip(runs.evaluations, runs.folders, strict=True):
        own = groups.setdefault(evaluation.group, {})
        name = evaluation.label
        own[f"{name} ({folder.location})" if name in own else name] = evaluation.trials
    wanted = {column for model in models for column in model.columns}
    for subject in subjects_of(told, runs.task, runs.settings, wanted):
        groups.setdefault(subject.group, {})[subject.name] = subject.trials
    return groups


def _fitted(
    told: FitSettings, models: Sequence[ChoiceModel], groups: Mapping[str, Mapping[str, Trials]], line: ProgressLine
) -> dict[str, dict[str, list[Fit]]]:
    """By group and model."""
    found: dict[str, dict[str, list[Fit]]] = {}
    done = 0
    for group, tables in groups.items():
        found[group] = {}
        for model in models:

            def progress(count: int, group: str = group, model: ChoiceModel = model, before: int = done) -> None:
                line.update(before + count, f"{group}: {model.called}")

            sessions = sessions_of(tables, model.columns, told.sessions)
            found[group][model.called] = fit(model, sessions, starts=told.starts, seed=told.seed, progress=progress)
            done += len(tables)
    return found


def _recovered(
    told: FitSettings, runs: EvaluatedRuns, models: Sequence[ChoiceModel], line: ProgressLine, done: int
) -> list[Recovery]:
    if not told.recovery:
        return []

    def progress() -> None:
        nonlocal done
        done += told.recovery
        line.update(done, "recovery")

    return recover(
        runs.task,
        runs.settings,
        models,
        told.recovery,
        told.recovery_sessions,
        starts=told.starts,
        seed=told.seed,
        progress=progress,
    )


def _write(output: RunFolder, fits: Fits, recoveries: Sequence[Recovery]) -> None:
    """Tidy tables: one row a fit, one a fitted parameter, one a recovered parameter."""
    rows, parameters = [], []
    for group, by_model in fits.items():
        for one in (one for own in by_model.values() for one in own):
            best = min(own.bic for others in by_model.values() for own in others if own.subject == one.subject)
            who = {"group": group, "subject": one.subject, "model": one.model}
            rows.append(
                {
                    **who,
                    "sessions": one.sessions,
                    "trials": one.trials,
                    "parameters": len(one.parameters),
                    "log_likelihood": one.log_likelihood,
                    "log_likelihood_per_trial": one.log_likelihood / one.trials,
                    "aic": one.aic,
                    "bic": one.bic,
                    "bic_above_best": one.bic - best,
                    "converged": one.converged,
                }
            )
            for name, value in one.parameters.items():
                parameters.append(
                    {**who, "parameter": name, "value": value, "standard_error": _known(one.errors[name])}
                )
    if rows:
        write_csv(output.path / "fits.csv", rows)
        write_csv(output.path / "parameters.csv", parameters)
    recovered = [
        {
            "model": recovery.model.called,
            "subject": subject + 1,
            "parameter": parameter.name,
            "true": float(recovery.true[subject, place]),
            "fitted": float(recovery.found[subject, place]),
            "standard_error": _known(recovery.errors[subject, place]),
        }
        for recovery in recoveries
        for subject in range(len(recovery.true))
        for place, parameter in enumerate(recovery.model.parameters)
    ]
    if recovered:
        write_csv(output.path / "recovery.csv", recovered)


def _known(value: float) -> float | None:
    """An empty place in a table for what is not known."""
    return float(value) if np.isfinite(value) else None


def _table(group: str, by_model: Mapping[str, Sequence[Fit]]) -> Table:
    """What a group's choices say of each model."""
    bics = {name: np.array([one.bic for one in own]) for name, own in by_model.items()}
    lowest = np.min(list(bics.values()), axis=0)
    count = len(lowest)
    trials = sum(one.trials for one in next(iter(by_model.values())))
    table = Table(title=f"{group}: {count} subjects, {trials:,} trials", title_justify="left")
    table.add_column("model", no_wrap=True)
    for title in ("probability of a choice", "BIC above the best", "lowest BIC for"):
        table.add_column(title, justify="right")
    table.add_column("median of the parameters")
    for name, own in by_model.items():
        medians = (f"{p} {np.median([one.parameters[p] for one in own]):.3g}" for p in own[0].parameters)
        table.add_row(
            name,
            f"{np.exp(sum(one.log_likelihood for one in own) / trials):.3f}",
            f"{(bics[name] - lowest).sum():,.1f}",
            f"{int((bics[name] == lowest).sum())} of {count}",
            ", ".join(medians),
        )
    return table


def _recovery_line(recovery: Recovery) -> str:
    correlations = zip(recovery.model.parameters, recovery.correlation, strict=True)
    shown = ", ".join(f"{parameter.name} {r:.2f}" for parameter, r in correlations)
    share = recovery.chosen[recovery.own]
    return f"recovered    {recovery.model.called}: rank correlation {shown}; lowest BIC for {share:.0%}"
