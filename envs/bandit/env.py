"""Bandits (Wang et al. 2016, experiments 1-4): N arms, a fixed number of pulls, nothing to see but what was paid.

The observation is a constant; what the agent learns from are its previous action and reward, which are inputs of the
agent, not of the task.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Le
from gymnasium.spaces import Box, Discrete

from ...conf.checking import shown
from ...conf.settings import LARGEST, Many, NonNegative, Pair, Probability, Recorded, settings
from ..vector import Array, Mask, VectorTask, constant

Arms = Literal["independent", "uniform", "easy", "medium", "hard", "normalised", "restless", "informative", "custom"]
"""Distributions of the arms' probabilities; see `conf/task/bandit.yaml`."""

TWO_POINT: dict[Arms, float] = {"easy": 0.1, "medium": 0.25, "hard": 0.4}
"""Distributions with p in {x, 1 - x} and 1 - p for the other arm."""

INFORMATIVE_ARMS, TARGETS = 11, 10
"""The informative arm is the last of eleven; the target is one of the first ten."""

PAY_TARGET, PAY_OTHER = 5.0, 1.0


@settings
class BanditSettings:
    """Options of the task.

    Raises:
        ValueError: for a value that cannot be.
    """

    arms: Arms = "independent"
    num_arms: Annotated[int, Ge(2), Le(LARGEST)] = 2
    trials: Recorded | None = None
    """None: 100 (restless 150, informative 5)."""
    probabilities: Many[Probability] = ()
    volatility: Pair[NonNegative] = (0.02, 0.2)
    """Standard deviations of calm and of volatile episodes."""
    trial_number: bool = False

    def __post_init__(self) -> None:
        given = shown(self.probabilities)
        if self.arms == "custom" and len(self.probabilities) < 2:
            raise ValueError(f"probabilities={given}: arms=custom needs two or more, such as [0.2,0.8]")
        if self.arms != "custom" and self.probabilities:
            raise ValueError(f"probabilities={given} are for arms=custom only, not for arms={self.arms}")
        if self.arms not in ("independent", "normalised") and self.num_arms != 2:
            raise ValueError(
                f"num_arms={self.num_arms} is for arms=independent and arms=normalised, not for arms={self.arms}"
            )

    @property
    def arm_count(self) -> int:
        """Arms there are."""
        if self.arms == "informative":
            return INFORMATIVE_ARMS
        return len(self.probabilities) if self.arms == "custom" else self.num_arms

    @property
    def trial_count(self) -> int:
        """Pulls in an episode."""
        if self.trials is not None:
            return self.trials
        return {"restless": 150, "informative": 5}.get(self.arms, 100)


