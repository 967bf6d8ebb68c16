"""Counters of a running training, and where they go: `metrics.csv`, TensorBoard, and the console line.

One row a log point; the same numbers everywhere. `docs/metrics.md` defines each of them.
"""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from tensorboard.compat.proto.summary_pb2 import Summary
from torch.utils.tensorboard import SummaryWriter

from ..engines.protocol import Counters, Update
from .folder import RunFolder
from .metrics_file import MetricsFile

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RECENT_EPISODES = 500
"""Episodes that the return and length of a log point are averaged over."""


class Tracker:
    """Accumulates updates between two log points.

    Args:
        folder: where the files go.
        resumed_at: environment steps of the checkpoint that the run goes on from; rows after it are dropped.
        episodes: episodes that had ended by then.
        wall_s: seconds that the run had taken by then.
    """

    def __init__(self, folder: RunFolder, resumed_at: int = 0, episodes: int = 0, wall_s: float = 0.0) -> None:
        # TensorBoard drops what was written at that step and after it: as `MetricsFile`, what follows a checkpoint.
        self._writer = SummaryWriter(str(folder.path), purge_step=resumed_at + 1, flush_secs=10)
        self._csv = MetricsFile(folder.metrics, resumed_at)
        self.env_steps = resumed_at
        self.updates = 0
        self.episodes = episodes
        self._wall_before = wall_s
        self._started = self._last_time = time.perf_counter()
        self._last_steps = resumed_at
        self._last_counters = Counters(0.0, 0.0, 0, 0, 0, 0)
        self._sums: defaultdict[str, float] = defaultdict(float)
        self._count = 0
        self._returns: deque[float] = deque(maxlen=RECENT_EPISODES)
        self._lengths: deque[int] = deque(maxlen=RECENT_EPISODES)
        self._speed: deque[tuple[float, int]] = deque([(self._started, resumed_at)], maxlen=64)
        self.last_metrics: Mapping[str, float] = {}

    # While training ----------------------------------------------------------------------------------------

    def add(self, update: Update) -> None:
        """Take in one update."""
        self.last_metrics = update.metrics
        for name, value in update.metrics.items():
            self._sums[name] += value
        self._count += 1
        self.updates += 1
        for report in update.reports:
            self.env_steps += report.env_steps
            self.episodes += len(report.returns)
            self._returns.extend(report.returns.tolist())
            self._lengths.extend(report.lengths.tolist())
            for name in ("env_s", "inference_s", "total_s"):
                self._sums[f"actors/{name}"] += getattr(report, name) / len(update.reports)
        self._speed.append((time.perf_counter(), self.env_steps))

    @property
    def wall_s(self) -> float:
        """Seconds of training, over all resumes."""
        return self._wall_before + time.perf_counter() - self._started

    @property
    def steps_per_second(self) -> float:
        """Environment steps trained on a wall second, over the last updates."""
        (then, before), (now, after) = self._speed[0], self._speed[-1]
        return (after - before) / (now - then) if now > then else 0.0

    def recent_return(self) -> float:
        """Mean return of the last episodes; NaN before the first has ended."""
        return float(np.mean(self._returns)) if self._returns else float("nan")

    def log(self, counters: Counters, measures: Mapping[str, float]) -> dict[str, float]:
        """Write a row: everything since the last one, and the task's measures of the last unrolls."""
        now, last = time.perf_counter(), self._last_counters
        elapsed = now - self._last_time
        taken = counters.taken - last.taken
        row: dict[str, float] = {
            "env_steps": self.env_steps,
            "wall_s": self._wall_before + now - self._started,
            "steps_per_second": (self.env_steps - self._last_steps) / elapsed,
            "episodes": self.episodes,
            "episode_return": self.recent_return(),
            "episode_length": float(np.mean(self._lengths)) if self._lengths else float("nan"),
            **measures,
            **{name: total / self._count for name, total in self._sums.items()},
            "wait/learner_share": (counters.learner_waited_s - last.learner_waited_s) / elapsed,
            "wait/data_s": (counters.data_waited_s - last.data_waited_s) / max(1, taken),
            "actors/playing": counters.actors,
            "actors/restarts": counters.restarts,
            "learner/restarts": counters.learner_restarts,
        }
        self._csv.append(row)
        points = [
            Summary.Value(tag=_tag(name, measures), simple_value=value)
            for name, value in row.items()
            if name != "env_steps" and np.isfinite(value)
        ]
        self._add(Summary(value=points))
        self._last_time, self._last_steps, self._last_counters = now, self.env_steps, counters
        self._sums.clear()
        self._count = 0
        return row

    def who_waits(self, counters: Counters) -> str:
        """In words, which side limits the speed since the last log point."""
        elapsed = time.perf_counter() - self._last_time
        if elapsed <= 0:
            return ""
        share = (counters.learner_waited_s - self._last_counters.learner_waited_s) / elapsed
        return f"learner waits {min(1.0, share):.0%}"

    def figure(self, name: str, figure: Figure) -> None:
        """A figure as an image in TensorBoard."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        canvas: Any = FigureCanvasAgg(figure)
        canvas.draw()
        pixels = np.asarray(canvas.buffer_rgba())[..., :3]
        self._writer.add_image(f"figures/{name}", pixels, self.env_steps, dataformats="HWC")

    def picture(self, name: str, path: Path) -> None:
        """A PNG or an animated GIF, which moves there, as an image in TensorBoard."""
        with Image.open(path) as picture:
            width, height = picture.size
            colors = 4 if picture.mode == "RGBA" else 3
        image = Summary.Image(height=height, width=width, colorspace=colors, encoded_image_string=path.read_bytes())
        summary = Summary(value=[Summary.Value(tag=f"figures/{name}", image=image)])
        self._add(summary)

    def text(self, name: str, markdown: str) -> None:
        """A text in TensorBoard."""
        self._writer.add_text(name, markdown, self.env_steps)

    def hparams(self, settings: Mapping[str, Any], results: Mapping[str, float]) -> None:
        """The settings and what came of them, for TensorBoard's HPARAMS page."""
        plain = {k: v if isinstance(v, bool | int | float | str) else str(v) for k, v in settings.items()}
        scores = {f"result/{name}": value for name, value in results.items() if np.isfinite(value)}
        self._writer.add_hparams(plain, scores, run_name=".", global_step=self.env_steps)

    def close(self) -> None:
        """Flush everything."""
        self._writer.close()

    def _add(self, summary: Summary) -> None:
        """One event, however many curves have a point in it: an event of its own for each takes five times as long."""
        self._writer._get_file_writer().add_summary(summary, self.env_steps)


def _tag(name: str, measures: Mapping[str, float]) -> str:
    if name in measures:
        return f"task/{name}"
    return name if "/" in name else f"run/{name}"
