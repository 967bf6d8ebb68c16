"""`prefrontal pretrain`: train the encoder of a network for pixels, on CIFAR-100 or on views of PsychLab's screen.

What comes of it, `encoder.safetensors`, is what `model.encoder_from` of a training reads.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import hydra
import torch
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ...envs.psychlab.options import PsychLabSettings
from ...learner.batch import resolve_device
from ...learner.classes import Classes, Pictures
from ...learner.pretrained import EncoderSpec, write_encoder
from ...learner.pretraining import Lesson, PretrainConfig, Pretraining
from ..config import ConfigError, local_cpus
from ..console import TrainingLine, console
from ..failures import reported
from ..pretraining import cifar
from ..pretraining.screen_lesson import ScreenLesson
from ..run.folder import RunFolder
from ..stopping import StopRequest

LINE_EVERY_S = 0.25

SCREEN = "screen"
"""`data` in the place of a path: views of PsychLab's screen."""


def _settings(composed: DictConfig) -> PretrainConfig:
    names = [f.name for f in dataclasses.fields(PretrainConfig)]
    try:
        schema = OmegaConf.structured(PretrainConfig)
        OmegaConf.set_readonly(schema, False)
        settings = OmegaConf.to_object(OmegaConf.merge(schema, {name: composed[name] for name in names}))
    except (OmegaConfBaseException, ValueError, TypeError) as error:
        raise ConfigError(str(error).strip()) from error
    assert isinstance(settings, PretrainConfig)
    return settings


def _on_device(images: cifar.Images, device: torch.device) -> Pictures:
    return Pictures(torch.from_numpy(images.pixels).to(device), torch.from_numpy(images.labels).to(device))


class Source(NamedTuple):
    """A lesson, and what to say of it."""

    lesson: Lesson
    name: str
    train_pictures: int
    test_pictures: int
    remark: str


def _source(composed: DictConfig, config: PretrainConfig, device: torch.device) -> Source:
    if composed.data == SCREEN:
        settings = PsychLabSettings(size=composed.size, **composed.screen)
        views = ScreenLesson(settings, config.batch_size, device, composed.seed)
        return Source(views, SCREEN, views.pictures, views.held_out, ", in views of PsychLab's screen")
    data = cifar.read(composed.data)
    train, test = _on_device(data.train, device), _on_device(data.test, device)
    classes = Classes(train, test, cifar.CLASSES, (composed.size, composed.size), config, composed.seed)
    remark = "" if data.complete else ", a part of the data set"
    return Source(classes, "cifar-100", len(train.labels), len(test.labels), remark)


def _start(composed: DictConfig) -> tuple[Pretraining, EncoderSpec, Source]:
    spec = EncoderSpec(composed.encoder, tuple(composed.encoder_sizes), (composed.size, composed.size, 3))
    config = _settings(composed)
    try:
        source = _source(composed, config, resolve_device(composed.device))
        work = Pretraining(spec, config, source.lesson, composed.seed, composed.bf16)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    if not list(work.encoder.parameters()):
        raise ConfigError(f"encoder '{spec.name}' has nothing to train: choose conv or resnet")
    return work, spec, source


def pretrain(composed: DictConfig, folder: RunFolder) -> int:
    """Train and write; returns the exit status (130 after a stop that was asked for)."""
    torch.set_num_threads(composed.threads or local_cpus())
    work, spec, source = _start(composed)
    folder.path.mkdir(parents=True, exist_ok=True)
    folder.write_provenance()
    console.print(
        f"{source.train_pictures:,} + {source.test_pictures:,} pictures{source.remark}; {source.lesson.device.type}; "
        f"{sum(p.numel() for p in work.encoder.parameters()):,} weights of '{spec.name}'",
        style="dim",
    )
    stop, started = StopRequest(), time.monotonic()
    accuracy = {"train": float("nan"), "test": float("nan")}
    epochs: list[dict[str, float]] = []
    with stop, TrainingLine(work.total_steps, 0) as line:
        last_line = started
        while work.step < work.total_steps and not stop.requested:
            right = seen = 0.0
            for step in work.run_epoch():
                right, seen = right + step.accuracy, seen + 1
                if (now := time.monotonic()) - last_line >= LINE_EVERY_S:
                    last_line = now
                    epoch = work.step / source.lesson.steps_per_epoch
                    tested = f" | test accuracy {accuracy['test']:.1%}" if epochs else ""
                    line.update(
                        work.step,
                        f"epoch {epoch:.1f} of {work.config.epochs} | loss {step.loss:.3f} | "
                        f"accuracy {right / seen:.1%}{tested} | {work.step / (now - started):,.1f} steps/s",
                    )
                if stop.requested:
                    break
            accuracy = {"train": right / seen, "test": work.accuracy()}
            epochs.append(accuracy)
    _write(folder, composed, work, spec, source, accuracy, epochs, time.monotonic() - started)
    done = f"{work.step / source.lesson.steps_per_epoch:.1f} of {work.config.epochs} epochs"
    console.print(
        f"{'stopped after' if stop.requested else 'trained'} {done}: {accuracy['test']:.1%} of the test pictures right "
        f"({accuracy['train']:.1%} of those trained on, as they were shown)",
        style="bold",
    )
    path = folder.shown(folder.path / "encoder.safetensors")
    console.print(f"encoder      {path}")
    console.print(f"all numbers  {folder.shown(folder.results)}")
    console.print(f"use it       prefrontal train ... model.encoder_from={path}")
    return 130 if stop.requested else 0


def _write(
    folder: RunFolder,
    composed: DictConfig,
    work: Pretraining,
    spec: EncoderSpec,
    source: Source,
    accuracy: Mapping[str, float],
    epochs: list[dict[str, float]],
    wall_s: float,
) -> None:
    results: dict[str, Any] = {
        "data": source.name,
        "train_pictures": source.train_pictures,
        "test_pictures": source.test_pictures,
        "steps": work.step,
        "epochs": work.step / source.lesson.steps_per_epoch,
        "wall_s": wall_s,
        "train_accuracy": accuracy["train"],
        "test_accuracy": accuracy["test"],
    }
    write_encoder(folder.path / "encoder.safetensors", work.encoder, spec, results)
    settings = OmegaConf.to_container(composed, resolve=True)
    each = {name: [epoch[name] for epoch in epochs] for name in ("train", "test")}
    folder.write_results({**results, "accuracy_by_epoch": each, "settings": settings})


@hydra.main(config_path="pkg://prefrontal.conf", config_name="pretrain", version_base="1.3")
def main(composed: DictConfig) -> None:
    """Entry point of the verb; see the module's text."""
    with reported():
        folder = RunFolder(Path(composed.out).absolute())
        if (written := folder.path / "encoder.safetensors").exists():
            raise ConfigError(f"{folder.shown(written)} exists already: give another folder with out=<folder>")
        status = pretrain(composed, folder)
        if status:
            raise SystemExit(status)
