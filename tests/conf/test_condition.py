"""Conditions: what Python says of each row, and nothing that could be executed."""

from __future__ import annotations

import re

import numpy as np
import pytest
from prefrontal.conf.condition import LONGEST, Condition, kind_of

rng = np.random.default_rng(0)
B = 200
COLUMNS = {
    "trial_type": rng.choice(["risky", "safe"], B),
    "reward": rng.choice(np.array([0.0, 0.1, 1.0], dtype=np.float32), B),
    "choice": rng.integers(0, 3, B).astype(np.int8),
    "common": rng.random(B) < 0.5,
    "trial": rng.integers(0, 100, B).astype(np.int32),
}
KINDS = {name: kind_of(column.dtype.type) for name, column in COLUMNS.items()}


@pytest.mark.parametrize(
    "text",
    [
        "trial_type == 'risky' and reward == 0",
        "reward == 0.1",
        "not common or choice in (0, 2)",
        "trial_type not in ['safe']",
        "10 <= trial < 20",
        "trial % 2 == 1 and -choice < 0",
        "choice * 200 > 300",
        "(trial // 10 + choice) / 2 >= 1.5 or common == True",
        "common",
        "not (choice - 1)",
        "'safe' == trial_type != 'x'",
        "trial > -1",
    ],
)
def test_rows_are_those_of_python(text):
    condition = Condition(text)
    condition.check(KINDS)
    rows = [{name: column[b].item() for name, column in COLUMNS.items()} for b in range(B)]
    for row, reward in zip(rows, COLUMNS["reward"], strict=True):
        row["reward"] = float(str(reward))  # 0.1 is 0.1
    expected = [bool(eval(text, {}, row)) for row in rows]
    assert condition(COLUMNS, B).tolist() == expected
    assert condition.names == {name for name in COLUMNS if re.search(rf"\b{name}\b", text)}


def test_a_division_by_zero_holds_nowhere():
    columns = {"a": np.array([0.0, 1.0])}
    assert Condition("1 // a == 1")(columns, 2).tolist() == [False, True]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "reward ==",
        "reward = 1",
        "__import__('os').system('true')",
        "(lambda: 1)()",
        "reward.dtype",
        "reward[0] == 1",
        "[x for x in (1, 2)]",
        "reward if common else 1",
        "2 ** 1000",
        "f'{reward}'",
        "reward is None",
        "common & 1",
        "(reward := 1)",
        "trial in 3",
        "1 < trial in (1, 2)",
        "None",
        "b'x' == trial_type",
        "1j == reward",
        "reward == 1e999",
        "reward == " + "9" * 400,
        "(" * 300 + "1" + ")" * 300,
        "not " * 120 + "common" + " " * LONGEST,
        "reward\x00",
        "await reward",
    ],
)
def test_what_is_no_condition_is_refused(text):
    with pytest.raises(ValueError):
        Condition(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("trial_tpe == 'risky'", "trial_tpe: there is no such column; did you mean trial_type"),
        ("trial_type == 1", "compares a text with a number"),
        ("reward in ('a', 1)", "compares a text with a number"),
        ("trial_type", "neither true nor false"),
        ("not trial_type", "a text cannot stand there"),
        ("trial_type + 1 > 0", "a text cannot stand there"),
    ],
)
def test_what_the_columns_do_not_have_is_named(text, message):
    with pytest.raises(ValueError, match=message):
        Condition(text).check(KINDS)


def test_a_column_of_several_values_a_row_is_named():
    with pytest.raises(ValueError, match="gaze has not one value a row"):
        Condition("gaze > 0")({"gaze": np.zeros((4, 2))}, 4)
