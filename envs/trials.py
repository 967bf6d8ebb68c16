"""The table of trials: what analyses read, whoever played (network, baseline or person).

`Trials` maps a column name to an array with one entry a trial, in the order of play within each episode, episode by
episode: the columns of the task's `info_spec` (without `trial_done`), `episode` (0-based), `steps` (environment steps
that the trial took), and, when a network (or a `Critic`) played, `value` and `rpe` (its value before the trial's last
action, and the reward-prediction error `r + discount * V' - V` there). A task that names the steps of its trials
(`VectorTask.phases`) gets these of every step: `value_<phase>`, `rpe_<phase>`. The error of a step is about what
follows it: the error at a cue is that of the step which the cue came after.
An agent with an episodic memory adds, for the last step of a trial, `recalled` (whether the memory returned something),
`hit` (whether that was the entry that the task calls right) and `gate` (the reinstatement gate, averaged over units).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

if TYPE_CHECKING:
    from .vector import Array, Mask, VectorTask

Trials = Mapping[str, "Array"]

JUDGED = ("value", "rpe")
"""Columns that a trial has for each phase, too."""


class Baseline(Protocol):
    """An agent that is not a network. It plays the same environment, B episodes at once."""

    def begin(self, which: Mask) -> None:
        """A new episode starts in the rows of `which` [B]: forget what was learned there."""

    def act(self, obs: Array) -> Array:
        """Choose actions [B] for the observations [B, ...]."""

    def learn(self, action: Array, reward: Array, next_obs: Array) -> None:
        """Take in what followed; in rows where the episode ended, `next_obs` is its real last observation."""


@runtime_checkable
class Critic(Baseline, Protocol):
    """A baseline that expects something, so that its trials have the columns of a network's judgement, too."""

    value: Array
    """[B] of the state that the last action was chosen in."""
    rpe: Array
    """[B] reward-prediction error of the last step; known after `learn`, and kept through `begin`."""


@dataclass(frozen=True)
class Reference:
    """Values that a result is held against: an ideal, a classical agent or a publication."""

    name: str
    """Column title, such as "ideal observer" or "Wang et al. 2018"."""
    values: Mapping[str, Any]
    """Same names and nesting as the task's `summarise`; what is not known is left out."""
    source: str
    """Where the numbers come from."""


@dataclass(frozen=True)
class Evaluation:
    """One seed, evaluated with frozen weights."""

    trials: Trials
    history: Mapping[str, Array]
    """`metrics.csv` of the training run as columns (`env_steps`, the task's measures with dotted names, ...); may be
    empty. What the task measures during training stands under the names of `summarise`, nested names and list
    positions joined with dots: `stay_probability.rewarded_common`, `accuracy_by_trial.0`."""
    label: str = ""
    group: str = ""
    """The agent, where several are compared: "lstm", "episodic", "incremental", ... """
    memory: Mapping[str, Array] = field(default_factory=dict)
    """What an episodic memory held at the end of a life: `keys` [N, K], `values` [N, H], `tags` [N] (what each entry
    is about) and `choices` [N] (the action taken from the stored state); empty for an agent without one."""
    discount: float = 1.0
    """Of the prediction errors in the trials."""


