"""`prefrontal pretrain`: train the encoder of a network for pixels, on CIFAR-100 or on views of PsychLab's screen.

What comes of it, `encoder.safetensors`, is what `model.encoder_from` of a training reads.
"""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import hydra
import torch
from omegaconf import DictConfig

from ...conf.checking import checked
from ...conf.settings import Count, CountOrZero, Device, Many, Seed, Text, settings
from ...envs.psychlab.families import TRAINED, Family
from ...envs.psychlab.options import PsychLabSettings
from ...learner.batch import resolve_device
from ...learner.classes import Classes, Pictures
from ...learner.pretrained import EncoderSpec, write_encoder
from ...learner.pretraining import Lesson, PretrainConfig, Pretraining
from ..config import ConfigError, local_cpus, verb_settings
from ..console import ProgressLine, console
from ..failures import reported
from ..pretraining import cifar
from ..pretraining.screen_lesson import ScreenLesson
from ..pretraining.view_lesson import ViewLesson
from ..run.folder import RunFolder
from ..stopping import StopRequest

LINE_EVERY_S = 0.25

SCREEN = "screen"
"""`data` in the place of a path: views of PsychLab's screen."""


@settings
class ScreenSettings:
    """Lesson and pictures of `data=screen`; see `conf/task/psychlab_harlow.yaml`."""

    told: bool = False
    images: str = ""
    families: Many[Family] = TRAINED
    pool: CountOrZero = 2000
    randomise: CountOrZero = 0


@settings
class PretrainSettings(PretrainConfig):
    """Everything `prefrontal pretrain` is told; see `conf/pretrain.yaml`."""

    data: Text = "data/cifar-100-binary.tar.gz"
    screen: ScreenSettings = field(default_factory=ScreenSettings)
    encoder: Literal["mlp", "conv", "resnet"] = "conv"
    encoder_sizes: Many[Count] = (16, 32, 256)
    size: Count = 84
    seed: Seed = 0
    device: Device = "auto"
    bf16: bool = False
    threads: Count | None = None
    out: Text = "runs/pretrain"


def _on_device(images: cifar.Images, device: torch.device) -> Pictures:
    return Pictures(torch.from_numpy(images.pixels).to(device), torch.from_numpy(images.labels).to(device))


class Source(NamedTuple):
    """A lesson, and what to say of it."""

    lesson: Lesson
    name: str
    train_pictures: int
    test_pictures: int
    remark: str


def _source(told: PretrainSettings, device: torch.device) -> Source:
    if told.data == SCREEN:
        pictures = dataclasses.asdict(told.screen)
        lesson = ScreenLesson if pictures.pop("told") else ViewLesson
        screen = checked(PsychLabSettings, {"size": told.size, **pictures})
        views = lesson(screen, told.batch_size, device, told.seed)
        return Source(views, SCREEN, views.pictures, views.held_out, ", in views of PsychLab's screen")
    data = cifar.read(told.data)
    train, test = _on_device(data.train, device), _on_device(data.test, device)
    classes = Classes(train, test, cifar.CLASSES, (told.size, told.size), told, told.seed)
    remark = "" if data.complete else ", a part of the data set"
    return Source(classes, "cifar-100", len(train.labels), len(test.labels), remark)


def _start(told: PretrainSettings) -> tuple[Pretraining, EncoderSpec, Source]:
    spec = EncoderSpec(told.encoder, told.encoder_sizes, (told.size, told.size, 3))
    try:
        source = _source(told, resolve_device(told.device))
        work = Pretraining(spec, told, source.lesson, told.seed, told.bf16)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    return work, spec, source


def pretrain(told: PretrainSettings, folder: RunFolder) -> int:
    """Train and write; returns the exit status (130 after a stop that was asked for)."""
    torch.set_num_threads(told.threads or local_cpus())
    work, spec, source = _start(told)
    folder.path.mkdir(parents=True, exist_ok=True)
    folder.write_provenance(sys.argv)
    console.print(
        f"{source.train_pictures:,} + {source.test_pictures:,} pictures{source.remark}; {source.lesson.device.type}; "
        f"{sum(p.numel() for p in work.encoder.parameters()):,} weights of '{spec.name}'",
        style="dim",
    )
    stop, started = StopRequest(), time.monotonic()
    accuracy = {"train": float("nan"), "test": float("nan")}
    epochs: list[dict[str, float]] = []
    with stop, ProgressLine(work.total_steps, 0) as line:
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
    _write(folder, told, work, spec, source, accuracy, epochs, time.monotonic() - started)
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
    told: PretrainSettings,
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
    each = {name: [epoch[name] for epoch in epochs] for name in ("train", "test")}
    folder.write_results({**results, "accuracy_by_epoch": each, "settings": dataclasses.asdict(told)})


@hydra.main(config_path="pkg://prefrontal.conf", config_name="pretrain", version_base="1.3")
def main(composed: DictConfig) -> None:
    """Entry point of the verb; see the module's text."""
    with reported():
        told = verb_settings(PretrainSettings, composed)
        folder = RunFolder(Path(told.out).absolute())
        if (written := folder.path / "encoder.safetensors").exists():
            raise ConfigError(f"{folder.shown(written)} exists already: give another folder with out=<folder>")
        status = pretrain(told, folder)
        if status:
            raise SystemExit(status)
