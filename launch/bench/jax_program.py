"""The baseline of the benchmark: the two-step task, its agent and its learner as one XLA program (needs JAX).

What PureJaxRL and Stoix do for other tasks, written for this one: environment, LSTM, returns, loss and RMSprop are
compiled into one program that never leaves the device, so that nothing is dispatched, copied or sent. Same task
(`envs/two_step`, a step a trial), same network, unroll and loss as ours. Started as a process of its own by
`jax_baseline`:

    python -m prefrontal.launch.bench.jax_program '{"episodes": 256, ...}'

Shapes: T steps, N episodes, H units, A = 2 actions, X = 6 inputs (one-hot stage [3], previous action [2], reward [1]).
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import psutil
from jax import lax

Parameters = dict[str, jax.Array]

ACTIONS, INPUTS = 2, 6
UPDATES_A_CALL = 10
SMOOTHING, EPSILON = 0.99, 1e-5
"""Of RMSprop."""


@dataclass(frozen=True)
class Program:
    """What is compiled and for how long it runs."""

    episodes: int
    """N, side by side; each update plays and learns from T steps of them."""
    length: int
    """T, trials of an episode and steps of an unroll."""
    hidden: int
    """H"""
    recompute: bool
    """The loss evaluates the network again on what was played, as a learner apart from its actors must; else its
    gradient goes through the playing itself."""
    seconds: float
    discount: float
    learning_rate: float
    entropy_weight: float
    value_weight: float
    common: float
    reward: float
    reversal: float


class Carry(NamedTuple):
    """What goes from step to step, [N, ...]."""

    good: jax.Array
    shown: jax.Array
    prev_action: jax.Array
    prev_reward: jax.Array
    hidden: jax.Array
    cell: jax.Array


class Learning(NamedTuple):
    """What goes from update to update."""

    parameters: Parameters
    squares: Parameters
    """RMSprop's running mean of squared gradients."""
    key: jax.Array


def first_parameters(key: jax.Array, hidden: int) -> Parameters:
    """LSTM with orthogonal recurrent weights gate by gate, and the two heads in one matrix [H, A + 1]."""
    of_input, of_state, of_heads = jax.random.split(key, 3)
    orthogonal = jax.nn.initializers.orthogonal()
    scale = hidden**-0.5
    gates = [orthogonal(part, (hidden, hidden)) for part in jax.random.split(of_state, 4)]
    return {
        "input": jax.random.uniform(of_input, (INPUTS, 4 * hidden), minval=-scale, maxval=scale),
        "recurrent": jnp.concatenate(gates, 1),
        "bias": jnp.zeros(4 * hidden),
        "heads": 0.01 * orthogonal(of_heads, (hidden, ACTIONS + 1)),
        "heads_bias": jnp.zeros(ACTIONS + 1),
    }


def lstm(parameters: Parameters, inputs: jax.Array, hidden: jax.Array, cell: jax.Array) -> tuple[jax.Array, jax.Array]:
    """One step: inputs [N, X], state [N, H] twice."""
    weights = jnp.concatenate([parameters["input"], parameters["recurrent"]])
    gates = jnp.concatenate([inputs, hidden], -1) @ weights + parameters["bias"]
    entry, forget, candidate, out = jnp.split(gates, 4, -1)
    cell = jax.nn.sigmoid(forget) * cell + jax.nn.sigmoid(entry) * jnp.tanh(candidate)
    return jax.nn.sigmoid(out) * jnp.tanh(cell), cell


def heads(parameters: Parameters, hidden: jax.Array) -> jax.Array:
    """[..., H] -> logits and value, [..., A + 1]."""
    return hidden @ parameters["heads"] + parameters["heads_bias"]


