"""Models of choices: likelihoods against plain loops, fits against closed forms and SciPy, recovery against χ²."""

from __future__ import annotations

import math

import numpy as np
import pytest
from prefrontal.envs import registry
from prefrontal.envs.bandit.baselines import RestlessFilter
from prefrontal.envs.bandit.env import BanditEnv, BanditSettings
from prefrontal.envs.bandit.models import observer_of
from prefrontal.envs.behaviour.drawing import fit_figures, recovery_figures
from prefrontal.envs.behaviour.fitting import Fit, fit
from prefrontal.envs.behaviour.forgetting import ForgettingQ
from prefrontal.envs.behaviour.optimise import hessian, minimise
from prefrontal.envs.behaviour.recovery import recover
from prefrontal.envs.behaviour.rescorla_wagner import RescorlaWagner
from prefrontal.envs.behaviour.sessions import Sessions, sessions_of
from prefrontal.envs.behaviour.simulation import drawn, simulated
from prefrontal.envs.two_step.baselines import posterior
from prefrontal.envs.two_step.env import TwoStepSettings
from prefrontal.envs.two_step.models import Hybrid, models
from scipy import optimize, stats

SETTINGS = TwoStepSettings()
ALL = models(SETTINGS)


def some_sessions(rng, arms=2, subjects=3, most=40):
    """Random choices, states and rewards in sessions of random lengths."""
    length = rng.integers(1, most, size=3 * subjects)
    shape = (int(length.max()), len(length))
    columns = {
        "choice": rng.integers(arms, size=shape),
        "state": rng.integers(2, size=shape).astype(float),
        "reward": rng.integers(2, size=shape).astype(float),
    }
    return Sessions(columns, length, np.repeat(np.arange(subjects), 3), tuple("abc"[:subjects]))


def softmax(logits, choice):
    return logits[choice] - math.log(sum(math.exp(x) for x in logits))


def rescorla_wagner(trials, arms, rate, beta, kappa=0.0, lapse=0.0):
    values, last, total = [0.5] * arms, None, 0.0
    for choice, _, reward in trials:
        logits = [beta * q + (kappa if arm == last else 0.0) for arm, q in enumerate(values)]
        total += math.log((1 - lapse) * math.exp(softmax(logits, choice)) + lapse / arms)
        values[choice] += rate * (reward - values[choice])
        last = choice
    return total


def forgetting(trials, arms, rate, decay, beta):
    values, total = [0.0] * arms, 0.0
    for choice, _, reward in trials:
        total += softmax([beta * q for q in values], choice)
        values = [q + rate * (reward - q) if arm == choice else (1 - decay) * q for arm, q in enumerate(values)]
    return total


def hybrid(trials, _, rate_1, rate_2, trace, beta, stickiness, weight):
    free, states, last, total = [0.5, 0.5], [0.5, 0.5], None, 0.0
    for choice, state, reward in trials:
        logits = []
        for arm in (0, 1):
            planned = 0.8 * states[arm] + 0.2 * states[1 - arm]
            value = weight * planned + (1 - weight) * free[arm]
            logits.append(beta * (value + (stickiness if arm == last else 0.0)))
        total += softmax(logits, choice)
        error_1, error_2 = states[state] - free[choice], reward - states[state]
        free[choice] += rate_1 * error_1 + rate_1 * trace * error_2
        states[state] += rate_2 * error_2
        last = choice
    return total


def observer(trials, _, beta):
    belief, total = 0.5, 0.0  # that state 1 is good
    for choice, state, reward in trials:
        pays = [0.9 * (1 - belief) + 0.1 * belief, 0.9 * belief + 0.1 * (1 - belief)]
        total += softmax([beta * (0.8 * pays[arm] + 0.2 * pays[1 - arm]) for arm in (0, 1)], choice)
        belief = float(posterior(np.array([belief]), np.array([state]), np.array([reward]), SETTINGS)[0])
    return total


@pytest.mark.parametrize(
    ("model", "loop"),
    [
        (RescorlaWagner(), rescorla_wagner),
        (RescorlaWagner(3, perseveration=True), rescorla_wagner),
        (RescorlaWagner(3, perseveration=True, lapse=True), rescorla_wagner),
        (ForgettingQ(4), forgetting),
        (Hybrid(), hybrid),
        (ALL[-1], observer),
    ],
    ids=lambda value: getattr(value, "called", ""),
)
def test_likelihood_is_that_of_a_plain_loop(model, loop):
    """To the rounding of float64: sums of at most 40 terms of size 10, so 40 x 10 x 40 u and the softmax's own."""
    rng = np.random.default_rng(1)
    sessions = some_sessions(rng, model.choices)
    which = rng.integers(len(sessions.length), size=20)
    parameters = drawn(model, 20, seed=3)
    found = model.likelihood(sessions)(which, parameters)
    for session, own, value in zip(which, parameters, found, strict=True):
        column = {name: table[: sessions.length[session], session] for name, table in sessions.columns.items()}
        trials = [(int(c), int(s), float(r)) for c, s, r in zip(*column.values(), strict=True)]
        assert value == pytest.approx(loop(trials, model.choices, *own), abs=1e-11)


