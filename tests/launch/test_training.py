"""The loop around an engine: what is called best scored best, and what it says of waiting is true."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from prefrontal.actors.rollout import UnrollReport
from prefrontal.actors.settings import ActorsConfig
from prefrontal.launch.config import RunConfig, TrainConfig
from prefrontal.launch.engines.protocol import Counters, Update
from prefrontal.launch.engines.serial import SerialEngine
from prefrontal.launch.run.folder import RunFolder
from prefrontal.launch.run.training import Training
from prefrontal.launch.stopping import StopRequest
from prefrontal.learner.algorithm import AlgorithmConfig
from prefrontal.learner.checkpoint import Checkpoint, read

STEPS = 100
"""Of one update."""


class ScriptedEngine:
    """Update k makes the weights k; the trials of then are rewarded with the k-th reward."""

    def __init__(self, rewards, updates=0):
        self.rewards, self.updates = rewards, updates

    def step(self):
        self.updates += 1
        nothing = np.zeros(0)
        fields = {field.name: 0 for field in dataclasses.fields(UnrollReport)}
        report = UnrollReport(**(fields | {"env_steps": STEPS, "returns": nothing, "lengths": nothing}))
        return Update({}, [report])

    def counters(self):
        return Counters(0.0, 0.0, self.updates, 1, 0, 0)

    def window(self):
        columns = {"trial": 0, "choice": 0, "common": True, "reward": self.rewards[self.updates - 1]}
        steps = {name: np.full((4, 1), value) for name, value in columns.items()}
        return [{**steps, "trial_done": np.ones((4, 1), dtype=bool), "first": np.zeros((5, 1), dtype=bool)}]

    def checkpoint(self, extra):
        scalars = {**extra, "updates": self.updates, "env_steps": STEPS * self.updates}
        return Checkpoint({"agent.w": torch.tensor([float(self.updates)])}, scalars)


def train(folder, rewards, checkpoint=None, every_s=1e6):
    config = TrainConfig(
        task={"name": "two_step"},
        run=RunConfig(env_steps=STEPS * len(rewards), log_points=len(rewards), figures=0, checkpoint_every_s=every_s),
    )
    folder.config.write_text("seed: 0\n")
    updates = checkpoint.scalars["updates"] if checkpoint else 0
    training = Training(config, folder, ScriptedEngine(rewards, updates), checkpoint, None)
    assert training.run(StopRequest())
    training.close({})


def best_of(folder):
    best = read(folder.checkpoints().best)
    return int(best.tensors["agent.w"]), best.scalars["env_steps"], best.scalars["best"]


def test_best_holds_the_weights_that_scored(tmp_path):
    folder = RunFolder(tmp_path)
    train(folder, [0.25, 0.5, 1.0, 0.75, 0.5])
    assert best_of(folder) == (3, 300, 1.0)
    newest, *_ = folder.checkpoints().newest()
    assert (newest.scalars["updates"], newest.scalars["best"]) == (5, 1.0)


def test_after_a_resume_only_a_higher_score_is_best(tmp_path):
    folder = RunFolder(tmp_path)
    train(folder, [0.25, 0.75, 0.5])
    newest, *_ = folder.checkpoints().newest()
    train(folder, [0, 0, 0, 0.625, 0.5], newest)
    assert best_of(folder) == (2, 200, 0.75)
    newest, *_ = folder.checkpoints().newest()
    train(folder, [0, 0, 0, 0, 0, 0.5, 0.875, 0.25], newest)
    assert best_of(folder) == (7, 700, 0.875)


def test_a_state_is_a_copy(tmp_path):
    config = TrainConfig(task={"name": "two_step"}, cluster="none", actors=ActorsConfig(num=1, envs=4))
    engine = SerialEngine(config, tmp_path, None)
    engine.step()
    state = engine.checkpoint({})
    before = {name: tensor.clone() for name, tensor in state.tensors.items()}
    engine.step()
    assert all(torch.equal(tensor, before[name]) for name, tensor in state.tensors.items())


def test_in_one_process_the_learner_waits_while_its_workers_play(tmp_path):
    config = TrainConfig(
        task={"name": "two_step"},
        cluster="none",
        actors=ActorsConfig(num=2, envs=2),
        algo=AlgorithmConfig(batch_unrolls=2),
    )
    engine = SerialEngine(config, tmp_path, None)
    reports = [report for _ in range(3) for report in engine.step().reports]
    assert engine.counters().learner_waited_s >= sum(report.total_s for report in reports) > 0
