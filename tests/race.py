"""Our PPO beside sb3-contrib's RecurrentPPO, with the same settings and one thread each; not part of the tests.

    pip install sb3-contrib
    python tests/race.py --seeds 3

Both train an LSTM of 64 units that policy and value share, on the same steps of the same environment, one after the
other in turn. CPU seconds are those of training alone; the return is that of the last 100 episodes in it.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import time
from collections import deque
from pathlib import Path

import numpy as np
import torch
from prefrontal.launch.composing import composed
from prefrontal.launch.config import train_config
from prefrontal.launch.engines.serial import SerialEngine
from rich.console import Console
from rich.table import Table

ENVS, UNROLL, MINIBATCHES, EPOCHS, UNITS = 8, 128, 4, 10, 64
LEARNING_RATE, ENTROPY, DISCOUNT, LAMBDA, CLIP = 1e-3, 0.01, 0.99, 0.95, 0.2
LAST = 100
"""Episodes that the return is of."""


def ours(env: str, env_steps: int, seed: int) -> tuple[float, float]:
    """CPU seconds, and the mean return of the last episodes."""
    settings, _ = composed(
        "train",
        [
            *("task=gymnasium", f"task.id={env}", f"seed={seed}", "cluster=none", f"run.env_steps={env_steps}"),
            *("algo=ppo", "model=lstm", f"model.hidden_sizes=[{UNITS}]", "actors.num=1", f"actors.envs={ENVS}"),
            *(f"algo.unroll_length={UNROLL}", f"algo.ppo.minibatches={MINIBATCHES}", f"algo.ppo.epochs={EPOCHS}"),
            *(f"algo.learning_rate.start={LEARNING_RATE}", "algo.learning_rate.kind=constant"),
            *(f"algo.entropy_weight.start={ENTROPY}", "algo.entropy_weight.kind=constant", "algo.max_grad_norm=0.5"),
            *(f"algo.discount={DISCOUNT}", f"algo.lambda_={LAMBDA}", f"algo.ppo.clip={CLIP}", "algo.value_weight=0.5"),
            "algo.reward_scale=0.02",  # returns of about 1: what suits our agent, as theirs suits returns as they are
        ],
    )
    returns: deque[float] = deque(maxlen=LAST)
    with tempfile.TemporaryDirectory() as folder:
        engine = SerialEngine(train_config(settings), Path(folder), None)
        started, steps = time.process_time(), 0
        while steps < env_steps:
            for report in engine.step().reports:
                steps += report.env_steps
                returns.extend(report.returns)
    return time.process_time() - started, float(np.mean(returns))


def theirs(env: str, env_steps: int, seed: int) -> tuple[float, float]:
    """The same of sb3-contrib."""
    from sb3_contrib import RecurrentPPO
    from stable_baselines3.common.env_util import make_vec_env

    torch.set_num_threads(1)
    network = {"lstm_hidden_size": UNITS, "shared_lstm": True, "enable_critic_lstm": False, "net_arch": []}
    agent = RecurrentPPO(
        "MlpLstmPolicy",
        make_vec_env(env, ENVS, seed=seed),
        n_steps=UNROLL,
        batch_size=ENVS * UNROLL // MINIBATCHES,
        n_epochs=EPOCHS,
        learning_rate=LEARNING_RATE,
        ent_coef=ENTROPY,
        gamma=DISCOUNT,
        gae_lambda=LAMBDA,
        clip_range=CLIP,
        policy_kwargs=network,
        seed=seed,
    )
    started = time.process_time()
    agent.learn(env_steps)
    return time.process_time() - started, float(np.mean([episode["r"] for episode in agent.ep_info_buffer or ()]))


def main() -> None:
    """Race, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env", default="CartPole-v1", help="name in Gymnasium's registry")
    parser.add_argument("--steps", type=int, default=100_000, help="environment steps")
    parser.add_argument("--seeds", type=int, default=1, help="0, 1, ... of each")
    given = parser.parse_args()
    table = Table("", "seed", "CPU-s", "steps/CPU-s", f"return of the last {LAST} episodes", title=given.env)
    for seed in range(given.seeds):
        for name, trained in {"prefrontal, algo=ppo": ours, "sb3-contrib, RecurrentPPO": theirs}.items():
            with multiprocessing.get_context("spawn").Pool(1) as process:  # a process of its own: nothing is shared
                cpu, reached = process.apply(trained, (given.env, given.steps, seed))
            table.add_row(name, str(seed), f"{cpu:.1f}", f"{given.steps / cpu:,.0f}", f"{reached:.0f}")
    Console().print(table)


if __name__ == "__main__":
    main()