class BanditEnv(VectorTask):
    """B episodes. Observation: [1], always 1, so that an encoder has an input; with `trial_number` [2], the fraction.

    `informative` pays fixed amounts: the target 5, the other nine 1, and the last arm a tenth of the target's number
    (0.1 to 1.0), which tells where to go. `restless`: p of the first arm takes Gaussian steps, reflected at 0 and 1,
    of a standard deviation that is `volatility[0]` or `volatility[1]` for the whole episode; the second arm has 1 - p.
    """

    info_spec: ClassVar = {
        "trial": np.int32,
        "trial_done": np.bool_,
        "choice": np.int32,
        "reward": np.float32,
        "best": np.float32,
        "chosen": np.float32,
        "arm_1": np.float32,
        "volatile": np.bool_,
    }

    hidden = ("_means", "_best", "_first_arm", "_volatile")

    def __init__(self, settings: BanditSettings, num_envs: int, render_mode: str | None = None) -> None:
        super().__init__(num_envs, render_mode)
        self.settings = settings
        self._set_spaces(Box(0.0, 1.0, (1 + settings.trial_number,), np.float32), Discrete(settings.arm_count))
        self._start_of_row = constant(np.arange(num_envs) * settings.arm_count)
        self._means = np.zeros((num_envs, settings.arm_count), dtype=np.float32)
        self._best, self._first_arm = self._means.max(1), self._means[:, 0].copy()
        """Largest mean, and that of the first arm."""
        self._trial = np.zeros(num_envs, dtype=np.int32)
        self._volatile = np.zeros(num_envs, dtype=bool)
        self._last_arm = np.full(num_envs, -1, dtype=np.int32)
        self._last_paid = np.zeros(num_envs, dtype=np.float32)
        """Last arm (-1 before the first pull) and reward, for rendering."""
        self._total = np.zeros(num_envs, dtype=np.float32)
        self._nothing_to_see = constant(np.ones((num_envs, 1), dtype=np.float32))

    @property
    def means(self) -> Array:
        """Expected reward of each arm now, [B, arms]: the truth, for oracles and analyses."""
        return self._means

    def _begin(self, which: Mask) -> None:
        count = int(which.sum())
        self._means[which] = self._draw_means(count)
        self._best, self._first_arm = self._means.max(1), self._means[:, 0].copy()
        self._volatile = self._volatile.copy()
        self._volatile[which] = self.rng.random(count) < 0.5
        self._trial[which] = 0
        self._last_arm = np.where(which, np.int32(-1), self._last_arm)
        self._total[which] = 0

    def _draw_means(self, count: int) -> Array:
        arms, n = self.settings.arms, self.settings.arm_count
        if arms == "custom":
            return np.broadcast_to(np.array(self.settings.probabilities, dtype=np.float32), (count, n))
        if arms == "informative":
            means = np.full((count, n), PAY_OTHER, dtype=np.float32)
            target = self.rng.integers(TARGETS, size=count)
            means[np.arange(count), target] = PAY_TARGET
            means[:, -1] = (target + 1) / TARGETS
            return means
        if arms in ("independent", "normalised"):
            draws = self.rng.random((count, n))
            return draws if arms == "independent" else draws / draws.sum(1, keepdims=True)
        if arms in TWO_POINT:
            low = TWO_POINT[arms]
            first = np.where(self.rng.random(count) < 0.5, low, 1 - low)
        else:
            first = self.rng.random(count)
        return np.column_stack([first, 1 - first])

    def _observe(self) -> Array:
        if not self.settings.trial_number:
            return self._nothing_to_see.copy()
        obs = np.ones((self.num_envs, 2), dtype=np.float32)
        obs[:, 1] = self._trial / self.settings.trial_count
        return obs

    def _draw(self, steps: int) -> tuple[Array, ...]:
        """[steps, B] a uniform number for the reward and, of restless arms, a standard normal one for their step."""
        uniform = self.rng.random((steps, self.num_envs), dtype=np.float32)
        if self.settings.arms != "restless":
            return (uniform,)
        return uniform, self.rng.standard_normal((steps, self.num_envs), dtype=np.float32)

    def _advance(self, action: Array) -> tuple[Array, Mask, Mask, dict[str, Array]]:
        draws = self._next_draws()
        chosen = self._means.take(self._start_of_row + action)
        reward = chosen if self.settings.arms == "informative" else (draws[0] < chosen).astype(np.float32)
        choice = action.astype(np.int32)
        info = {
            "trial": self._trial,
            "trial_done": self._everywhere,
            "choice": choice,
            "reward": reward,
            "best": self._best,
            "chosen": chosen,
            "arm_1": self._first_arm,
            "volatile": self._volatile,
        }
        self._trial = self._trial + 1
        self._total += reward
        self._last_arm, self._last_paid = choice, reward
        if self.settings.arms == "restless":
            self._walk(draws[1])
        return reward, self._trial >= self.settings.trial_count, self._nowhere, info

    def _walk(self, normal: Array) -> None:
        low, high = self.settings.volatility
        moved = np.abs(self._first_arm + normal * np.where(self._volatile, np.float32(high), np.float32(low)))
        moved %= 2  # reflected at 0, then at 1
        self._first_arm = np.minimum(moved, 2 - moved)
        second = 1 - self._first_arm
        self._best = np.maximum(self._first_arm, second)
        self._means[:, 0], self._means[:, 1] = self._first_arm, second

    def _shown_pull(self) -> str:
        count = self.settings.trial_count
        return f"pull {min(int(self._trial[0]) + 1, count)} of {count}"

    def _render_ansi(self) -> str:
        last, paid = self._last_arm[0], self._last_paid[0]
        arms = " ".join(f"<{arm + 1}>" if arm == last else f"[{arm + 1}]" for arm in range(self._means.shape[1]))
        told = "" if last < 0 else f"   <{last + 1}> paid {paid:g}"
        return f"{self._shown_pull()}   {arms}{told}   total {self._total[0]:g}"

    def _render_rgb(self) -> Array:
        from ..canvas import Canvas

        canvas = Canvas(400, 300)
        count = self._means.shape[1]
        columns = min(count, max(6, int(np.ceil(np.sqrt(2 * count)))))
        rows = -(-count // columns)
        size = min(110, 360 // columns, 180 // rows)
        left, top = 200 - columns * size / 2, 152 - rows * size / 2
        last, paid = self._last_arm[0], self._last_paid[0]
        for arm in range(count):
            color = (235, 235, 238)
            if arm == last:
                color = (98, 170, 120) if paid > 0 else (205, 105, 90)
            x, y = left + arm % columns * size, top + arm // columns * size
            gap = max(1, size // 24)
            canvas.box(x + gap, y + gap, size - 2 * gap, size - 2 * gap, color)
            if size >= 12:
                canvas.text(x + size / 2, y + size / 2, str(arm + 1), size=min(24, size // 2))
        canvas.text(200, 36, self._shown_pull())
        canvas.text(200, 268, f"total {self._total[0]:g}" + ("" if last < 0 else f"   (last pull: {paid:g})"))
        return canvas.pixels
