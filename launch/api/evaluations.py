"""`Run.evaluate` and `Run.record`: fresh episodes of a trained agent, and what came of them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..config import TrainConfig
from ..run.evaluation import draw_run, evaluate_run
from ..run.folder import RunFolder
from ..run.perturbing import control_of
from ..run.places import TO_DRAW, run_at
from ..run.reevaluation import EvaluateSettings, asked_config, checkpoint_called
from ..run.storage import is_url
from .evaluated import Evaluated, Places

Temporary = tempfile.TemporaryDirectory[str]


def unnamed(perturbed: bool) -> str:
    """What an evaluation without a name is called in figures."""
    return "perturbed" if perturbed else "evaluation"


def evaluation(told: EvaluateSettings, keep: bool) -> Evaluation:
    """Play what is asked for.

    Args:
        told: with a name.
        keep: its files in the run's folder, and write figures too.

    Raises:
        ConfigError: for what cannot be.
    """
    temporary = None if keep else Temporary(prefix="prefrontal_")
    with run_at(told.run, told.files) as folder:
        config, checkpoint = asked_config(folder, told), checkpoint_called(folder, told.checkpoint)
        control = control_of(folder, config, checkpoint, told.control) if told.perturbed else None
        output = _output(told, temporary, folder)
        evaluate_run(folder, config, checkpoint, output)
        if keep:
            draw_run(folder, config, checkpoint, output, control)
    return Evaluation(config, told, control is not None, temporary)


def _output(told: EvaluateSettings, temporary: Temporary | None, folder: RunFolder) -> RunFolder:
    assert told.name is not None
    return folder.evaluation_called(told.name) if temporary is None else RunFolder(Path(temporary.name) / told.name)


class Evaluation(Evaluated):
    """What `Run.evaluate` gives: `results`, `trials`, `figures`, `table`, `activity`.

    A perturbed agent's has what it is held against beside it, in figures and table.
    """

    def __init__(
        self, config: TrainConfig, told: EvaluateSettings, controlled: bool, temporary: Temporary | None
    ) -> None:
        self.config, self._told, self._controlled, self._temporary = config, told, controlled, temporary

    def __repr__(self) -> str:
        return f"Evaluation of {self._told.run!r}: {self.config.evaluate.episodes:,} episodes"

    @contextmanager
    def _opened(self, *wanted: str) -> Iterator[Places]:
        own = () if self._temporary is not None else (f"evaluations/{self._told.name}/{file}" for file in wanted)
        with run_at(self._told.run, (*self._told.files, *TO_DRAW, *own)) as folder:
            control = None
            if self._controlled:
                control = folder.evaluation_called(self._told.control) if self._told.control else folder
            lasting = self._temporary is None and not is_url(self._told.run)
            yield Places(_output(self._told, self._temporary, folder), folder, control, lasting)