class TrialRecorder:
    """Collects the trials of the first `episodes` episodes that B environments play, without favouring short ones.

    Episode k of environment b gets the number `k * B + b`; each environment plays its share to the end. Attributes:
    `done` is True once every share is complete.

    Args:
        info_spec: the task's.
        num_envs: B.
        episodes: how many to collect.
        phases: names of the first steps of a trial, for which the columns of `JUDGED` are kept, if they are there;
            NaN in trials that were over before.
    """

    def __init__(
        self, info_spec: Mapping[str, type[np.generic]], num_envs: int, episodes: int, phases: Sequence[str] = ()
    ) -> None:
        if episodes < 1:
            raise ValueError(f"at least one episode has to be recorded, got {episodes}")
        self._columns: dict[str, list[Array]] = {}
        self._taken = 0
        self._keys = [key for key in info_spec if key != "trial_done"]
        self._episode = np.arange(num_envs)
        self._num_envs = num_envs
        self._episodes = episodes
        self._steps = np.zeros(num_envs, dtype=np.int64)
        self._return = np.zeros(num_envs)
        self._phases = phases
        self._phase = np.zeros(num_envs, dtype=np.int64)
        """Which step of its trial comes next."""
        self._judged: dict[str, Array] = {}
        """Columns of the running trials, [phases, B]."""
        self.returns = np.full(episodes, np.nan)
        """Undiscounted return of each recorded episode."""
        self.lengths = np.zeros(episodes, dtype=np.int64)
        """Environment steps of each recorded episode."""

    @property
    def done(self) -> bool:
        """True once all episodes asked for are complete."""
        return bool((self._episode >= self._episodes).all())

    @property
    def wanted(self) -> Mask:
        """[B] whose running episode is recorded."""
        return np.asarray(self._episode < self._episodes)

    @property
    def completed(self) -> int:
        """How many of the episodes asked for are complete."""
        return int(np.isfinite(self.returns).sum())

    def add(self, info: Mapping[str, Array], reward: Array, ended: Mask, **extra: Array) -> None:
        """Take in one step of all B environments; `extra` adds columns ([B] each)."""
        wanted = self.wanted
        if self._phases:
            extra |= self._of_phases(extra, info["trial_done"] | ended)
        self._steps += 1
        self._return += reward
        rows = np.flatnonzero(info["trial_done"] & wanted)
        if rows.size:
            values = {key: info[key][rows] for key in self._keys}
            values |= {key: value[rows] for key, value in extra.items()}
            values |= {"episode": self._episode[rows].astype(np.int32), "_step": self._steps[rows].astype(np.int32)}
            for key, value in values.items():
                self._columns.setdefault(key, []).append(value)
        if ended.any():
            over = np.flatnonzero(ended & wanted)
            self.returns[self._episode[over]] = self._return[over]
            self.lengths[self._episode[over]] = self._steps[over]
            self._episode[ended] += self._num_envs
            self._steps[ended] = 0
            self._return[ended] = 0

    def _of_phases(self, told: Mapping[str, Array], over: Mask) -> dict[str, Array]:
        """Columns of the phases of the running trials up to this step, [B] each; `over`: where the trial ends."""
        columns: dict[str, Array] = {}
        (here,) = np.nonzero(self._phase < len(self._phases))
        for key in (key for key in JUDGED if key in told):
            table = self._judged.setdefault(key, np.empty((len(self._phases), len(over)), dtype=np.float32))
            table[:, self._phase == 0] = np.nan
            table[self._phase[here], here] = told[key][here]
            columns |= {f"{key}_{phase}": row for phase, row in zip(self._phases, table, strict=True)}
        self._phase = np.where(over, 0, self._phase + 1)
        return columns

    def trials(self) -> dict[str, Array]:
        """The table of all complete episodes so far that were not taken, sorted by episode and order of play."""
        if not self._columns:
            return {key: np.zeros(0) for key in (*self._keys, "episode", "steps")}
        table = {key: np.concatenate(parts) for key, parts in self._columns.items()}
        return self._sorted(table, np.isfinite(self.returns[table["episode"]]))

    def take(self) -> dict[str, Array]:
        """The next whole episodes in the order of their numbers, sorted; the recorder forgets them.

        Called now and then, what it gives is the same table in parts, and what is kept stays small.
        """
        last = min(int(self._episode.min()), self._episodes)
        if not self._columns or last == self._taken:
            return {key: np.zeros(0) for key in (*self._keys, "episode", "steps")}
        self._taken = last
        table = {key: np.concatenate(parts) for key, parts in self._columns.items()}
        over = table["episode"] < last
        self._columns = {key: [value[~over]] for key, value in table.items()}
        return self._sorted(table, over)

    def _sorted(self, table: Mapping[str, Array], which: Mask) -> dict[str, Array]:
        table = {key: value[which] for key, value in table.items()}
        order = np.lexsort((table["_step"], table["episode"]))
        table = {key: value[order] for key, value in table.items()}
        step, episode = table.pop("_step"), table["episode"]
        same = np.concatenate(([False], episode[1:] == episode[:-1]))
        table["steps"] = np.diff(step, prepend=0) * same + step * ~same
        return table


def trials_of_window(unrolls: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    """The trials completed in a few unrolls of training (see `RolloutWorker.unroll`): a table for the curves.

    Episodes are cut at both ends of an unroll; each piece of one counts as an episode of its own.
    """
    parts: dict[str, list[Array]] = {}
    pieces = 0
    for info in unrolls:
        first = info["first"][:-1].copy()
        first[0] = True
        piece = pieces + np.cumsum(first.T.reshape(-1)).reshape(first.T.shape) - 1  # [B, T], in order of rows
        pieces += int(first.sum())
        done = info["trial_done"].T
        for key, column in info.items():
            if key not in ("first", "trial_done"):
                parts.setdefault(key, []).append(column.swapaxes(0, 1)[done])
        parts.setdefault("episode", []).append(piece[done])
    return {key: np.concatenate(columns) for key, columns in parts.items()}


def simulate(env: VectorTask, baseline: Baseline, episodes: int, seed: int) -> tuple[dict[str, Array], Array]:
    """Let a baseline play `episodes` episodes; returns the table of trials and the return of each episode."""
    recorder = TrialRecorder(env.info_spec, env.num_envs, episodes, env.phases)
    obs, _ = env.reset(seed=seed)
    baseline.begin(np.ones(env.num_envs, dtype=bool))
    while not recorder.done:
        action = baseline.act(obs)
        obs, reward, terminated, truncated, info = env.step(action)
        ended = terminated | truncated
        seen = obs
        if ended.any():
            seen = obs.copy()
            seen[ended] = info["final_obs"][ended]
        baseline.learn(action, reward, seen)
        if ended.any():
            baseline.begin(ended)
        judged = {key: getattr(baseline, key) for key in JUDGED} if isinstance(baseline, Critic) else {}
        recorder.add(info, reward, ended, **judged)
    return recorder.trials(), recorder.returns
