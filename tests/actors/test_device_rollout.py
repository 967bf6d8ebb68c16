"""Rollouts on the learner's device: the host's episodes, no look at the data, and what the learner gets of them."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_module
from numerics import replay_bound, replay_error
from prefrontal.actors.activity import columns_of
from prefrontal.actors.device_rollout import DeviceRollout
from prefrontal.actors.evaluation import Replayed, evaluate
from prefrontal.actors.rollout import EnvironmentFaultError, RolloutWorker, WorkerSpec
from prefrontal.actors.settings import ActorsConfig
from prefrontal.envs import registry
from prefrontal.envs.psychlab.env import ScreenEnv
from prefrontal.envs.psychlab.options import PsychLabSettings
from prefrontal.envs.psychlab.screen import Screen
from prefrontal.launch.bench.device import one_process
from prefrontal.launch.config import ConfigError, RunConfig, TrainConfig, train_config
from prefrontal.launch.engines.serial import SerialEngine
from prefrontal.learner.algorithm import AlgorithmConfig, ReplayConfig
from prefrontal.learner.batch import make_batch
from prefrontal.learner.checkpoint import CheckpointFolder
from prefrontal.learner.learner import Learner
from prefrontal.models.agent import ModelConfig, Seen
from prefrontal.models.flat import to_vector
from prefrontal.replay.trajectory import NO_ACTION, join, on_host
from program import call, runs

CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that torch can use")
CPU = torch.device("cpu")
devices = pytest.mark.parametrize("device", [CPU, pytest.param(torch.device("cuda"), marks=CUDA)], ids=str)
QUICK = {"size": 36, "pool": 20, "trials": 2, "action_repeat": 14, "turn": 3, "start_yaw": (90, 90), "max_frames": 700}
"""Episodes that random play completes now and then, and that are cut off after 50 steps."""
MODEL = ModelConfig(encoder="conv", encoder_sizes=(8, 16, 32), hidden_sizes=(16,))


@pytest.fixture(autouse=True)
def full_precision(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


def spec(options=None, **changes):
    settings = {"num_envs": 24, "unroll_length": 30, "seed": 3, "actor_id": 0, "model": MODEL} | changes
    return WorkerSpec(task="psychlab_harlow", task_options=QUICK | (options or {}), **settings)


def lively(worker, seed=0):
    size = len(to_vector(worker.agent.parameters()))
    worker.load(1, 0.1 * np.random.default_rng(seed).standard_normal(size, dtype=np.float32))
    return worker


class Numbers:
    """Gives a step's uniform numbers, the same to everyone who asks."""

    step = 0

    def random(self, shape):
        return np.random.default_rng([8, self.step]).random(shape)


@devices
@pytest.mark.parametrize(
    ("may_look", "actions"), [(True, {}), (False, {}), (False, {"actions": "glance", "turn": 10, "action_repeat": 4})]
)
def test_the_same_episodes_as_on_the_host(device, may_look, actions):
    """Pixels, rewards, ends, truth and last observations; also where the device must not be looked at.

    A GPU fuses products with sums, so that there a pixel may be rounded the other way.
    """

    def same_pixels(ours, others):
        return np.abs(ours.astype(int) - on_host(others)).max() <= (device.type == "cuda")

    settings, batch = PsychLabSettings(**{**QUICK, "max_frames": 380, **actions}, randomise=2), 12
    host, screen, numbers = ScreenEnv(settings, batch), Screen(settings, batch, device), Numbers()
    screen.may_look &= may_look
    screen._view.may_look &= may_look
    screen._uniform = lambda: torch.from_numpy(numbers.random((batch, screen.numbers))).to(device)
    host.reset(seed=0)
    host.rng = numbers
    host._begin(np.ones(batch, dtype=bool))
    seen = {"terminated": 0, "truncated": 0}
    assert same_pixels(host._observe(), screen.reset())
    rng = np.random.default_rng(0)
    for start in range(0, 180, 20):
        for t, watched in enumerate(screen.may_be_cut(20)):
            numbers.step = 1 + start + t
            action = rng.integers(screen.single_action_space.n, size=batch)
            obs, reward, terminated, truncated, info = host.step(action)
            step = screen.step(torch.from_numpy(action).to(device), watched)
            assert same_pixels(obs, step.obs)
            for name, column in {"reward": reward, "terminated": terminated, "truncated": truncated}.items():
                assert np.array_equal(column, on_host(getattr(step.played, name))), name
            for name, column in step.played.info.items():
                assert np.array_equal(info[name], on_host(column)), name
                assert on_host(column).dtype == screen.info_spec[name]
            rows = [] if watched is None else on_host(watched).tolist()
            assert set(np.flatnonzero(truncated)) <= set(rows)
            if truncated.any():
                assert same_pixels(info["final_obs"][rows], step.final_obs)
            seen["terminated"] += int(terminated.sum())
            seen["truncated"] += int(truncated.sum())
    assert min(seen.values()) > 5


