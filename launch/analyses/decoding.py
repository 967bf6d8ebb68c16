"""What can be read out of a population by a linear decoder, tested on episodes that it was not fitted to.

Categories by linear discriminant analysis with a shrunk covariance (Ledoit and Wolf 2004), all equally likely before;
quantities by ridge regression. Chance is what the same decoder makes of the same values shifted along the trials by a
random number of them: they keep their own dependence from trial to trial and lose that on the activity.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...conf.checking import ConfigError
from ...replay.trajectory import Array
from .columns import Values

MOST_SAMPLES = 5000
"""What is decoded from: so many first samples, and the rest of an episode."""


@dataclass(frozen=True)
class Decoding:
    """Of one variable."""

    measure: str
    """`balanced accuracy` (mean over categories of the share that is right) or `R2`; both on left-out episodes."""
    score: float
    shifted: Array
    """[S] the same with shifted values."""
    samples: int

    @property
    def p(self) -> float:
        """How often chance does as well."""
        return float((1 + (self.shifted >= self.score).sum()) / (1 + len(self.shifted)))


def decode(activity: Array, episode: Array, values: Values, folds: int, shuffles: int, seed: int) -> Decoding:
    """Decode a variable from activity.

    Args:
        activity: [N, H].
        episode: [N], ascending.
        values: of the same samples; where it is not known they are left out.
        folds: parts of the episodes, of which each is left out once.
        shuffles: S.
        seed: of the shifts.

    Raises:
        ConfigError: if there are fewer episodes than folds, or the variable does not vary.
    """
    rows = np.flatnonzero(values.known)
    if len(rows) > MOST_SAMPLES:
        rows = rows[: np.searchsorted(episode[rows], episode[rows[MOST_SAMPLES]], side="right")]
    activity, episode, target = activity[rows], episode[rows], values.values[rows]
    if len(np.unique(episode)) < folds:
        raise ConfigError(f"folds={folds}: there are {len(np.unique(episode))} episodes only; record more")
    is_category = values.is_category
    if len(np.unique(target)) < 2:
        raise ConfigError("decode: a variable has one value only in these trials")
    activity = (activity - activity.mean(0)) / np.maximum(activity.std(0), 1e-6)
    parts = _parts(episode, folds)
    score = _score(activity, target, parts, is_category)
    rng = np.random.default_rng(seed)
    shifts = rng.integers(len(target) // 10, len(target) - len(target) // 10, size=shuffles)
    shifted = np.array([_score(activity, np.roll(target, shift), parts, is_category) for shift in shifts])
    return Decoding("balanced accuracy" if is_category else "R2", score, shifted, len(target))


def _parts(episode: Array, folds: int) -> Array:
    """[N] which part each sample is in: whole episodes, in turn."""
    return np.unique(episode, return_inverse=True)[1] % folds


def _score(activity: Array, target: Array, parts: Array, is_category: bool) -> float:
    """On samples left out."""
    from sklearn.metrics import balanced_accuracy_score, r2_score

    guessed = np.empty(target.shape, dtype=target.dtype if is_category else np.float64)
    for part in np.unique(parts):
        test = parts == part
        guessed[test] = _decoder(target[~test], is_category).fit(activity[~test], target[~test]).predict(activity[test])
    return float(balanced_accuracy_score(target, guessed) if is_category else r2_score(target, guessed))


def _decoder(target: Array, is_category: bool) -> Any:
    if not is_category:
        from sklearn.linear_model import Ridge

        return Ridge(alpha=1.0)
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    count = len(np.unique(target))
    return LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto", priors=np.full(count, 1 / count))
