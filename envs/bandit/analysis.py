"""Behaviour in bandits: regret and its curve, rasters of choices, learning rates under volatility, figures."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import optimize

from ..plotting import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    RED,
    draw_learning_curve,
    label,
    legend,
    mean_and_sd,
    new_figure,
)
from ..trials import Evaluation, Reference, Trials, simulate
from ..vector import Array
from .baselines import BASELINES, best_known
from .env import BanditEnv, BanditSettings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COMPUTED = {
    "independent": (2.79, 4.11, 1.75),
    "uniform": (2.81, 4.20, 1.24),
    "easy": (2.12, 3.91, 0.63),
    "medium": (3.02, 4.68, 0.99),
    "hard": (4.07, 4.88, 2.30),
}
"""Regret of Thompson sampling, UCB (chi = 1) and the best possible agent: 100 trials, two arms, 40,000 problems."""

STYLES = {
    "bayes_optimal": ("best possible", "#222222", "--"),
    "gittins": ("Gittins index", GREEN, "-"),
    "thompson": ("Thompson", ORANGE, "-"),
    "ucb": ("UCB (chi = 1)", RED, "-"),
    "rescorla_wagner": ("Rescorla-Wagner", PURPLE, "-"),
}


def summarise(trials: Trials, settings: BanditSettings) -> dict[str, Any]:
    """Reward, and regret (best mean - chosen mean) and suboptimal pulls of a whole episode; NaN without trials.

    From windows of training the per-trial means stand for whole episodes of `trial_count` trials.
    """
    if not len(trials.get("trial", ())):
        names = ("reward_per_trial", "regret", "suboptimal_pulls", "return")
        return dict.fromkeys(names, float("nan"))
    gap = trials["best"] - trials["chosen"]
    length = settings.trial_count
    return {
        "reward_per_trial": float(trials["reward"].mean()),
        "regret": float(gap.mean() * length),
        "suboptimal_pulls": float((gap > 1e-6).mean() * length),
        "return": float(trials["reward"].mean() * length),
    }


def _per_episode(trials: Trials, settings: BanditSettings, column: Array) -> Array:
    """A column of complete episodes as [episodes, trials]."""
    _, start, count = np.unique(trials["episode"], return_index=True, return_counts=True)
    whole = start[count == settings.trial_count]
    table: Array = column[whole[:, None] + np.arange(settings.trial_count)]
    return table


def regret_curve(trials: Trials, settings: BanditSettings) -> tuple[Array, Array]:
    """Cumulative regret by trial, and the half width of its 95 % confidence interval over episodes; both [trials]."""
    gaps = _per_episode(trials, settings, (trials["best"] - trials["chosen"]).astype(float))
    curves = gaps.cumsum(1)
    if not len(curves):
        nothing = np.full(settings.trial_count, np.nan)
        return nothing, nothing
    return curves.mean(0), 1.96 * curves.std(0, ddof=min(1, len(curves) - 1)) / np.sqrt(len(curves))


def analyse(trials: Trials, settings: BanditSettings) -> dict[str, Any]:
    """The regret curve; for restless arms the learning rates that fit the choices."""
    if not len(trials.get("trial", ())):
        return {}
    mean, half = regret_curve(trials, settings)
    result: dict[str, Any] = {"regret_curve": {"mean": mean.tolist(), "ci95": half.tolist()}}
    if settings.arms == "restless":
        result["learning_rate"] = {
            name: fit_learning_rate(trials, settings, volatile)
            for name, volatile in (("low_volatility", False), ("high_volatility", True))
        }
    return result


def fit_learning_rate(trials: Trials, settings: BanditSettings, volatile: bool) -> float:
    """Rescorla-Wagner learning rate that makes the choices of one kind of episode likeliest (softmax; two arms)."""
    kind = _per_episode(trials, settings, trials["volatile"])[:, 0] == volatile
    choice = _per_episode(trials, settings, trials["choice"])[kind].astype(int)
    reward = _per_episode(trials, settings, trials["reward"])[kind]
    if not len(choice):
        return float("nan")
    rows = np.arange(len(choice))

    def loss(parameters: Array) -> float:
        rate, temperature = 1 / (1 + np.exp(-parameters[0])), np.exp(parameters[1])
        values, total = np.full((len(choice), 2), 0.5), 0.0
        for t in range(choice.shape[1]):
            chosen, other = values[rows, choice[:, t]], values[rows, 1 - choice[:, t]]
            total += np.logaddexp(0.0, -temperature * (chosen - other)).sum()
            values[rows, choice[:, t]] += rate * (reward[:, t] - chosen)
        return total

    best = optimize.minimize(loss, np.array([0.0, 1.0]), method="Nelder-Mead", options={"maxiter": 120})
    return float(1 / (1 + np.exp(-best.x[0])))


@functools.lru_cache(maxsize=32)
def baseline_trials(name: str, settings: BanditSettings, episodes: int = 1000) -> Mapping[str, Array]:
    """Trials of a baseline in the real environment; kept for the next figure."""
    env = BanditEnv(settings, episodes)
    return simulate(env, BASELINES[name](env), episodes, seed=1)[0]


def _playable(settings: BanditSettings) -> list[str]:
    names = list(STYLES)
    if best_known(settings) is None:
        names.remove("bayes_optimal")
    return ["bayes_optimal"] if settings.arms == "informative" else names


def references(settings: BanditSettings) -> list[Reference]:
    """The best possible agent, Thompson sampling and UCB."""
    if settings.arms in COMPUTED and settings.trial_count == 100 and settings.arm_count == 2:
        thompson, ucb, best = COMPUTED[settings.arms]
        source = "40,000 simulated problems"
        return [
            Reference("best possible", {"regret": best}, source),
            Reference("Thompson", {"regret": thompson}, source),
            Reference("UCB", {"regret": ucb}, source),
        ]
    found = []
    for name in [n for n in ("bayes_optimal", "thompson", "ucb") if n in _playable(settings)]:
        values = summarise(baseline_trials(name, settings), settings)
        found.append(Reference(STYLES[name][0], values, "1,000 simulated episodes"))
    return found


def figures(evaluations: Sequence[Evaluation], settings: BanditSettings) -> dict[str, Figure]:
    """Cumulative regret (main), raster of choices, learning curve."""
    drawn = {"regret": _draw_regret(evaluations, settings)}
    if len(evaluations[0].trials.get("trial", ())):
        drawn["raster"] = _draw_raster(evaluations[0], settings)
    figure, (axis,) = new_figure()
    if draw_learning_curve(axis, evaluations, "regret"):
        for reference, style in zip(references(settings), ("--", ":", "-."), strict=False):
            axis.axhline(reference.values["regret"], color=GREY, linestyle=style, linewidth=1, label=reference.name)
        label(axis, "learning", "environment steps (millions)", "regret of an episode")
        axis.set_yscale("log")
        legend(axis)
        drawn["learning_curve"] = figure
    return drawn


def _draw_regret(evaluations: Sequence[Evaluation], settings: BanditSettings) -> Figure:
    figure, (axis,) = new_figure(width=4.8)
    trials = np.arange(1, settings.trial_count + 1)
    for name in _playable(settings):
        title, color, line = STYLES[name]
        mean, _ = regret_curve(baseline_trials(name, settings), settings)
        axis.plot(trials, mean, line, color=color, linewidth=1.2, label=title)
    curves = [regret_curve(e.trials, settings) for e in evaluations if len(e.trials.get("trial", ()))]
    if curves:
        mean, spread = mean_and_sd([curve for curve, _ in curves]) if len(curves) > 1 else curves[0]
        name = f"network, {len(curves)} seeds (SD)" if len(curves) > 1 else "network (95 % CI)"
        axis.plot(trials, mean, color=BLUE, linewidth=2.2, label=name)
        axis.fill_between(trials, mean - spread, mean + spread, color=BLUE, alpha=0.25, linewidth=0)
    label(axis, f"bandit, {settings.arms} arms", "trial", "cumulative regret")
    axis.set_xlim(1, settings.trial_count)
    axis.set_ylim(0)
    figure.legend(frameon=False, fontsize=8, loc="outside right upper")
    return figure


def _draw_raster(evaluation: Evaluation, settings: BanditSettings, rows: int = 200) -> Figure:
    """Rows: episodes ordered by the first arm's probability; columns: trials; colour: the arm."""
    figure, axes = new_figure(3, 2.8)
    agents = {
        "network": evaluation.trials,
        "random": baseline_trials("random", settings),
        "oracle": baseline_trials("oracle", settings),
    }
    for axis, (name, trials) in zip(axes, agents.items(), strict=True):
        choice = _per_episode(trials, settings, trials["choice"])[:rows]
        first = _per_episode(trials, settings, trials["arm_1"])[:rows, 0]
        order = np.argsort(first, kind="stable")
        axis.imshow(
            choice[order],
            aspect="auto",
            cmap="coolwarm",
            interpolation="nearest",
            vmin=0,
            vmax=settings.arm_count - 1,
            origin="lower",
        )
        label(axis, name, "trial", "episode, by probability of arm 1")
    return figure


def transfer_figure(regret: Mapping[tuple[str, str], float], names: Sequence[str]) -> Figure:
    """Train/test matrix: `regret[trained on, tested on]`, for the distributions in `names`."""
    figure, (axis,) = new_figure(width=4.6, height=4.0)
    table = np.array([[regret.get((row, column), np.nan) for column in names] for row in names])
    image = axis.imshow(table, cmap="viridis_r")
    for (row, column), value in np.ndenumerate(table):
        axis.text(column, row, f"{value:.1f}" if np.isfinite(value) else "-", ha="center", va="center", color="white")
    axis.set_xticks(range(len(names)), names, rotation=30)
    axis.set_yticks(range(len(names)), names)
    label(axis, "regret", "tested on", "trained on")
    figure.colorbar(image, ax=axis, shrink=0.8)
    return figure