def test_a_step_never_looks_at_the_data(monkeypatch):
    """View, network, sampling, rules, autoreset and last observations on torch's `meta` device, which has no data."""
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda _: False)  # does not know this device
    worker = DeviceRollout(spec(), torch.device("meta"))
    watched = [None] * 29 + [torch.arange(5, device="meta")]
    recorded = worker.play(watched)
    assert recorded.trajectory.obs.shape == (31, 24, 36, 36, 3)
    assert recorded.trajectory.last.obs.shape == (5, 36, 36, 3)
    with pytest.raises((RuntimeError, NotImplementedError)):
        worker.unroll()


@devices
def test_replay_identity_with_resets_inside_the_unroll(device):
    worker = lively(DeviceRollout(spec(), device))
    ends, cut, errors = 0, 0, []
    for _ in range(6):
        played = worker.unroll().trajectory
        batch = make_batch([played], [], device)
        ends, cut = ends + int((played.discount == 0).sum()), cut + (0 if played.last is None else len(played.last.row))
        errors.append(replay_error(worker.agent, batch))
        assert bool((played.prev_action[played.first] == NO_ACTION).all())
    assert ends > 3
    assert cut > 20
    bound = replay_bound(worker.agent, batch)
    assert max(errors) <= bound
    shifted = dataclasses.replace(batch, prev_action=batch.prev_action.roll(1, dims=0))
    assert replay_error(worker.agent, shifted) > 10 * bound


@devices
def test_unrolls_go_on_and_count_what_happened(device):
    worker = lively(DeviceRollout(spec(), device))
    previous, returns, lengths = None, torch.zeros(24), torch.zeros(24, dtype=torch.long)
    for _ in range(5):
        unroll = worker.unroll()
        now, ended = unroll.trajectory, []
        for name in ("obs", "first", "prev_action", "prev_reward") if previous else ():
            assert torch.equal(getattr(now, name)[0], getattr(previous, name)[-1]), name
        for reward, first in zip(now.reward.cpu(), now.first[1:].cpu(), strict=True):
            returns, lengths = returns + reward, lengths + 1
            ended += zip(returns[first].tolist(), lengths[first].tolist(), strict=True)
            returns, lengths = torch.where(first, 0, returns), torch.where(first, 0, lengths)
        assert sorted(ended) == sorted(zip(unroll.report.returns.tolist(), unroll.report.lengths.tolist(), strict=True))
        cut = now.first[1:] & (now.discount == 1)
        there = [] if now.last is None else zip(now.last.time.tolist(), now.last.row.tolist(), strict=True)
        assert set(there) == set(map(tuple, cut.nonzero().tolist()))
        assert unroll.report.env_steps == 720
        assert {name: column.dtype for name, column in unroll.info.items()} == Screen.info_spec | {"first": bool}
        previous = now