def test_perseveration_alone_has_a_closed_form():
    """Without learning the logit of staying is κ: its maximum-likelihood estimate is log(stays / switches)."""
    rng = np.random.default_rng(0)
    sessions = some_sessions(rng, subjects=2, most=200)
    model = RescorlaWagner(perseveration=True)
    for number, one in enumerate(fit(model, sessions, fixed={"learning_rate": 0.0, "inverse_temperature": 1.0})):
        stays = switches = 0
        for session in np.flatnonzero(sessions.subject == number):
            choice = sessions.columns["choice"][: sessions.length[session], session]
            stays, switches = stays + (choice[1:] == choice[:-1]).sum(), switches + (choice[1:] != choice[:-1]).sum()
        made = stays + switches
        likeliest = stays * math.log(stays / made) + switches * math.log(switches / made) - 3 * math.log(2)
        assert one.parameters == {"perseveration": pytest.approx(math.log(stays / switches), abs=1e-4)}
        assert one.log_likelihood == pytest.approx(likeliest, abs=1e-7)
        assert one.errors["perseveration"] == pytest.approx(math.sqrt(1 / stays + 1 / switches), rel=1e-3)
        assert (one.sessions, one.trials) == (3, made + 3)


def test_criteria_are_those_of_their_definitions():
    one = Fit("a", "m", {"x": 1.0, "y": 2.0}, {"x": 0.1, "y": 0.1}, -60.0, 4, 100, 2, True)
    assert one.bic == pytest.approx(120 + 2 * math.log(100))
    assert one.aic == pytest.approx(124)
    assert one.likelihood_per_trial == pytest.approx(math.exp(-0.6))


@pytest.mark.parametrize("model", ALL, ids=lambda model: model.called)
def test_no_search_of_scipy_finds_a_likelier_point(model):
    task = registry.get("two_step")
    tables = simulated(task, SETTINGS, model, drawn(model, 2, seed=5), sessions=2, seed=5)
    sessions = sessions_of(tables, ("choice", "state", "reward"))
    likelihood = model.likelihood(sessions)
    bounds = [(parameter.low, parameter.high) for parameter in model.parameters]
    for number, one in enumerate(fit(model, sessions)):
        which = np.flatnonzero(sessions.subject == number)

        def loss(point, which=which):
            return -likelihood(which, np.tile(point, (len(which), 1))).sum()

        assert one.converged
        assert one.log_likelihood == pytest.approx(-loss(np.array(list(one.parameters.values()))), abs=1e-9)
        for start in drawn(model, 2, seed=9):
            other = optimize.minimize(loss, start, bounds=bounds, method="L-BFGS-B")
            assert one.log_likelihood >= -other.fun - 1e-3  # a thousandth of what a criterion would notice


def test_recovery_by_the_likelihood_ratio():
    """2 (log L of the fit - log L of the truth) of N subjects with P parameters each is χ² with N P degrees of freedom.

    Exact for many trials, here 500 a subject; a fit that is worse than the truth, or too good, is an error.
    """
    task = registry.get("two_step")
    for model in (RescorlaWagner(), RescorlaWagner(perseveration=True), ALL[-1]):
        true = drawn(model, 30, seed=11)
        sessions = sessions_of(simulated(task, SETTINGS, model, true, sessions=5, seed=11), model.columns)
        at_truth = model.likelihood(sessions)(np.arange(150), np.repeat(true, 5, axis=0)).reshape(30, 5).sum(1)
        fits = fit(model, sessions)
        ratio = 2 * (np.array([one.log_likelihood for one in fits]) - at_truth)
        assert (ratio > -1e-6).all()
        assert stats.chi2.ppf(1e-5, true.size) < ratio.sum() < stats.chi2.ppf(1 - 1e-5, true.size)
        error = np.array([list(one.errors.values()) for one in fits])
        within = (np.abs(np.array([list(one.parameters.values()) for one in fits]) - true) < 1.96 * error)[
            ~np.isnan(error)
        ]
        assert stats.binom.cdf(within.sum(), within.size, 0.9) > 1e-4  # intervals of 95 %, nearly so for 500 trials


def test_same_seed_same_numbers_whoever_else_is_fitted():
    task = registry.get("bandit")
    settings = BanditSettings(arms="easy", trials=30)
    model = ForgettingQ()
    tables = simulated(task, settings, model, drawn(model, 5), sessions=2)
    one, again = (fit(model, sessions_of(tables)) for _ in range(2))
    for first, second in zip(one, again, strict=True):
        assert (first.parameters, first.log_likelihood) == (second.parameters, second.log_likelihood)
        np.testing.assert_array_equal(list(first.errors.values()), list(second.errors.values()))  # NaN on a bound
    (alone,) = fit(model, sessions_of({"3": tables["3"]}))
    assert alone.log_likelihood == pytest.approx(one[2].log_likelihood, abs=1e-6)


