"""What an agent's episodic memory did: hits, the reinstatement gate by kind of trial, maps of what was stored.

The same for every task; a task only names the column that tells kinds of trials apart (`Task.condition`).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .plotting import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, bars_with_dots, label, new_figure
from .trials import Evaluation, Trials
from .vector import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_KINDS = 12
"""A column with more values than these does not tell kinds of trials apart."""

_COLORS = (BLUE, RED, GREEN, ORANGE, PURPLE, GREY)


def _share(of: Array) -> float:
    return float(of.mean()) if len(of) else float("nan")


def _kinds(trials: Trials, condition: str) -> dict[str, Array]:
    """Masks of the kinds of trials, by name: `cued_0`, `cued_1`, ..."""
    if condition not in trials:
        return {}
    values = np.unique(trials[condition])
    if len(values) > MOST_KINDS:
        return {}
    return {f"{condition}_{int(value)}": trials[condition] == value for value in values}


def memory_measures(trials: Trials, condition: str) -> dict[str, Any]:
    """How often the memory returned something, and the right thing; the mean gate by kind of trial.

    Args:
        trials: with the columns `recalled`, `sought` and `hit`, and `gate` where an evaluation was played.
        condition: column that tells the kinds of trials apart, or empty.

    Returns:
        `memory`: `recall_rate` (of all trials), `hit_rate` (of the trials for which the right entry should exist) and,
        with gates, `gate`, and beside it `gate_by_kind`. Empty for an agent without a memory.
    """
    if "recalled" not in trials:
        return {}
    memory = {
        "recall_rate": _share(trials["recalled"]),
        "hit_rate": _share(trials["hit"][trials["sought"].astype(bool)]),
    }
    if "gate" not in trials:
        return {"memory": memory}
    memory["gate"] = _share(trials["gate"])
    kinds = _kinds(trials, condition)
    return {"memory": memory, "gate_by_kind": {name: _share(trials["gate"][rows]) for name, rows in kinds.items()}}


def gate_by_unit(trials: Trials, units: Array, condition: str) -> dict[str, list[float]]:
    """Mean gate of each unit [H] over all trials and by kind, from the gates `units` [N, H] of the N trials."""
    rows = {"all": np.ones(len(units), dtype=bool), **_kinds(trials, condition)}
    return {name: units[mask].mean(0).tolist() for name, mask in rows.items()}


def similarity_map(rows: Array) -> Array:
    """Correlation [N, N] of the rows [N, K]; 0 where a row does not vary."""
    centred = rows - rows.mean(1, keepdims=True)
    norm = np.linalg.norm(centred, axis=1, keepdims=True)
    unit = np.divide(centred, norm, out=np.zeros_like(centred), where=norm > 1e-12)
    return np.asarray(unit @ unit.T)


def principal_components(rows: Array, count: int = 2) -> tuple[Array, Array]:
    """Scores [N, count] on the first components of the rows [N, H], and their shares of the variance [count]."""
    centred = rows - rows.mean(0)
    left, size, _ = np.linalg.svd(centred, full_matrices=False)
    count = min(count, len(size))
    return left[:, :count] * size[:count], size[:count] ** 2 / max(1e-12, float((size**2).sum()))


def memory_figures(evaluations: Sequence[Evaluation], condition: str) -> dict[str, Figure]:
    """`memory_gate` (gate and hits by kind of trial) and `memory_contents` (maps and PCA of one life's entries).

    Only of evaluations whose agent has a memory; empty if there are none.
    """
    remembering = [e for e in evaluations if "recalled" in e.trials]
    drawn = {}
    if remembering and "gate" in remembering[0].trials:
        drawn["memory_gate"] = _draw_gate(remembering, condition)
    stored = [e.memory for e in remembering if len(e.memory.get("values", ())) > 2]
    if stored:
        drawn["memory_contents"] = _draw_contents(stored[0])
    return drawn


def _draw_gate(evaluations: Sequence[Evaluation], condition: str) -> Figure:
    kinds = list(_kinds(evaluations[0].trials, condition)) or ["all"]
    gates, hits = [], []
    for evaluation in evaluations:
        trials = evaluation.trials
        masks = _kinds(trials, condition) or {"all": np.ones(len(trials["gate"]), dtype=bool)}
        nothing = np.zeros(len(trials["gate"]), dtype=bool)
        rows = [masks.get(kind, nothing) for kind in kinds]
        gates.append([_share(trials["gate"][mask]) for mask in rows])
        hits.append([_share(trials["hit"][mask & trials["sought"].astype(bool)]) for mask in rows])
    figure, (left, right) = new_figure(2, 3.6)
    x = np.arange(len(kinds), dtype=float)
    names = [kind.removeprefix(f"{condition}_") for kind in kinds]
    for axis, runs, color in ((left, gates, PURPLE), (right, hits, GREEN)):
        bars_with_dots(axis, x, np.array(runs), 0.6, color, "")
        axis.set_xticks(x, names)
        axis.set_ylim(0, 1.04)
    label(left, "reinstatement gate", condition, "mean over units and trials")
    label(right, "right entry recalled", condition, "share where there is one")
    return figure


def _draw_contents(memory: Mapping[str, Array]) -> Figure:
    figure, axes = new_figure(3, 3.4)
    # Entries of the same thing, then of the same choice, side by side.
    order = np.lexsort((memory["tags"], memory["choices"]))
    for axis, name in zip(axes, ("keys", "values"), strict=False):
        image = axis.imshow(similarity_map(memory[name][order]), cmap="RdBu_r", vmin=-1, vmax=1)
        label(axis, f"similarity of {name}", "entry, by choice", "entry")
        figure.colorbar(image, ax=axis, shrink=0.7)
    _draw_components(axes[2], memory)
    return figure


def _draw_components(axis: Axes, memory: Mapping[str, Array]) -> None:
    from matplotlib import colormaps

    scores, shares = principal_components(memory["values"].astype(float))
    if scores.shape[1] < 2:
        return
    choices = np.unique(memory["choices"])
    colors = _COLORS if len(choices) <= len(_COLORS) else colormaps["tab20"].colors  # type: ignore[attr-defined]
    for choice, color in zip(choices, itertools.cycle(colors), strict=False):
        rows = memory["choices"] == choice
        axis.plot(scores[rows, 0], scores[rows, 1], "o", color=color, markersize=4, alpha=0.7, label=str(choice))
    axis.legend(frameon=False, fontsize=7, title="choice", title_fontsize=7)
    label(axis, "stored values", f"component 1 ({shares[0]:.0%})", f"component 2 ({shares[1]:.0%})")