@devices
def test_new_episodes_are_drawn_as_the_settings_say(device):
    """Pairs of the split, different ones; the rewarded side half of the time in each trial; yaws all over."""
    settings = PsychLabSettings(size=32, pool=60, split="test", max_frames=4, randomise=3, start_yaw=(80, 100))
    screen = Screen(settings, 400, device)
    screen.reset(seed=1)
    pairs, sides, yaws, themes = [], [], [], []
    for _ in range(10):
        info = screen.step(torch.zeros(400, dtype=torch.long, device=device)).played.info
        pairs.append(np.column_stack([on_host(info["rewarded_image"]), on_host(info["other_image"])]))
        sides.append(on_host(screen.machine.state.rewarded_right))
        yaws.append(np.degrees(on_host(screen.machine.gaze().yaw)))
        themes.append(on_host(screen.theme))
    pairs, sides, yaws = np.concatenate(pairs), np.concatenate(sides), np.concatenate(yaws)
    assert set(np.unique(pairs)) == set(range(5, 61, 5))
    assert (pairs[:, 0] != pairs[:, 1]).all()
    assert np.bincount(pairs[:, 1])[5::5] == pytest.approx(4000 / 12, abs=90)
    assert (sides.sum(1) == 3).all()
    assert sides.mean(0) == pytest.approx(0.5, abs=0.04)
    assert len(np.unique(sides, axis=0)) == 20
    assert (yaws.min(), yaws.max()) == pytest.approx((80, 100), abs=0.1)
    assert np.bincount(np.concatenate(themes)) == pytest.approx(4000 / 3, abs=150)


def learner(device, **config):
    agent = DeviceRollout(spec(), device).agent.spec
    return Learner(agent, AlgorithmConfig(**config), 10**6, seed=0, device=device.type)


def as_arrays(trajectory):
    def moved(value):
        if isinstance(value, tuple):
            return tuple(map(moved, value))
        return on_host(value) if isinstance(value, torch.Tensor) else value

    last = trajectory.last
    fields = {f.name: moved(getattr(trajectory, f.name)) for f in dataclasses.fields(trajectory) if f.name != "last"}
    last = last and type(last)(**{f.name: moved(getattr(last, f.name)) for f in dataclasses.fields(last)})
    return type(trajectory)(**fields, last=last)


@devices
def test_the_learner_trains_on_the_trajectory_where_it_lies(device):
    """Nothing is copied; updates are those of the same trajectories from the host, truncated episodes and all."""
    worker = lively(DeviceRollout(spec({"max_frames": 300}), device))
    parts = [worker.unroll().trajectory for _ in range(4)]
    assert all(part.last is not None for part in parts[:3])
    assert make_batch([parts[0]], [], device).obs.data_ptr() == parts[0].obs.data_ptr()
    joined, expected = join(parts[:2]), join([as_arrays(part) for part in parts[:2]])
    for field in dataclasses.fields(joined):
        if isinstance(value := getattr(joined, field.name), torch.Tensor):
            assert np.array_equal(on_host(value), getattr(expected, field.name)), field.name
    assert np.array_equal(on_host(joined.last.row), expected.last.row)
    metrics = []
    for move in (lambda part: part, as_arrays):
        trained = learner(device, replay=ReplayConfig(ratio=1.0, capacity=2))
        metrics.append([trained.update(trained.stage([move(part)])) for part in parts])
    for one, other in zip(*metrics, strict=True):
        names = ("loss/total", "learner/grad_norm", "learner/rho")
        assert [one[name] for name in names] == pytest.approx([other[name] for name in names], rel=1e-5)


@devices
def test_state_and_restore_continue_bit_for_bit(device):
    one, other = lively(DeviceRollout(spec(), device)), lively(DeviceRollout(spec(seed=77), device))
    for _ in range(3):
        one.unroll()
    arrays, scalars = one.state()
    assert sum(array.nbytes for array in arrays.values()) < 30_000
    other.restore(arrays, json.loads(json.dumps(scalars)))
    for _ in range(3):
        a, b = one.unroll(), other.unroll()
        for field in dataclasses.fields(a.trajectory):
            if isinstance(x := getattr(a.trajectory, field.name), torch.Tensor):
                assert torch.equal(x, getattr(b.trajectory, field.name)), field.name
        assert np.array_equal(a.report.returns, b.report.returns)
    lively(RolloutWorker(spec())).restore(arrays, scalars)
    one.restore(*lively(RolloutWorker(spec())).state())
    assert one.unroll().trajectory.env_steps == 720, "a state of the other kind of worker: new episodes"