def test_what_cannot_be_fitted_is_said():
    sessions = some_sessions(np.random.default_rng(0))
    with pytest.raises(ValueError, match="rescorla_wagner has no parameter lapse"):
        fit(RescorlaWagner(), sessions, fixed={"lapse": 0.1})
    with pytest.raises(ValueError, match="lack reward"):
        sessions_of({"a": {"episode": np.zeros(3), "choice": np.zeros(3)}})
    with pytest.raises(ValueError, match="a has no trials"):
        sessions_of({"a": {name: np.zeros(0) for name in ("episode", "choice", "reward")}})


def test_minimise_many_problems_at_once():
    """Quadratics with known minima and Hessians, and Rosenbrock's valley."""
    rng = np.random.default_rng(0)
    roots = rng.normal(size=(6, 3, 3))
    matrix, centre = roots @ roots.swapaxes(1, 2) + np.eye(3), rng.normal(size=(6, 3))

    def quadratic(problem, point):
        off = point - centre[problem]
        return 0.5 * np.einsum("ki,kij,kj->k", off, matrix[problem], off)

    found = minimise(quadratic, np.zeros((6, 3)))
    assert found.converged.all()
    np.testing.assert_allclose(found.point, centre, atol=1e-4)
    np.testing.assert_allclose(hessian(quadratic, np.arange(6), centre), matrix, atol=1e-8)
    valley = minimise(lambda _, x: (1 - x[:, 0]) ** 2 + 100 * (x[:, 1] - x[:, 0] ** 2) ** 2, np.array([[-1.2, 1.0]]))
    np.testing.assert_allclose(valley.point, [[1.0, 1.0]], atol=1e-3)


@pytest.mark.parametrize(
    ("options", "prior"),
    [
        ({"arms": "uniform"}, lambda p: np.ones_like(p)),
        ({"arms": "normalised"}, lambda p: 0.5 / np.maximum(p, 1 - p) ** 2),
        ({"arms": "medium"}, lambda p: ((np.abs(p - 0.25) < 1e-9) | (np.abs(p - 0.75) < 1e-9)).astype(float)),
    ],
)
def test_observers_expect_the_posterior_mean(options, prior):
    rng = np.random.default_rng(2)
    grid = np.linspace(0, 1, 4001)[1:-1]
    observer = observer_of(BanditSettings(**options))(1)
    belief = prior(grid)
    for _ in range(12):
        mean = (belief * grid).sum() / belief.sum()
        np.testing.assert_allclose(observer.expected(), [[mean, 1 - mean]], atol=2e-4)  # cells of 1/200, midpoint rule
        choice, reward = rng.integers(2, size=1), rng.integers(2, size=1).astype(float)
        observer.observe({"choice": choice, "reward": reward})
        belief = belief * (grid if (choice[0] == 0) == (reward[0] > 0) else 1 - grid)


def test_independent_and_restless_arms():
    settings = BanditSettings(arms="restless")
    ours, theirs = observer_of(settings)(4), RestlessFilter(BanditEnv(settings, 4))
    beta = observer_of(BanditSettings(num_arms=3))(4)
    rng = np.random.default_rng(0)
    for _ in range(5):
        choice, reward = rng.integers(2, size=4), rng.integers(2, size=4).astype(float)
        ours.observe({"choice": choice, "reward": reward})
        theirs.learn(choice, reward, choice)
        beta.observe({"choice": np.zeros(4, dtype=int), "reward": np.ones(4)})
    np.testing.assert_array_equal(ours.expected(), theirs.scores())
    np.testing.assert_allclose(beta.expected(), np.tile([6 / 7, 0.5, 0.5], (4, 1)))
    ours.begin(np.ones(4, dtype=bool))
    np.testing.assert_allclose(ours.expected(), 0.5)
    assert observer_of(BanditSettings(arms="informative")) is None


def test_recovery_and_its_figures():
    task = registry.get("two_step")
    settings = TwoStepSettings(trials=40)
    some = [ALL[0], ALL[-1]]
    calls = []
    found = recover(task, settings, some, 4, 2, starts=1, progress=lambda: calls.append(1))
    assert len(calls) == 4
    assert [one.chosen.sum() for one in found] == pytest.approx([1, 1])
    for one in found:
        expected = [stats.spearmanr(a, b).statistic for a, b in zip(one.true.T, one.found.T, strict=True)]
        np.testing.assert_allclose(one.correlation, expected)
    assert found[0].found.shape == found[0].errors.shape == (4, 2)
    assert set(recovery_figures(found)) == {"recovery", "model_recovery"}
    fits = {"rats": {m.called: f for m, f in zip(some, found[0].fits, strict=True)}}
    assert set(fit_figures(fits, some)) == {"fits", "parameters"}


@pytest.mark.parametrize("name", [name for name, task in registry.tasks().items() if task.models(task.configure())])
def test_every_model_plays_its_task(name):
    task = registry.get(name)
    for model in task.models(task.configure()):
        tables = simulated(task, task.configure(), model, drawn(model, 2), sessions=2)
        assert [len(np.unique(trials["episode"])) for trials in tables.values()] == [2, 2]
        sessions = sessions_of(tables, model.columns)
        assert np.isfinite(model.likelihood(sessions)(np.arange(4), np.repeat(drawn(model, 2), 2, axis=0))).all()
