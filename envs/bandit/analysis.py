"""Behaviour in bandits: regret and its curve, learning rates under volatility, transfer, reference values."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..behaviour.fitting import fit
from ..behaviour.rescorla_wagner import RescorlaWagner
from ..behaviour.sessions import sessions_of
from ..table_columns import Column
from ..tables import TableForm
from ..trials import Reference, Trials, simulate
from ..vector import Array
from .baselines import BASELINES, best_known
from .env import Arms, BanditEnv, BanditSettings
from .indices import LONGEST_INDEX
from .restless import volatility_tracking

COMPUTED = {
    "independent": (2 / 3, 2.79, 4.11, 1.75),
    "uniform": (0.75, 2.81, 4.20, 1.24),
    "easy": (0.9, 2.12, 3.91, 0.63),
    "medium": (0.75, 3.02, 4.68, 0.99),
    "hard": (0.6, 4.07, 4.88, 2.30),
    "normalised": (float(np.log(2)), 2.92, 4.08, 1.45),
}
"""Expected mean of the better arm (exact), and regret of Thompson sampling, UCB (chi = 1) and the best possible agent:
100 trials, two arms, 40,000 problems, standard error at most 0.02."""

TITLES = {
    "bayes_optimal": "best possible",
    "gittins": "Gittins index",
    "thompson": "Thompson",
    "ucb": "UCB (chi = 1)",
    "rescorla_wagner": "Rescorla-Wagner",
}
"""Baselines that a network is shown against, with their names in figures and tables."""


def _probabilities(settings: BanditSettings) -> tuple[str, ...]:
    return tuple(f"p_{arm + 1}" for arm in range(settings.arm_count))


def _table_columns(settings: BanditSettings) -> tuple[Column, ...]:
    arms = _probabilities(settings)
    means = [Column(name, follows_from=arms) for name in ("best", "chosen", "arm_1")]
    kind = [Column("volatile", 2)] if settings.arms == "restless" else []
    return Column("choice", settings.arm_count), Column("reward"), *means, *kind


def _complete(trials: Trials, settings: BanditSettings) -> Trials:
    """Means of the arms from their probabilities; arms that do not drift are not volatile."""
    found: dict[str, Array] = {}
    names = _probabilities(settings)
    if all(name in trials for name in names):
        means = np.column_stack([trials[name] for name in names]).astype(np.float32)
        chosen = means[np.arange(len(means)), trials["choice"]]
        found = {"best": means.max(1), "chosen": chosen, "arm_1": means[:, 0]}
    if "volatile" not in trials:
        found["volatile"] = np.zeros(len(trials["choice"]), dtype=bool)
    return found


TABLE = TableForm(_table_columns, _complete, BanditEnv.info_spec, lambda settings: settings.trial_count)
"""What tables of others need: arm, reward and, for the regret, each arm's probability in each trial, `p_1`, `p_2`, ...
(or the mean of the best arm, of the chosen one, and of the first)."""


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


def per_episode(trials: Trials, settings: BanditSettings, column: Array) -> Array:
    """A column of the complete episodes as [episodes, trials]; incomplete ones are left out."""
    _, start, count = np.unique(trials["episode"], return_index=True, return_counts=True)
    whole = start[count == settings.trial_count]
    table: Array = column[whole[:, None] + np.arange(settings.trial_count)]
    return table


def regret_curve(trials: Trials, settings: BanditSettings) -> tuple[Array, Array]:
    """Cumulative regret by trial, and the half width of its 95 % confidence interval over episodes; both [trials]."""
    gaps = per_episode(trials, settings, (trials["best"] - trials["chosen"]).astype(float))
    curves = gaps.cumsum(1)
    if not len(curves):
        nothing = np.full(settings.trial_count, np.nan)
        return nothing, nothing
    return curves.mean(0), 1.96 * curves.std(0, ddof=min(1, len(curves) - 1)) / np.sqrt(len(curves))


def reward_by_trial(trials: Trials, settings: BanditSettings) -> Array:
    """Mean reward of each trial over complete episodes, [trials]; NaN if there are none."""
    rewards = per_episode(trials, settings, trials["reward"].astype(float))
    return rewards.mean(0) if len(rewards) else np.full(settings.trial_count, np.nan)


def analyse(trials: Trials, settings: BanditSettings) -> dict[str, Any]:
    """The regret curve and the reward by trial; for restless arms the learning rates that fit the choices.

    A learner that follows the volatility of the world has a higher rate in volatile episodes (Behrens et al. 2007).
    """
    if not len(trials.get("trial", ())):
        return {}
    mean, half = regret_curve(trials, settings)
    result: dict[str, Any] = {
        "regret_curve": {"mean": mean.tolist(), "ci95": half.tolist()},
        "reward_by_trial": reward_by_trial(trials, settings).tolist(),
    }
    if settings.arms == "restless":
        result["learning_rate"] = {
            name: fit_learning_rate(trials, settings, volatile)
            for name, volatile in (("low_volatility", False), ("high_volatility", True))
        }
        result["by_block"] = volatility_tracking(trials, settings)
    return result


def fit_learning_rate(trials: Trials, settings: BanditSettings, volatile: bool, episodes: int = 1000) -> float:
    """Rescorla-Wagner learning rate that makes the choices of one kind of episode likeliest (softmax).

    Rate and inverse temperature are fitted together to the first `episodes` of the kind; NaN if there are none.
    """
    kind = {name: column[trials["volatile"] == volatile] for name, column in trials.items()}
    if not len(kind["episode"]):
        return float("nan")
    sessions = sessions_of({"all": kind}, most=episodes)
    return fit(RescorlaWagner(settings.arm_count), sessions, starts=1)[0].parameters["learning_rate"]


@functools.lru_cache(maxsize=32)
def baseline_trials(name: str, settings: BanditSettings, episodes: int = 1000) -> Mapping[str, Array]:
    """Trials of a baseline in the real environment; kept for the next figure."""
    env = BanditEnv(settings, episodes)
    return simulate(env, BASELINES[name](env), episodes, seed=1)[0]


def comparable(settings: BanditSettings) -> list[str]:
    """The baselines of `TITLES` that can play these settings."""
    if settings.arms == "informative":
        return ["bayes_optimal"]
    names = list(TITLES)
    if best_known(settings) is None:
        names.remove("bayes_optimal")
    if settings.trial_count > LONGEST_INDEX:
        names.remove("gittins")
    return names


def references(settings: BanditSettings) -> list[Reference]:
    """The best possible agent, Thompson sampling and UCB: computed values, or else a simulation of these settings."""
    if settings.arms in COMPUTED and settings.trial_count == 100 and settings.arm_count == 2:
        oracle, thompson, ucb, best = COMPUTED[settings.arms]
        return [
            Reference(
                name,
                {"reward_per_trial": oracle - regret / 100, "regret": regret, "return": 100 * oracle - regret},
                "40,000 simulated problems",
            )
            for name, regret in (("best possible", best), ("Thompson", thompson), ("UCB (chi = 1)", ucb))
        ]
    found = []
    for name in [n for n in ("bayes_optimal", "thompson", "ucb") if n in comparable(settings)]:
        values = summarise(baseline_trials(name, settings), settings)
        found.append(Reference(TITLES[name], values, "1,000 simulated episodes"))
    return found


def transfer_matrix(
    trials: Mapping[tuple[Arms, Arms], Trials], trial_count: int = 100
) -> dict[tuple[Arms, Arms], float]:
    """Regret of each (trained on, tested on) pair of distributions, from the trials of its evaluation.

    The trials come from `prefrontal evaluate run=<trained on A> task.arms=<B>`; see `drawing.transfer_figure`.
    """
    return {
        (trained, tested): summarise(table, BanditSettings(arms=tested, trials=trial_count))["regret"]
        for (trained, tested), table in trials.items()
    }