def test_with_bf16_the_recorded_probabilities_are_those_that_acted():
    worker = lively(DeviceRollout(spec(unroll_length=1), CPU, bf16=True))
    for _ in range(3):
        played = worker.unroll().trajectory
    seen = Seen(played.obs[0], played.prev_action[0], played.prev_reward[0], played.first[0])
    found = []
    for enabled in (True, False):
        with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            logits = worker.agent.policy(worker.agent.act(seen, played.initial_state)[0])
        found.append(worker.agent.policy.log_prob(logits.float(), played.action[0]))
    assert torch.equal(found[0], played.behaviour_logp[0])
    assert not torch.equal(found[1], found[0])
    assert all(component.dtype == torch.float32 for component in played.initial_state)


@devices
def test_evaluation_gives_the_table_of_trials(device):
    """In form that of the host's worker, of as many complete episodes."""
    tables = []
    for worker in (DeviceRollout(spec(), device), RolloutWorker(spec())):
        recorder = evaluate(lively(worker), 60, discount=0.9)
        assert np.isfinite(recorder.returns).all()
        assert recorder.lengths.max() == 50
        tables.append({name: column.dtype for name, column in recorder.trials().items()})
        assert len(recorder.trials()["trial"]) > 10
    assert tables[0] == tables[1]


@devices
def test_what_is_recorded_is_as_on_the_host(device):
    kinds = []
    for worker in (DeviceRollout(spec(), device), RolloutWorker(spec())):
        columns = columns_of(Replayed.of(lively(worker).unroll(), worker.agent, 0.9), observation=True)
        kinds.append({name: (one.data.dtype, one.data.shape, one.axes) for name, one in columns.items()})
    assert kinds[0] == kinds[1]
    assert {"hidden", "observation", "rpe", "trial_reward"} <= set(kinds[0])


def test_what_is_not_finite_is_named(monkeypatch):
    worker = DeviceRollout(spec(), CPU)
    monkeypatch.setattr(worker.env.machine, "_rewards", torch.full((4,), float("nan")))
    with pytest.raises(EnvironmentFaultError, match="reward that is not finite: nan"):
        worker.unroll()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["task=psychlab_harlow"], "set cluster=none"),
        (
            ["task=two_step", "cluster=none"],
            r"not written for .*psychlab_harlow.* actors.device=host",
        ),
        (["task=psychlab_harlow", "task.env=dmlab", "cluster=none"], "actors.device=host"),
        (["task=psychlab_harlow", "model=conv_ep_lstm", "cluster=none"], "episodic memory lies on the host"),
        (["task=psychlab_harlow", "cluster=none", "actors.device=gpu"], "actors.device=gpu: one of host, learner"),
    ],
    ids=["cluster", "task", "dmlab", "memory", "name"],
)
def test_what_cannot_be_is_said_before_anything_starts(overrides, message):
    with initialize_config_module("prefrontal.conf", version_base="1.3"):
        composed = compose("train", overrides=["actors.device=learner", *overrides])
    with pytest.raises(ConfigError, match=message):
        train_config(composed)


def config(**changes):
    settings = {
        "task": {"name": "psychlab_harlow", **QUICK},
        "cluster": "none",
        "model": MODEL,
        "algo": AlgorithmConfig(unroll_length=10, batch_unrolls=2),
        "actors": ActorsConfig(num=2, envs=6, device="learner", lag_updates=1),
        "run": RunConfig(env_steps=10_000),
    }
    return TrainConfig(**(settings | changes))


