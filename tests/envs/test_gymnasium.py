"""Environments of others: episodes end and begin as Gymnasium says, spaces are flattened as it does, errors."""

from __future__ import annotations

import guests
import gymnasium
import numpy as np
import pytest
from gymnasium.spaces.utils import flatten
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from prefrontal.actors.rollout import RolloutWorker, WorkerSpec
from prefrontal.conf.checking import ConfigError
from prefrontal.envs import registry
from prefrontal.envs.gymnasium.env import GymnasiumEnv
from prefrontal.envs.registry import TaskUnavailableError
from prefrontal.envs.vector import EnvironmentFaultError
from prefrontal.models.agent import ModelConfig
from prefrontal.models.flat import to_vector


def guest(name="Counting-v0", num_envs=2, render_mode=None, **options):
    return registry.make_vector("gymnasium", num_envs, render_mode, id=name, module="guests", **options)


def counts(env, steps):
    """(observation, reward, terminated, truncated, last observation or None) of row 0, step by step."""
    for _ in range(steps):
        obs, reward, terminated, truncated, info = env.step(np.zeros(env.num_envs, int))
        final = info["final_obs"][0].tolist() if info["_final_obs"][0] else None
        yield obs[0].tolist(), float(reward[0]), bool(terminated[0]), bool(truncated[0]), final


@pytest.mark.parametrize("name", ["CartPole-v1", "Acrobot-v1", "FrozenLake-v1", "Pendulum-v1"])
def test_episodes_are_those_of_gymnasiums_own_vector_environment(name):
    """Same seeds, same actions: everything that a step gives, over ends by failure and by time."""
    options = {"max_episode_steps": 60} if name == "Acrobot-v1" else {}
    makers = [lambda: gymnasium.make(name, **options)] * 5
    theirs = SyncVectorEnv(makers, autoreset_mode=AutoresetMode.SAME_STEP)
    ours = registry.make_vector("gymnasium", 5, id=name, max_steps=options.get("max_episode_steps"))
    space = theirs.single_observation_space
    theirs.action_space.seed(0)

    def flat(rows):
        return np.stack([flatten(space, row) for row in rows]).astype(np.float32)

    assert np.array_equal(ours.reset(seed=7)[0], flat(theirs.reset(seed=7)[0]))
    ends = np.zeros(2, int)
    for _ in range(400):
        actions = theirs.action_space.sample()
        obs, reward, terminated, truncated, info = theirs.step(actions)
        got = ours.step(actions)
        assert np.array_equal(got[0], flat(obs))
        assert np.array_equal(got[1], reward.astype(np.float32))
        assert np.array_equal(got[2], terminated)
        assert np.array_equal(got[3], truncated)
        ended = terminated | truncated
        assert np.array_equal(got[4]["_final_obs"], ended)
        if ended.any():
            assert np.array_equal(got[4]["final_obs"][ended], flat(info["final_obs"][ended]))
        ends += [terminated.sum(), truncated.sum()]
    assert ends[int(name in ("Acrobot-v1", "Pendulum-v1"))] > 5


def test_an_end_by_the_environment_step_by_step():
    env = guest(options={"length": 3}, max_steps=10)
    first, _ = env.reset(seed=5)
    assert first.tolist() == [[1, 0, 5], [1, 0, 6]]
    assert first.dtype == np.float32
    assert list(counts(env, 4)) == [
        ([1, 1, 5], 1, False, False, None),
        ([1, 2, 5], 2, False, False, None),
        ([2, 0, -1], 3, True, False, [1, 3, 5]),  # seeded once, as Gymnasium's vector environments are
        ([2, 1, -1], 1, False, False, None),
    ]


