"""Robots against Gymnasium's: the same simulation step for step; rewards by hand; goals by their distributions."""

from __future__ import annotations

import builtins

import gymnasium
import numpy as np
import pytest
from prefrontal.envs import mujoco_family, registry

pytest.importorskip("mujoco")


def running(name, **options):
    env = registry.make_vector(name, 3, episodes=1, **options)
    env.reset(seed=0)
    return env


@pytest.mark.parametrize(("name", "theirs"), [("half_cheetah", "HalfCheetah-v5"), ("ant", "Ant-v5")])
def test_the_simulation_is_gymnasiums_step_for_step(name, theirs):
    """From the same state and torques to the same state in float64, along 100 steps of Gymnasium's robot.

    MuJoCo's solver stops at a tolerance of 1e-8 and begins where it is told to: HalfCheetah's batches begin anew in
    each step, Gymnasium's at the last step's solution, so that states may differ by the tolerance's size.
    """
    env, other = running(name), gymnasium.make(theirs).unwrapped
    other.reset(seed=1)
    rng = np.random.default_rng(0)
    furthest, scale = 0.0, env.action_scale
    for _ in range(100):
        env._position[:], env._velocity[:] = other.data.qpos, other.data.qvel
        if name == "ant":
            env._warm[:] = other.data.qacc_warmstart
        action = rng.uniform(-1, 1, other.action_space.shape)
        env._move(np.tile(scale * action, (3, 1)))
        other.step(action)
        furthest = max(furthest, np.abs(env._position - other.data.qpos).max())
        furthest = max(furthest, 0.01 * np.abs(env._velocity - other.data.qvel).max())
        if name == "ant":
            assert np.abs(env._force[0] - np.clip(other.data.cfrc_ext[1:], -1, 1)).max() < 1e-6
            env._fallen[:] = False
    assert furthest < 1e-7
    assert np.array_equal(env._position[0], env._position[2]), "rows do not touch each other"
    assert env.dt == pytest.approx(other.dt)
    start = np.concatenate((env.model.body_mass, env.model.body_inertia.ravel(), env.model.dof_damping))
    there = np.concatenate((other.model.body_mass, other.model.body_inertia.ravel(), other.model.dof_damping))
    assert np.abs(start - there).max() < 1e-12


def test_what_the_half_cheetah_sees_and_earns():
    env, other = running("half_cheetah"), gymnasium.make("HalfCheetah-v5", ctrl_cost_weight=0.05).unwrapped
    other.reset(seed=1)
    env.goal[:] = [1, -1, 1]
    env._position[:], env._velocity[:] = other.data.qpos, other.data.qvel
    torque = np.random.default_rng(0).uniform(-0.9, 0.9, 6)
    seen, reward, *_ = env.step(np.tile(torque, (3, 1)).astype(np.float32))
    obs, earned, _, _, told = other.step(torque)
    assert seen[0] == pytest.approx(obs, abs=1e-5)
    assert reward[0] == pytest.approx(earned, abs=1e-5)
    assert reward[1] == pytest.approx(-told["x_velocity"] - 0.05 * (torque**2).sum(), abs=1e-5)
    speeds = running("half_cheetah", goal="velocity")
    speeds.goal[:] = 1.5
    speeds._position[:], speeds._velocity[:] = env._position, env._velocity
    before = speeds._position[0, 0]
    _, reward, *_ = speeds.step(np.zeros((3, 6), dtype=np.float32))
    assert reward[0] == pytest.approx(-abs((speeds._position[0, 0] - before) / 0.05 - 1.5), abs=1e-5)


def test_what_the_ant_sees_and_earns():
    for goal, target in (("direction", [-1, 0]), ("velocity", [2.0, 0]), ("position", [1.0, -2.0])):
        env = running("ant", goal=goal, contacts=goal == "velocity")
        env.goal[:] = target
        before = env._position[0, 0]
        torque = np.random.default_rng(0).uniform(-1, 1, 8).astype(np.float32)
        seen, reward, *_ = env.step(np.tile(torque, (3, 1)))
        velocity = (env._position[0, 0] - before) / 0.05
        x, y = env._position[0, :2]
        earned = {
            "direction": -velocity,
            "velocity": 1 - abs(velocity - 2),
            "position": 4 - abs(x - 1) - abs(y + 2),
        }[goal]
        cost = 0.005 * (torque**2).sum() + 0.0005 * (env._force[0] ** 2).sum()
        assert reward[0] == pytest.approx(earned + 0.05 - cost, abs=1e-5)
        assert seen.shape[1] == {"direction": 27, "velocity": 105, "position": 29}[goal]
        assert seen[0, :2] == pytest.approx(env._position[0, [2, 3] if goal != "position" else [0, 1]], abs=1e-6)


def test_a_fallen_ant_lies_and_earns_nothing_until_the_episode_is_over():
    env = registry.make_vector("ant", 2, episodes=2, steps=6)
    env.reset(seed=0)
    env._position[0, 2] = 1.4
    action = np.zeros((2, 8), dtype=np.float32)
    for step in range(12):
        lying = env._position[0].copy()
        _, reward, terminated, _, info = env.step(action)
        if 0 < step < 6:
            assert info["fallen"][0]
            assert reward[0] == 0
            assert step == 5 or np.array_equal(env._position[0], lying)
        assert not info["fallen"][1]
        assert reward[1] != 0
        assert info["fallen"][0] == (step < 6), "the next episode begins upright"
        assert terminated.all() == (step == 11)


@pytest.mark.parametrize("name", ["half_cheetah", "ant"])
def test_goals_have_the_distributions_of_their_definition(name):
    def goals(**options):
        env = registry.make_vector(name, 1000, **options)
        env.reset(seed=0)
        return env.goal.reshape(1000, -1)[:, 0]

    signs = goals()
    assert set(signs) == {-1.0, 1.0}
    assert abs(signs.mean()) < 4 / np.sqrt(1000)
    speeds = goals(goal="velocity", velocities=[1.0, 3.0])
    assert speeds.min() >= 1
    assert speeds.max() <= 3
    assert abs(speeds.mean() - 2) < 4 * 2 / np.sqrt(12 * 1000)
    with pytest.raises(ValueError, match="velocities="):
        goals(goal="velocity", velocities=[3.0, 1.0])


def test_actions_are_scaled():
    envs = [running("half_cheetah", action_scale=scale) for scale in (1.0, 10.0)]
    action = np.random.default_rng(0).uniform(-1, 1, (3, 6)).astype(np.float32)
    (one, reward, *_), (other, same, *_) = (env.step(env.action_scale * action) for env in envs)
    assert one == pytest.approx(other, abs=1e-5)
    assert reward == pytest.approx(same, abs=1e-5)


def test_starts_are_gymnasiums():
    env = registry.make_vector("half_cheetah", 2000)
    env.reset(seed=0)
    assert np.abs(env._position).max() <= 0.1
    assert abs(env._position.std() - 0.1 / np.sqrt(3)) < 0.001
    assert abs(env._velocity.std() - 0.1) < 4 * 0.1 / np.sqrt(2 * env._velocity.size)


def test_without_mujoco_the_message_says_what_to_install(monkeypatch):
    find = builtins.__import__

    def missing(name, *rest, **options):
        if name.partition(".")[0] == "mujoco":
            raise ImportError("No module named 'mujoco'")
        return find(name, *rest, **options)

    mujoco_family.load_mujoco.cache_clear()
    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(registry.TaskUnavailableError, match=r"pip install 'prefrontal\[mujoco\]'"):
        registry.make_vector("half_cheetah", 2)
    mujoco_family.load_mujoco.cache_clear()