def test_a_run_resumes_bit_for_bit(tmp_path):
    """N updates, a checkpoint, another engine that goes on from it, N more: the parameters of 2 N."""
    settings = config(actors=ActorsConfig(num=2, envs=6, device="learner"))
    engines = [SerialEngine(settings, tmp_path / name, None) for name in "ab"]
    for engine in engines:
        for _ in range(4):
            engine.step()
    folder = CheckpointFolder(tmp_path / "b" / "checkpoints")
    folder.save(engines[1].checkpoint({}))
    checkpoint, *_ = folder.newest()
    again = SerialEngine(settings, tmp_path / "c", checkpoint)
    for engine in (engines[0], again):
        for _ in range(4):
            update = engine.step()
        assert update.reports[0].params_version == 7
    whole, resumed = engines[0].parameters(), again.parameters()
    assert whole.version == resumed.version == 8
    assert np.array_equal(whole.vector, resumed.vector)
    assert not np.array_equal(whole.vector, engines[1].parameters().vector)


def test_workers_act_with_the_parameters_of_so_many_broadcasts_ago(tmp_path):
    engine = SerialEngine(config(), tmp_path, None)
    lags = [engine.step().metrics["learner/lag_max"] for _ in range(5)]
    assert lags == [0, 1, 1, 1, 1]


def test_the_benchmark_measures_one_process():
    rate, split = one_process(config(), seconds=0.5)
    assert rate.steps_per_second > 100
    assert 0.5 < sum(split["learner_time"].values()) <= 1.01


def test_a_training_through_the_program(tmp_path):
    """From the command line to figures and film, evaluated on held-out pictures."""
    task = ["task.size=36", "task.pool=20", "task.max_frames=700", "task.action_repeat=14", "task.trials=2"]
    small = ["algo.unroll_length=20", "algo.batch_unrolls=1", "actors.num=1", "actors.envs=16", "run.env_steps=6400"]
    output = call(
        tmp_path,
        *("train", "task=psychlab_harlow", "cluster=none", "actors.device=learner", "evaluate.episodes=40"),
        *(*task, *small, "task.turn=3", "model.encoder_sizes=[4,8,16]"),
    )
    assert "trained 6,400 steps" in output
    (run,) = runs(tmp_path, "psychlab_harlow")
    results = json.loads((run / "results.json").read_text())
    assert results["episodes"] == 40
    assert 0 < results["episode_length"] <= 50
    assert list((run / "figures").glob("*.png"))
    assert (run / "figures" / "episode.gif").is_file()


def test_host_and_device_describe_the_same_agent():
    """So that checkpoints of one are played by the other."""
    assert DeviceRollout(spec(), CPU).agent.spec == RolloutWorker(spec()).agent.spec
    assert registry.tensor_task("psychlab_harlow", **QUICK)(2, CPU).info_spec == ScreenEnv.info_spec


BARE = """
import sys

class Missing:
    def find_spec(self, name, *_):
        if name.split(".")[0] in {"ray", "hydra", "omegaconf", "matplotlib", "tensorboard", "pyarrow", "rich"}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Missing())
import torch
from prefrontal.actors.device_rollout import DeviceRollout
from prefrontal.actors.rollout import WorkerSpec
from prefrontal.learner.algorithm import AlgorithmConfig
from prefrontal.learner.learner import Learner
from prefrontal.models.agent import ModelConfig

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
model = ModelConfig(encoder="conv", encoder_sizes=(8, 16, 32))
worker = DeviceRollout(WorkerSpec("psychlab_harlow", {"size": 36, "pool": 20}, model, 4, 5, 0, 0), device)
learner = Learner(worker.agent.spec, AlgorithmConfig(), 1000, 0)
for update in range(2):
    worker.load(update, learner.parameters_tensor())
    learner.update(learner.stage([worker.unroll().trajectory]))
print(learner.progress)
"""


def test_worker_and_learner_need_neither_ray_nor_hydra():
    """On a bare machine with a GPU torch, NumPy, Gymnasium and Pillow are enough."""
    done = subprocess.run([sys.executable, "-c", BARE], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "Progress(updates=2, env_steps=40)", done.stderr[-2000:]