@pytest.mark.parametrize(
    ("name", "options", "length"),
    [
        ("Counting-v0", {"max_steps": 3}, 3),  # no limit of its own
        ("Limited-v0", {}, 4),
        ("Limited-v0", {"max_steps": 2}, 2),
        ("Limited-v0", {"max_steps": 6}, 6),
    ],
)
def test_time_limits_cut_episodes_off(name, options, length):
    env = guest(name, options={"length": 0}, **options)
    env.reset(seed=0)
    for t, (obs, _, terminated, truncated, final) in enumerate(counts(env, 3 * length), 1):
        over = t % length == 0
        assert (terminated, truncated) == (False, over)
        assert final == ([(t - 1) // length + 1, length, 0 if t == length else -1] if over else None)
        assert obs[1] == t % length


def test_an_end_at_the_limit_is_both():
    env = guest(options={"length": 3}, max_steps=3)
    env.reset(seed=0)
    assert [step[2:4] for step in counts(env, 3)] == [(False, False), (False, False), (True, True)]


def test_a_row_of_the_table_is_an_episode():
    env = guest(options={"length": 4}, max_steps=9, num_envs=1, info=["position.x", "count", "odd", "nosuch"])
    env.reset(seed=0)
    *_, before = env.step(np.array([1]))
    assert not before["trial_done"][0]
    for _ in range(3):
        *_, told = env.step(np.array([2]))
    assert told["trial_done"][0] and told["ended"][0]
    assert (told["episode_return"][0], told["reward"][0], told["action"][0]) == (10, 10, 2)
    assert told["count"][0] == 4
    assert all(np.isnan(told[name][0]) for name in ("position.x", "odd", "nosuch")), (
        "keys that come and go, and no text"
    )
    assert set(told) == {*env.info_spec, "final_obs", "_final_obs"}


def test_what_was_handed_out_is_not_changed():
    env = guest("CartPole-v1", num_envs=6)
    env.reset(seed=0)
    kept = []
    for _ in range(150):
        obs, reward, *_, info = env.step(np.ones(6, int))
        kept += [(array, array.copy()) for array in (obs, reward, *info.values())]
    assert all(np.array_equal(now, then, equal_nan=now.dtype.kind == "f") for now, then in kept)


@pytest.mark.parametrize("name", [name for name in guests.SPACES if name != "Endless"])
def test_spaces_as_gymnasium_flattens_them(name):
    env = guest(f"Shown{name}-v0", num_envs=3)
    obs, _ = env.reset(seed=1)
    for _ in range(7):
        space = guests.SPACES[name]
        expected = np.stack([flatten(space, seen) for seen in env._players.seen])
        assert obs.reshape(3, -1).tolist() == expected.astype(obs.dtype).tolist()
        assert env.observation_space.contains(obs)
        obs, *_ = env.step(np.zeros(3, int))
    shapes = {"Matrix": (2, 3), "Picture": (6, 7, 3), "Grey": (6, 7, 1), "Dict": (9,), "Tuple": (9,), "Discrete": (4,)}
    assert obs.shape[1:] == shapes.get(name, obs.shape[1:])
    assert obs.dtype == (np.uint8 if name in ("Picture", "Grey") else np.float32)


def test_actions_that_do_not_begin_at_zero():
    env = guest(options={"start": 5}, max_steps=9, num_envs=1)
    env.reset(seed=0)
    env.step(np.array([2]))
    assert env._players._envs[0].unwrapped.actions == [7]
    with pytest.raises(ValueError, match="whole numbers from 0 to 2"):
        env.step(np.array([5]))


@pytest.mark.parametrize(
    ("name", "chosen", "expected", "columns"),
    [
        ("ActsMultiDiscrete", [[1, 0, 2], [0, 1, 3]], [[2, 0, 2], [1, 1, 3]], 3),
        ("ActsMultiBinary", [[1, 0], [0, 1]], [[1, 0], [0, 1]], 2),
        ("ActsBox", [[0.5, -0.25], [9, -9]], [[[0.5], [-0.25]], [[1], [-2]]], 2),
    ],
)
def test_actions_that_are_arrays(name, chosen, expected, columns):
    """Counted from 0, flat, drawn from all numbers: the environment gets them as its own space has them."""
    env = guest(f"{name}-v0")
    env.reset(seed=0)
    *_, info = env.play(np.array(chosen))
    for each, action in zip(env._players._envs, expected, strict=True):
        given = each.unwrapped.given
        assert each.action_space.contains(given)
        assert given.tolist() == action
    flat = [info[f"action_{i}"][0] for i in range(columns)]
    assert flat == (np.ravel(expected[0]) - [1, 0, 0] if columns == 3 else np.ravel(expected[0])).tolist()
    assert "action" not in info


def test_wrappers_by_name_innermost_first():
    def pays(*wrappers):
        env = guest(wrappers=wrappers, max_steps=9, num_envs=1)
        env.reset(seed=0)
        return float(env.step(np.array([0]))[1][0])

    assert pays() == 1
    assert pays("Doubled", "guests:Plus") == 3
    assert pays({"name": "guests:Plus", "amount": 4}, "guests:Doubled") == 10
    assert pays({"name": "RepeatAction", "num_repeats": 3}) == 1 + 2 + 3


def test_an_own_vector_version_is_played_like_single_environments():
    own, single = (
        guest("CountingVector-v0", 3, vector="own"),
        guest("CountingVector-v0", 3, vector="single", max_steps=4),
    )
    own.reset(seed=3)
    for obs, reward, terminated, truncated, final in counts(own, 12):
        assert len(obs) == 5
        assert (final is None) == (not terminated and not truncated)
        if final is not None:
            assert (obs[1], reward) == (0, 5), "the next episode has begun"
            assert final[1:] == [5, 0, 0, 1], "the real last observation, flattened: a, and b one-hot"
    assert single.reset(seed=3)[0].shape == (3, 3)
    with pytest.raises(ConfigError, match="a step late"):
        guest("CartPole-v1", vector="own")
    with pytest.raises(ConfigError, match="registers no vector version"):
        guest(vector="own", max_steps=3)


def test_only_the_environments_that_play_are_made():
    before = len(guests.BUILT)
    env = guest(num_envs=8, max_steps=5)
    assert len(guests.BUILT) == before + 1
    env.reset(seed=0)
    assert len(guests.BUILT) == before + 8


def test_a_worker_keeps_the_real_last_observations_of_episodes_that_were_cut_off():
    options = {"id": "Counting-v0", "module": "guests", "max_steps": 4, "options": {"length": 0}}
    spec = WorkerSpec("gymnasium", options, ModelConfig(hidden_sizes=(4,)), 2, 10, seed=0, actor_id=0)
    worker = RolloutWorker(spec)
    worker.load(0, to_vector(worker.agent.parameters()))
    played = worker.unroll().trajectory
    assert (played.discount == 1).all()
    assert played.last.time.tolist() == [3, 3, 7, 7]
    assert played.last.row.tolist() == [0, 1, 0, 1]
    assert played.last.obs[:, :2].tolist() == [[1, 4], [1, 4], [2, 4], [2, 4]]
    assert played.obs[4, :, :2].tolist() == [[2, 0], [2, 0]]


def test_after_a_resume_new_episodes_begin_with_the_seeds_that_would_have_followed():
    env, other, uninterrupted = (guest(max_steps=4) for _ in range(3))
    env.reset(seed=3)
    other.reset(seed=99)
    other.restore(*env.state())
    uninterrupted.reset(seed=3)
    first, expected = other.reset()[0], uninterrupted.reset()[0]
    assert first[:, 2].tolist() == expected[:, 2].tolist()
    assert (first[:, 2] > 10).all(), "not the episodes that the run began with"
    assert not GymnasiumEnv.restorable


@pytest.mark.filterwarnings("ignore")  # about the bounds of a guest's space
def test_the_single_environment_is_one_of_gymnasium():
    from gymnasium.utils.env_checker import check_env

    env = registry.make_single("gymnasium", "rgb_array")
    check_env(env, skip_render_check=False)
    env.reset(seed=4)
    env.step(1)
    assert env.render().shape == (400, 600, 3)
    text = registry.make_single("gymnasium", "ansi", id="Counting-v0", module="guests", max_steps=5)
    text.reset(seed=0)
    text.step(0)
    assert "step 2" in text.render() and "observation 1 1 " in text.render()
    bars = registry.make_single("gymnasium", "rgb_array", id="Counting-v0", module="guests", max_steps=5)
    bars.reset(seed=0)
    assert len(np.unique(bars.render())) > 3


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"id": "CartPool-v1", "module": None}, ConfigError, r"task\.id=CartPool-v1.*CartPole-v1"),
        ({"id": "CartPole", "module": None}, ConfigError, "closest are: CartPole-v0, CartPole-v1"),
        ({"module": "no_such_package"}, TaskUnavailableError, r"task\.module: no_such_package cannot be imported"),
        ({"id": "no_such_package.envs:Env-v0"}, TaskUnavailableError, r"task\.id: no_such_package\.envs cannot be"),
        ({"id": "Broken-v0"}, TaskUnavailableError, "NoSuchClass"),
        ({}, ConfigError, r"task\.max_steps has to be given: Counting-v0"),
        ({"id": "Limited-v0", "trials": 3}, ConfigError, r"task\.trials=3: Limited-v0 tells no trials"),
        ({"options": {"lenght": 3}}, ConfigError, r"task\.options\.lenght: .* did you mean task\.options\.length\?"),
        ({"id": "ShownEndless-v0"}, ConfigError, r"task\.id=ShownEndless-v0: its observations are Sequence"),
        ({"id": "ActsDict-v0"}, ConfigError, r"its actions are Dict.*policies act in Discrete, MultiDiscrete"),
        ({"wrappers": ("RepeatActions",)}, ConfigError, r"no wrapper RepeatActions; the closest are: RepeatAction"),
        ({"wrappers": ({"num_repeats": 2},)}, ConfigError, r"a wrapper is a name"),
        (
            {"wrappers": ({"name": "RepeatAction", "nosuch": 2},)},
            ConfigError,
            r"task\.wrappers: RepeatAction cannot be",
        ),
        ({"max_steps": 0}, ConfigError, r"task\.max_steps=0: a whole number, at least 1"),
    ],
)
def test_errors_name_the_setting_and_the_way_out(options, error, message):
    with pytest.raises(error, match=message) as raised:
        registry.make_vector("gymnasium", 1, **{"id": "Counting-v0", "module": "guests", **options})
    assert len(str(raised.value).splitlines()) == 1


def test_observations_that_do_not_fit_the_space_are_a_fault():
    env = guest("WrongShape-v0")
    with pytest.raises(EnvironmentFaultError, match=r"WrongShape-v0 returned an observation that is not one of"):
        env.reset(seed=0)
