"""Tables of others' trials: what comes out of a good one, and what is said of each that is not."""

from __future__ import annotations

import numpy as np
import pytest
from prefrontal.envs import registry
from prefrontal.envs.table_columns import TableError
from prefrontal.envs.tables import trials_of_others
from prefrontal.envs.trials import simulate

TWO_STEP, BANDIT = registry.get("two_step"), registry.get("bandit")


def read(table, task=TWO_STEP, options=None, **told):
    settings = task.configure(options)
    return trials_of_others(table, task.table, settings, called="table", **told)


def rats(**changes):
    """Two rats, two sessions each, three trials a session, rows in no order."""
    table = {
        "rat": np.repeat(["b", "a"], 6).astype(object),
        "day": np.tile(np.repeat([2, 1], 3), 2),
        "trial": np.tile([3, 1, 2], 4),
        "poke": np.tile([1, 0, 1], 4),
        "common": np.tile([True, False, True], 4),
        "reward": np.tile([1, 0, 1], 4),
    }
    return {name: column for name, column in (table | changes).items() if column is not None}


NAMES = {"subject": "rat", "session": "day", "action": "poke"}


def test_rows_are_sorted_numbered_and_completed():
    one, other = read(rats(), names=NAMES)
    assert (one.name, other.name, one.group) == ("a", "b", "table")
    trials = one.trials
    assert trials["episode"].tolist() == [0, 0, 0, 1, 1, 1]
    assert trials["trial"].tolist() == [0, 1, 2, 0, 1, 2]
    assert trials["choice"].tolist() == [0, 1, 1] * 2
    assert trials["state"].tolist() == [1, 1, 1] * 2, "the common one of 1 is 1, the uncommon one of 0 too"
    assert trials["reward"].dtype == np.float32
    assert trials["common"].dtype == bool


@pytest.mark.parametrize("task", [TWO_STEP, BANDIT], ids=lambda task: task.name)
def test_own_trials_come_back_as_they_were(task):
    """The names that the program's own tables have need no mapping; every number of the analyses is the same."""
    settings = task.configure({})
    env = task.make(settings, 20)
    trials, _ = simulate(env, task.baselines["random"](env), 40, seed=0)
    (back,) = read({name: column for name, column in trials.items() if name != "steps"}, task)
    for name, column in back.trials.items():
        np.testing.assert_array_equal(column, trials[name], err_msg=name)
    assert task.summarise(back.trials, settings) == task.summarise(trials, settings)
    assert task.analyse(back.trials, settings) == task.analyse(trials, settings)


def test_probabilities_of_the_arms_give_best_and_chosen():
    table = {
        "session": [0, 0],
        "trial": [0, 1],
        "action": [1, 0],
        "reward": [1, 0],
        "p_1": [0.2, 0.2],
        "p_2": [0.7, 0.7],
    }
    (one,) = read({name: np.array(column) for name, column in table.items()}, BANDIT)
    np.testing.assert_allclose(one.trials["best"], 0.7)
    np.testing.assert_allclose(one.trials["chosen"], [0.7, 0.2])
    assert BANDIT.summarise(one.trials, BANDIT.configure({"trials": 2}))["regret"] == pytest.approx(0.5)


def test_words_for_actions_and_groups():
    words = np.array(["right" if poke else "left" for poke in rats()["poke"]], dtype=object)
    table = rats(poke=words, genotype=np.where(rats()["rat"] == "a", "ko", "wt"))
    one, other = read(table, names={**NAMES, "group": "genotype"}, actions=["left", "right"])
    assert (one.group, other.group) == ("ko", "wt")
    assert one.trials["choice"].tolist() == [0, 1, 1] * 2
    shifted = read(rats(poke=rats()["poke"] + 1), names=NAMES, actions=[1, 2])
    np.testing.assert_array_equal(shifted[0].trials["choice"], one.trials["choice"])


def test_only_what_is_wanted_has_to_be_there():
    table = {"session": [0, 0], "trial": [0, 1], "action": [1, 0], "reward": [1, 0]}
    (one,) = read({name: np.array(column) for name, column in table.items()}, BANDIT, wanted=("choice", "reward"))
    assert one.trials["choice"].tolist() == [1, 0]


WRONG = {
    "no column": (
        rats(),
        {},
        r"no column for session, action; the table has rat, day, .*\nname them: columns=\{session: ",
    ),
    "closest": (rats(Reward=rats()["reward"], reward=None), NAMES, r"no column for reward.*\n.*reward: Reward"),
    "or": (rats(common=None), NAMES, r"no column for state \(or common instead\)"),
    "names": (rats(), NAMES | {"action": "pokes"}, r"no column pokes; did you mean poke\?"),
    "unknown": (rats(), NAMES | {"colour": "poke"}, r"columns\.colour: there is no such column"),
    "outside": (
        rats(poke=rats()["poke"] + 1),
        NAMES,
        r"column poke: 2 in 8 of 12 rows; the task has 0 to 1\n.*actions=",
    ),
    "words": (
        rats(poke=np.array(["l", "r", "l"] * 4)),
        NAMES,
        r"column poke: numbers are needed, not l, r\n.*actions=",
    ),
    "fraction": (rats(poke=rats()["poke"] + 0.5), NAMES, r"column poke: 0\.5, 1\.5 in 12 of 12 rows"),
    "missing value": (rats(reward=np.array([1, np.nan, 0] * 4)), NAMES, r"column reward: 4 of 12 .* missing, .* row 2"),
    "none": (rats(rat=np.array(["a", None, "b"] * 4, dtype=object)), NAMES, r"column rat: 4 of 12"),
    "infinite": (rats(reward=np.array([1, np.inf, 0] * 4)), NAMES, r"column reward: infinity"),
    "twice": (rats(day=np.ones(12, int)), NAMES, r"subject a, session 1: trial 1 is there more than once \(3 such"),
    "gap": (rats(trial=np.tile([4, 1, 2], 4)), NAMES, r"subject a, session 1: after trial 2 comes 4 \(2 such gaps\)"),
    "half": (rats(trial=np.tile([3, 1.5, 2], 4)), NAMES, r"column trial: whole numbers are needed, not 1\.5"),
    "groups": (rats(group=np.arange(12) % 2), NAMES, r"subject a is in several groups: 0, 1"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_named(case):
    table, names, said = WRONG[case]
    with pytest.raises(TableError, match=said) as caught:
        read(table, names=names)
    assert len(str(caught.value).splitlines()) <= 2


def test_actions_have_to_be_all_of_them():
    with pytest.raises(TableError, match=r"actions=\[a\]: the task has 2 actions"):
        read(rats(), names=NAMES, actions=["a"])
    with pytest.raises(TableError, match=r"column poke: 0 in 4 of 12 rows, which is none of actions=\[1,2\]"):
        read(rats(), names=NAMES, actions=[1, 2])