def play(program: Program, parameters: Parameters, key: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """N whole episodes: inputs [T, N, X], actions and rewards [T, N], outputs of the heads [T, N, A + 1]."""
    count = program.episodes
    of_good, of_steps = jax.random.split(key)
    nothing, state = jnp.zeros(count), jnp.zeros((count, program.hidden))
    good = jax.random.bernoulli(of_good, 0.5, (count,)).astype(jnp.int32)
    start = Carry(good, jnp.zeros(count, jnp.int32), jnp.full(count, -1), nothing, state, state)

    def step(carry: Carry, uniform: jax.Array) -> tuple[Carry, tuple[jax.Array, ...]]:
        seen = [jax.nn.one_hot(carry.shown, 3), jax.nn.one_hot(carry.prev_action, ACTIONS), carry.prev_reward[:, None]]
        inputs = jnp.concatenate(seen, -1)
        hidden, cell = lstm(parameters, inputs, carry.hidden, carry.cell)
        outputs = heads(parameters, hidden)
        preference = lax.stop_gradient(outputs[:, 1] - outputs[:, 0])
        action = (uniform[0] < jax.nn.sigmoid(preference)).astype(jnp.int32)
        reached = jnp.where(uniform[1] < program.common, action, 1 - action)
        pays = jnp.where(reached == carry.good, program.reward, 1 - program.reward)
        reward = (uniform[2] < pays).astype(jnp.float32)
        good = jnp.where(uniform[3] < program.reversal, 1 - carry.good, carry.good)
        return Carry(good, reached + 1, action, reward, hidden, cell), (inputs, action, reward, outputs)

    uniform = jax.random.uniform(of_steps, (program.length, 4, count))
    _, (inputs, action, reward, outputs) = lax.scan(step, start, uniform)
    return inputs, action, reward, outputs


def outputs_again(program: Program, parameters: Parameters, inputs: jax.Array) -> jax.Array:
    """The heads' outputs [T, N, A + 1] on what was played."""
    state = jnp.zeros((program.episodes, program.hidden))

    def step(state: tuple[jax.Array, jax.Array], inputs: jax.Array) -> tuple[tuple[jax.Array, jax.Array], jax.Array]:
        state = lstm(parameters, inputs, *state)
        return state, state[0]

    return heads(parameters, lax.scan(step, (state, state), inputs)[1])


def loss(program: Program, outputs: jax.Array, action: jax.Array, reward: jax.Array) -> jax.Array:
    """The actor-critic loss of `learner.losses` on whole episodes with lambda 1: targets are the returns to the end."""

    def back(later: jax.Array, reward: jax.Array) -> tuple[jax.Array, jax.Array]:
        target = reward + program.discount * later
        return target, target

    _, target = lax.scan(back, jnp.zeros_like(reward[0]), reward, reverse=True)
    value, log_policy = outputs[..., ACTIONS], jax.nn.log_softmax(outputs[..., :ACTIONS])
    advantage = lax.stop_gradient(target - value)
    chosen = jnp.take_along_axis(log_policy, action[..., None], -1)[..., 0]
    entropy = -(jnp.exp(log_policy) * log_policy).sum(-1).mean()
    regression = 0.5 * jnp.square(target - value).mean()
    return -(chosen * advantage).mean() + program.value_weight * regression - program.entropy_weight * entropy


def update(program: Program, learning: Learning) -> tuple[Learning, jax.Array]:
    """Play, one step of RMSprop; the mean reward of a trial."""
    key, of_play = jax.random.split(learning.key)
    if program.recompute:
        inputs, action, reward, _ = play(program, learning.parameters, of_play)

        def objective(parameters: Parameters) -> tuple[jax.Array, jax.Array]:
            outputs = outputs_again(program, parameters, inputs)
            return loss(program, outputs, action, reward), reward.mean()
    else:

        def objective(parameters: Parameters) -> tuple[jax.Array, jax.Array]:
            _, action, reward, outputs = play(program, parameters, of_play)
            return loss(program, outputs, action, reward), reward.mean()

    gradient, paid = jax.grad(objective, has_aux=True)(learning.parameters)
    squares = jax.tree.map(lambda s, g: SMOOTHING * s + (1 - SMOOTHING) * g * g, learning.squares, gradient)
    parameters = jax.tree.map(
        lambda p, g, s: p - program.learning_rate * g / (jnp.sqrt(s) + EPSILON), learning.parameters, gradient, squares
    )
    return Learning(parameters, squares, key), paid


def run(program: Program) -> dict[str, float]:
    """Compile, warm up, measure: trained steps and what they took, and the mean reward of a trial in the last call."""
    key, of_parameters = jax.random.split(jax.random.key(0))
    parameters = first_parameters(of_parameters, program.hidden)
    learning = Learning(parameters, jax.tree.map(jnp.zeros_like, parameters), key)

    def several(learning: Learning) -> tuple[Learning, jax.Array]:
        after, paid = lax.scan(lambda carry, _: update(program, carry), learning, None, length=UPDATES_A_CALL)
        return after, paid

    compiled: Any = jax.jit(several).lower(learning).compile()
    learning, paid = jax.block_until_ready(compiled(learning))
    calls, wall, cpu = 0, time.perf_counter(), time.process_time()
    while calls == 0 or time.perf_counter() - wall < program.seconds:
        learning, paid = jax.block_until_ready(compiled(learning))
        calls += 1
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    steps = calls * UPDATES_A_CALL * program.episodes * program.length
    return {"steps": steps, "wall_s": wall, "cpu_s": cpu, "reward_per_trial": float(jnp.mean(paid))}


if __name__ == "__main__":
    jax.config.update("jax_default_prng_impl", "unsafe_rbg")  # the fastest of its generators
    asked = Program(**json.loads(sys.argv[1]))
    measured = run(asked)
    memory_mb = psutil.Process().memory_full_info().uss / 2**20
    print(json.dumps({**measured, "jax": jax.__version__, "memory_mb": memory_mb}))
