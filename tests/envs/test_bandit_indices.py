"""The bandits' dynamic programmes against brute force and against values worked out by hand."""

from __future__ import annotations

import pytest
from prefrontal.envs.bandit.indices import gittins_table, optimal_policy


def test_optimal_policy_and_index_against_recursion():
    """Brute force: expected rewards by recursion over everything that can happen, in exact order of play."""

    def best(horizon, s1, f1, s2, f2):
        if horizon == 0:
            return 0.0
        return max(both(horizon, s1, f1, s2, f2))

    def both(horizon, s1, f1, s2, f2):
        p1, p2 = (s1 + 1) / (s1 + f1 + 2), (s2 + 1) / (s2 + f2 + 2)
        left = horizon - 1
        return (
            p1 * (1 + best(left, s1 + 1, f1, s2, f2)) + (1 - p1) * best(left, s1, f1 + 1, s2, f2),
            p2 * (1 + best(left, s1, f1, s2 + 1, f2)) + (1 - p2) * best(left, s1, f1, s2, f2 + 1),
        )

    horizon = 6
    policy = optimal_policy(horizon)
    checked = 0
    for made in range(horizon):
        for n1 in range(made + 1):
            for s1 in range(n1 + 1):
                for s2 in range(made - n1 + 1):
                    first, second = both(horizon - made, s1, n1 - s1, s2, made - n1 - s2)
                    expected = 2 if abs(first - second) < 1e-6 else int(second > first)
                    assert policy[made][n1, s1, s2] == expected
                    checked += 1
    assert checked > 100

    def stopped(left, s, f, payment):
        if left == 0:
            return 0.0
        p = (s + 1) / (s + f + 2)
        go_on = p * (1 + stopped(left - 1, s + 1, f, payment)) + (1 - p) * stopped(left - 1, s, f + 1, payment)
        return max(go_on, payment * left)

    table = gittins_table(horizon)
    for s, f in ((0, 0), (1, 0), (0, 1), (2, 1), (1, 3)):
        left = horizon - s - f
        assert stopped(left, s, f, table[s, f] - 0.004) > left * (table[s, f] - 0.004) + 1e-6
        assert stopped(left, s, f, table[s, f] + 0.004) == pytest.approx(left * (table[s, f] + 0.004))


def test_gittins_index_by_hand():
    """More successes raise it. Two pulls left, uniform prior: 5/9, where going on and retiring are worth the same."""
    table = gittins_table(100)
    assert table[1, 0] > table[0, 0] > max(0.5, table[0, 1])
    assert gittins_table(1)[0, 0] == pytest.approx(0.5, abs=0.002)
    assert gittins_table(2)[0, 0] == pytest.approx(5 / 9, abs=0.003)
