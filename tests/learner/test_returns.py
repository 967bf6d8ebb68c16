"""Returns against loops written from the papers' equations, and the relations that must hold between them."""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest
import torch
from prefrontal.learner.returns import generalized_advantage, n_step, vtrace


def problem(seed, T=23, B=6, end=0.15):
    """Random tensors [T, B] in double precision, with terminations and truncations anywhere."""
    rng = np.random.default_rng(seed)
    ends = rng.random((T, B)) < end
    terminated = ends & (rng.random((T, B)) < 0.5)
    arrays = {
        "log_rho": rng.normal(0, 0.8, (T, B)),
        "reward": rng.normal(size=(T, B)),
        "discount": np.where(terminated, 0.0, 0.93),
        "value": rng.normal(size=(T, B)),
        "next_value": rng.normal(size=(T, B)),
        "continues": ~ends,
    }
    arrays["next_value"][:-1] = np.where(ends[:-1], arrays["next_value"][:-1], arrays["value"][1:])
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def without_ratio(p):
    return {name: tensor for name, tensor in p.items() if name != "log_rho"}


def stretch_end(p, t, b):
    """Last step of the stretch that t lies in: where the episode ends, or the unroll."""
    T = len(p["reward"])
    while t < T - 1 and p["continues"][t, b]:
        t += 1
    return t


def brute_vtrace(p, lambda_, rho_clip, c_clip, pg_rho_clip):
    """Espeholt et al. 2018, equation 1: v_s = V + sum_t gamma^(t-s) (prod c_i) delta_t.

    And section 4.2: rho_s (r_s + gamma v_{s+1} - V(x_s)), where v_{s+1} is what the value network says of the state
    that followed if the episode or the unroll ends there.
    """
    T, B = p["reward"].shape
    target, advantage = torch.zeros(T, B).double(), torch.zeros(T, B).double()

    def ratio(t, b):
        return math.exp(p["log_rho"][t, b])

    def delta(t, b):
        return min(rho_clip, ratio(t, b)) * (
            p["reward"][t, b] + p["discount"][t, b] * p["next_value"][t, b] - p["value"][t, b]
        )

    for b in range(B):
        for s in range(T):
            total = 0.0
            for t in range(s, stretch_end(p, s, b) + 1):
                weight = 1.0
                for i in range(s, t):
                    weight *= p["discount"][i, b] * lambda_ * min(c_clip, ratio(i, b))
                total += weight * delta(t, b)
            target[s, b] = p["value"][s, b] + total
    for b in range(B):
        for s in range(T):
            inside = s + 1 < T and p["continues"][s, b]
            following = target[s + 1, b] if inside else p["next_value"][s, b]
            q = p["reward"][s, b] + p["discount"][s, b] * following
            advantage[s, b] = min(pg_rho_clip, ratio(s, b)) * (q - p["value"][s, b])
    return target, advantage


def brute_n_step(p, n):
    """r_s + gamma r_{s+1} + ... + gamma^m V, with m = n or fewer where the stretch ends."""
    T, B = p["reward"].shape
    target = torch.zeros(T, B).double()
    for b in range(B):
        for s in range(T):
            last = min(s + n - 1, stretch_end(p, s, b))
            total, weight = 0.0, 1.0
            for t in range(s, last + 1):
                total += weight * p["reward"][t, b]
                weight *= p["discount"][t, b]
            target[s, b] = total + weight * p["next_value"][last, b]
    return target


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("lambda_", "rho_clip", "c_clip", "pg_rho_clip"),
    [(1.0, 1.0, 1.0, 1.0), (0.7, 1.5, 0.9, 1.2), (0.0, 1.0, 1.0, 1.0), (1.0, math.inf, 1.3, 0.8)],
)
def test_vtrace_is_the_sum_of_the_paper(seed, lambda_, rho_clip, c_clip, pg_rho_clip):
    p = problem(seed)
    settings = {"lambda_": lambda_, "rho_clip": rho_clip, "c_clip": c_clip, "pg_rho_clip": pg_rho_clip}
    target, advantage = brute_vtrace(p, **settings)
    computed = vtrace(**p, **settings)
    torch.testing.assert_close(computed.target, target)
    torch.testing.assert_close(computed.advantage, advantage)
    torch.testing.assert_close(computed.rho, p["log_rho"].exp().clamp(max=rho_clip))


