"""Environments of somebody else, registered with Gymnasium when this is imported: `task.module=guests`."""

from __future__ import annotations

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Sequence, Tuple
from gymnasium.vector import AutoresetMode, SyncVectorEnv

BUILT: list[gymnasium.Env] = []
"""All `Counting` environments there ever were."""


class Counting(gymnasium.Env):
    """Counts: what is seen is (episodes begun, steps in this one, last seed), step t pays t, and nothing can be copied.

    Args:
        length: steps until the episode terminates; 0: it never does.
        nan_after: steps after which what is seen is not a number.
    """

    metadata = {"render_modes": []}

    def __init__(self, length: int = 5, nan_after: int | None = None, start: int = 0) -> None:
        self.observation_space = Box(-1, np.inf, (3,), np.float64)
        self.action_space = Discrete(3, start=start)
        self.length, self.nan_after = length, nan_after
        self.episode, self.t, self.seed_given = 0, 0, -1
        self.actions: list[int] = []
        BUILT.append(self)

    def __reduce__(self):
        raise TypeError("this environment cannot be pickled")

    def _seen(self):
        seen = np.array([self.episode, self.t, self.seed_given], dtype=float)
        return seen * np.nan if self.nan_after is not None and self.t > self.nan_after else seen

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.seed_given = -1 if seed is None else seed
        self.episode, self.t = self.episode + 1, 0
        return self._seen(), {}

    def step(self, action):
        assert self.action_space.contains(action)
        self.actions.append(action)
        self.t += 1
        info = {"position": {"x": 10.0 * self.t}} if self.t % 2 else {"odd": "even", "count": self.t}
        return self._seen(), float(self.t), self.length == self.t, False, info


class Shown(gymnasium.Env):
    """Shows random members of any space; an episode is three steps."""

    def __init__(self, space: gymnasium.Space) -> None:
        self.observation_space, self.action_space = space, Discrete(2)
        self.last = None

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        if seed is not None:
            self.observation_space.seed(seed)
        self.t, self.last = 0, self.observation_space.sample()
        return self.last, {}

    def step(self, action):
        self.t, self.last = self.t + 1, self.observation_space.sample()
        return self.last, 1.0, self.t == 3, False, {}


class Acts(gymnasium.Env):
    """Takes actions of any space."""

    observation_space = Box(0, 1, (1,))

    def __init__(self, space: gymnasium.Space) -> None:
        self.action_space = space

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.given = action
        return np.zeros(1, np.float32), 0.0, False, False, {}


class WrongShape(Counting):
    """Says that three numbers are seen, and shows two."""

    def _seen(self):
        return np.zeros(2)


class BestArm(gymnasium.Env):
    """Which of two arms pays is seen; ten pulls."""

    observation_space, action_space = Discrete(2), Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t, self.arm = 0, int(self.np_random.integers(2))
        return self.arm, {}

    def step(self, action):
        paid, self.t, self.arm = float(action == self.arm), self.t + 1, int(self.np_random.integers(2))
        return self.arm, paid, self.t == 10, False, {}


class Doubled(gymnasium.RewardWrapper):
    def reward(self, reward):
        return 2 * reward


class Plus(gymnasium.RewardWrapper):
    def __init__(self, env, amount=1.0):
        super().__init__(env)
        self.amount = amount

    def reward(self, reward):
        return reward + self.amount


class Trials(gymnasium.Env):
    """Trials as NeuroGym tells them, without an end: two steps of fixation, then the right answer is `side + 1`.

    Trial n has side n % 2 and coherence (0, 8, 32)[n % 3]; a wrong answer, or none in two more steps, pays nothing.
    """

    metadata = {"render_modes": []}

    def __init__(self, dt: int = 100) -> None:
        self.observation_space = Box(-np.inf, np.inf, (2,), np.float32)
        self.action_space = Discrete(3)
        self.action_space.name = {"fixation": 0, "choice": [1, 2]}
        self.dt, self.number, self.trial, self.seeded = dt, -1, None, None

    def seed(self, seed):
        self.seeded = seed

    def new_trial(self):
        self.number, self.t, self.start_t = self.number + 1, 0, {"decision": 2 * self.dt}
        self.trial = {"side": self.number % 2, "coh": (0, 8, 32)[self.number % 3], "p": [0.25, 0.75], "kind": "ab"}
        if self.number > 2:
            self.trial |= {"late": 1.0, "reward": 7}  # in trials after the first

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.new_trial()
        return np.array([self.number, 0], np.float32), {}

    def step(self, action):
        decides = self.t >= self.start_t["decision"]
        right = self.trial["side"] + 1
        good = decides and action == right
        info = {"new_trial": bool((decides and action) or self.t >= 4 * self.dt), "gt": right if decides else 0}
        self.t += self.dt
        if info["new_trial"]:
            info["performance"] = float(good)
            self.new_trial()
        return np.array([self.number, self.t / self.dt], np.float32), float(good), False, False, info


def registered(name, entry_point, **options):
    gymnasium.register(id=name, entry_point=entry_point, **options)


def counting_vector(num_envs, length=5, max_episode_steps=None):
    def make():
        env = gymnasium.make("Counting-v0", length=length)
        dictionary = gymnasium.wrappers.TransformObservation(
            env, lambda seen: {"a": seen[:2], "b": int(seen[1]) % 3}, Dict(a=Box(-1, 99, (2,)), b=Discrete(3))
        )
        return gymnasium.wrappers.TimeLimit(dictionary, max_episode_steps)

    return SyncVectorEnv([make] * num_envs, autoreset_mode=AutoresetMode.SAME_STEP)


SPACES = {
    "Vector": Box(-3, 3, (4,), np.float64),
    "Matrix": Box(-3, 3, (2, 3), np.float32),
    "Whole": Box(-9, 9, (5,), np.int64),
    "Discrete": Discrete(4, start=-2),
    "MultiDiscrete": MultiDiscrete([3, 2, 4]),
    "MultiBinary": MultiBinary(5),
    "Dict": Dict(place=Discrete(3), eye=Box(0, 1, (2, 2)), more=Dict(bits=MultiBinary(2))),
    "Tuple": Tuple((Discrete(2), Box(-1, 1, (3,)), MultiDiscrete([2, 2]))),
    "Picture": Box(0, 255, (6, 7, 3), np.uint8),
    "Grey": Box(0, 255, (6, 7), np.uint8),
    "Endless": Sequence(Discrete(3)),
}

registered("Counting-v0", "guests:Counting")
registered("Limited-v0", "guests:Counting", max_episode_steps=4)
registered("WrongShape-v0", "guests:WrongShape", max_episode_steps=4)
registered("CountingVector-v0", "guests:Counting", vector_entry_point=counting_vector, max_episode_steps=7)
registered("BestArm-v0", "guests:BestArm", max_episode_steps=20)
registered("Trials-v0", "guests:Trials")
registered("Broken-v0", "guests:NoSuchClass", max_episode_steps=4)
ACTIONS = {
    "MultiDiscrete": MultiDiscrete([3, 2, 4], start=[1, 0, 0]),
    "MultiBinary": MultiBinary(2),
    "Box": Box(-2, 1, (2, 1), np.float64),
    "Dict": Dict(a=Discrete(2)),
}
for name, space in ACTIONS.items():
    registered(f"Acts{name}-v0", "guests:Acts", max_episode_steps=9, kwargs={"space": space})
for name, space in SPACES.items():
    registered(f"Shown{name}-v0", "guests:Shown", max_episode_steps=9, kwargs={"space": space})