def test_wild_ratios_stay_finite_in_single_precision():
    """exp(200) overflows a float32; the clipped weights and what is made of them must not."""
    single = {k: v.float() if v.is_floating_point() else v for k, v in problem(2, T=50).items()}
    single["log_rho"] = torch.where(single["log_rho"] > 0, 200.0, -200.0)
    for result in vtrace(**single):
        assert result.dtype == torch.float32
        assert torch.isfinite(result).all()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("n", [1, 2, 5, 50])
def test_n_step_is_the_sum_of_rewards_and_a_bootstrap(seed, n):
    p = problem(seed)
    computed = n_step(**without_ratio(p), n=n)
    torch.testing.assert_close(computed.target, brute_n_step(p, n))
    torch.testing.assert_close(computed.advantage, computed.target - p["value"])


@pytest.mark.parametrize("lambda_", [0.0, 0.5, 0.95, 1.0])
def test_gae_is_the_weighted_mean_of_n_step_returns(lambda_):
    """(1 - lambda) sum_n lambda^(n-1) G^(n), the last one with all the weight that is left (Schulman et al. 2016)."""
    p = problem(7, T=12, B=3)
    T, B = p["reward"].shape
    expected = torch.zeros(T, B).double()
    per_n = {n: brute_n_step(p, n) for n in range(1, T + 1)}
    for b in range(B):
        for s in range(T):
            longest = stretch_end(p, s, b) - s + 1
            for n in range(1, longest + 1):
                weight = lambda_ ** (n - 1) * (1 - lambda_ if n < longest else 1.0)
                expected[s, b] += weight * per_n[n][s, b]
    torch.testing.assert_close(generalized_advantage(**without_ratio(p), lambda_=lambda_).target, expected)


def test_special_cases_agree():
    p = problem(1)
    plain = without_ratio(p)
    on_policy = {**p, "log_rho": torch.zeros_like(p["log_rho"])}
    gae = generalized_advantage(**plain, lambda_=1.0)
    torch.testing.assert_close(vtrace(**on_policy).target, gae.target)
    torch.testing.assert_close(vtrace(**on_policy).advantage, gae.advantage)
    partial = generalized_advantage(**plain, lambda_=0.6)
    torch.testing.assert_close(vtrace(**on_policy, lambda_=0.6).target, partial.target)
    torch.testing.assert_close(n_step(**plain, n=1000).target, gae.target)
    torch.testing.assert_close(n_step(**plain, n=1).target, generalized_advantage(**plain, lambda_=0.0).target)


@pytest.mark.parametrize("terminated", [False, True])
@pytest.mark.parametrize(
    "compute",
    [
        vtrace,
        functools.partial(vtrace, lambda_=0.8),
        lambda log_rho, **p: generalized_advantage(**p, lambda_=0.9),
        lambda log_rho, **p: n_step(**p, n=4),
    ],
    ids=["vtrace", "vtrace-lambda", "gae", "n_step"],
)
def test_joined_episodes_give_what_separate_ones_give(compute, terminated):
    """Two episodes in one row, cut at a truncation or a termination, against the same two rows apart."""
    p = problem(3, T=20, B=1, end=0.0)
    p["continues"][8] = False
    p["discount"][8] = 0.0 if terminated else 0.93
    p["next_value"][8] = 1.7  # of the real last observation, unlike value[9]
    joined = compute(**p)
    apart = [compute(**{k: v[:9] for k, v in p.items()}), compute(**{k: v[9:] for k, v in p.items()})]
    torch.testing.assert_close(joined.target, torch.cat([a.target for a in apart]))
    torch.testing.assert_close(joined.advantage, torch.cat([a.advantage for a in apart]))


def test_results_carry_no_gradient():
    p = {k: v.requires_grad_() if v.is_floating_point() else v for k, v in problem(0).items()}
    plain = without_ratio(p)
    for returns in (vtrace(**p), generalized_advantage(**plain), n_step(**plain, n=3)):
        assert not any(result.requires_grad for result in returns)


def test_wrong_arguments_are_refused():
    plain = without_ratio(problem(0))
    with pytest.raises(ValueError, match="n >= 1"):
        n_step(**plain, n=0)
    with pytest.raises(ValueError, match=r"next_value.*\(23, 1\)"):  # would broadcast
        generalized_advantage(**{**plain, "next_value": plain["next_value"][:, :1]})
    with pytest.raises(ValueError, match="log_rho"):
        vtrace(plain["value"][:5], **plain)
    with pytest.raises(ValueError, match="T > 0"):
        n_step(**{k: v[:0] for k, v in plain.items()}, n=1)
    with pytest.raises(TypeError, match="boolean"):
        generalized_advantage(**{**plain, "continues": plain["continues"].double()})
