"""Pretraining on CIFAR-100: its file format, the training of an encoder, the verb from data to another run's start."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import signal
import tarfile
import time

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_module
from PIL import Image
from prefrontal.envs.psychlab.glimpses import NEAR, SEEN, GlimpseSource
from prefrontal.envs.psychlab.machine import PICTURES
from prefrontal.envs.psychlab.options import PsychLabSettings
from prefrontal.launch.config import ConfigError, verb_settings
from prefrontal.launch.pretraining import cifar
from prefrontal.launch.pretraining.view_lesson import swapped
from prefrontal.launch.run.folder import RunFolder
from prefrontal.launch.verbs.pretrain import PretrainSettings, ScreenSettings, pretrain
from prefrontal.learner.checkpoint import read
from prefrontal.learner.classes import Classes, Pictures, augmented, resized
from prefrontal.learner.pretrained import EncoderSpec, read_encoder
from prefrontal.learner.pretraining import NonFinitePretrainingError, PretrainConfig, Pretraining
from program import call, ended, start, wait_until

SPEC = EncoderSpec("conv", (8, 8, 32), (32, 32, 3))
TINY = ["encoder_sizes=[8,8,32]", "size=36", "batch_size=32", "learning_rate=0.003", "device=cpu", "threads=1"]


def pictures(count, seed):
    """Four classes told apart by the half that is bright and by its colour; pixels [N, 32, 32, 3] and labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, size=count)
    pixels = rng.integers(0, 80, size=(count, 32, 32, 3), dtype=np.uint8)
    for image, label in zip(pixels, labels, strict=True):
        image[:16] += np.uint8(60) * (label < 2)
        image[..., 2 * (label % 2)] += np.uint8(90)
    return pixels, labels


def records(pixels, labels):
    """In the format of the data set, written from its description."""
    return b"".join(
        bytes([0, label]) + image[..., 0].tobytes() + image[..., 1].tobytes() + image[..., 2].tobytes()
        for image, label in zip(pixels, labels, strict=True)
    )


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "cifar-100-binary"
    made.mkdir()
    (made / "train.bin").write_bytes(records(*pictures(512, 0)))
    (made / "test.bin").write_bytes(records(*pictures(128, 1)))
    return made


@pytest.mark.parametrize("where", ["the folder", "its parent"])
def test_a_folder_is_read_to_the_byte(folder, where):
    data = cifar.read(folder if where == "the folder" else folder.parent)
    for found, (pixels, labels) in ((data.train, pictures(512, 0)), (data.test, pictures(128, 1))):
        assert np.array_equal(found.pixels, pixels)
        assert np.array_equal(found.labels, labels)
    assert not data.complete


def test_an_archive_is_read_if_its_checksum_is_right(folder, tmp_path):
    path = tmp_path / "cifar-100-binary.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(folder, "cifar-100-binary")
    data = cifar.read(path, hashlib.md5(path.read_bytes()).hexdigest())
    assert np.array_equal(data.test.pixels, pictures(128, 1)[0])
    with pytest.raises(
        ConfigError, match=r"checksum \w{32}, cifar-100-binary.tar.gz has 03b5dce01913d631647c71ecec9e9cb8"
    ):
        cifar.read(path)


def test_what_is_not_the_data_set_is_refused(folder, tmp_path):
    with pytest.raises(ConfigError, match=r"Download the binary version .* https://www.cs.toronto.edu"):
        cifar.read(tmp_path / "nothing.tar.gz")
    whole = (folder / "train.bin").read_bytes()
    (folder / "train.bin").write_bytes(whole[:-1])
    with pytest.raises(ConfigError, match="no whole number of records"):
        cifar.read(folder)
    (folder / "train.bin").write_bytes(b"")
    with pytest.raises(ConfigError, match="0 bytes"):
        cifar.read(folder)
    (folder / "train.bin").write_bytes(bytes([0, 100]) + whole[2 : cifar.RECORD])
    with pytest.raises(ConfigError, match="a label of 100"):
        cifar.read(folder)
    (folder / "test.bin").unlink()
    with pytest.raises(ConfigError, match=r"has no test.bin"):
        cifar.read(folder)


def as_tensors(count, seed):
    pixels, labels = pictures(count, seed)
    return Pictures(torch.from_numpy(pixels), torch.from_numpy(labels))


def test_augmentation_moves_and_mirrors_and_nothing_else():
    pixels = torch.arange(8 * 8, dtype=torch.uint8).view(1, 8, 8, 1)
    index = torch.zeros(200, dtype=torch.long)
    none = augmented(pixels, index[:3], False, 0, torch.Generator())
    assert torch.equal(none, pixels.expand(3, -1, -1, -1))
    moved = augmented(pixels, index, True, 2, torch.Generator().manual_seed(0))
    inner = moved[:, 3, 3:5, 0].int()  # far enough from the edge that no shift repeats it
    steps = (inner[:, 1] - inner[:, 0]).tolist()
    assert set(steps) == {1, -1}  # neighbours stay neighbours, mirrored or not
    assert 60 < steps.count(-1) < 140
    assert set((inner[:, 0] // 8).tolist()) == {1, 2, 3, 4, 5}  # rows shifted by -2 to 2
    assert len(torch.unique(moved.flatten(1), dim=0)) == 50


def test_resizing_keeps_what_is_seen():
    pixels = torch.randint(0, 256, (2, 32, 32, 3), dtype=torch.uint8)
    assert torch.equal(resized(pixels, 32, 32), pixels.float() / 255)
    larger = resized(pixels, 84, 84)
    assert larger.shape == (2, 84, 84, 3)
    torch.testing.assert_close(larger.mean((1, 2)), pixels.float().mean((1, 2)) / 255, atol=5e-3, rtol=0)
    assert resized(pixels, 24, 24).shape == (2, 24, 24, 3)


@pytest.mark.parametrize("bf16", [False, True], ids=["float32", "bf16"])
def test_classes_that_can_be_told_apart_are_learned(bf16):
    config = PretrainConfig(epochs=4, batch_size=32, learning_rate=3e-3)
    lesson = Classes(as_tensors(512, 0), as_tensors(128, 1), 4, (32, 32), config, seed=0)
    work = Pretraining(SPEC, config, lesson, seed=0, bf16=bf16)
    before = work.accuracy()
    steps = [step.step for _ in range(config.epochs) for step in work.run_epoch()]
    assert steps == list(range(1, work.total_steps + 1))
    assert before < 0.6
    assert work.accuracy() > 0.95


def test_a_loss_that_is_not_finite_ends_it_before_the_weights_change():
    config = PretrainConfig(learning_rate=1e-3)
    lesson = Classes(as_tensors(64, 0), as_tensors(64, 1), 4, (32, 32), config, seed=0)
    work = Pretraining(SPEC, config, lesson, seed=0)
    with torch.no_grad():
        work.head.weight.fill_(float("nan"))
    before = [p.clone() for p in work.encoder.parameters()]
    with pytest.raises(NonFinitePretrainingError, match="lower learning_rate"):
        next(work.run_epoch())
    assert all(torch.equal(a, b) for a, b in zip(before, work.encoder.parameters(), strict=True))


def test_the_verb_trains_writes_and_explains(folder, tmp_path):
    output = call(tmp_path, "pretrain", f"data={folder}", "epochs=6", "out=out", *TINY)
    assert "512 + 128 pictures, a part of the data set" in output
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert results["test_accuracy"] > 0.9
    assert results["accuracy_by_epoch"]["test"][-1] == results["test_accuracy"]
    assert len(results["accuracy_by_epoch"]["test"]) == 6
    assert results["settings"]["size"] == 36
    path = tmp_path / "out" / "encoder.safetensors"
    assert read(path).scalars["test_accuracy"] == results["test_accuracy"]
    tensors = read_encoder(str(path), EncoderSpec("conv", (8, 8, 32), (36, 36, 3)))
    assert not any("head" in name for name in tensors)
    assert "exists already" in call(tmp_path, "pretrain", f"data={folder}", "out=out", *TINY, status=2)
    assert "Download the binary version" in call(tmp_path, "pretrain", "data=nowhere", "out=wrong", *TINY, status=2)
    assert not (tmp_path / "wrong").exists()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (["size=10"], "too small for encoder 'conv'"),
        (["encoder=none", "encoder_sizes=[]"], "encoder=none: one of mlp, conv, resnet"),
        (["epochs=0"], "epochs=0: a whole number, at least 1"),
        (["data=screen", "screen.pool=10", "encoder_sizes=[8,8,4]"], "at least 8 are needed, encoder_sizes ends in 4"),
        (["epochs=many"], "epochs=many: a whole number"),
    ],
)
def test_wrong_settings_end_it_before_anything_is_written(folder, tmp_path, wrong, message):
    with initialize_config_module("prefrontal.conf", version_base="1.3"):
        composed = compose("pretrain", [f"data={folder}", *TINY, *wrong])
    output = RunFolder(tmp_path / "out")
    with pytest.raises(ConfigError, match=message):
        pretrain(verb_settings(PretrainSettings, composed), output)
    assert not output.path.exists()


def test_a_stop_keeps_what_there_is(folder, tmp_path):
    process = start(tmp_path, "pretrain", f"data={folder}", "epochs=1000000", "out=out", *TINY)
    wait_until((tmp_path / "out" / "provenance.json").exists, process)
    time.sleep(2.0)
    process.send_signal(signal.SIGINT)
    assert "stopped after" in ended(process, 130)
    assert read_encoder(str(tmp_path / "out" / "encoder.safetensors"), EncoderSpec("conv", (8, 8, 32), (36, 36, 3)))
    assert json.loads((tmp_path / "out" / "results.json").read_text())["steps"] > 0


def test_views_of_the_screen_show_what_is_told_of_them(tmp_path):
    """Pictures of one colour each: found left and right of the middle, where the gaze says."""
    colors = np.random.default_rng(0).integers(0, 256, size=(10, 3), dtype=np.uint8)
    for number, color in enumerate(colors, start=1):
        Image.new("RGB", (256, 256), tuple(color.tolist())).save(tmp_path / f"{number:04d}.png")
    settings = PsychLabSettings(images=str(tmp_path), pool=0, split="all")
    view = GlimpseSource(settings, 400, torch.device("cpu"), seed=0).draw()
    rows = (view.display == PICTURES) & (view.yaw.abs() < NEAR)
    assert rows.sum() > 100
    assert view.of_pictures[rows].all()
    for side, picture in ((1, view.left), (-1, view.right)):
        degrees = side * 17.2 - view.yaw[rows].numpy()  # of the picture's centre to the left of the gaze
        column = (42 - 42 * np.tan(np.radians(degrees))).round().astype(int)
        seen = view.obs[rows].numpy()[np.arange(int(rows.sum())), 41, column]
        assert np.array_equal(seen, colors[picture[rows].numpy()])
    shares = np.bincount(view.display.numpy(), minlength=3) / 400
    assert shares == pytest.approx([0.1, 0.2, 0.7], abs=0.08)
    assert view.yaw.abs().max() > 20


def test_the_same_moment_from_elsewhere():
    settings = PsychLabSettings(pool=20)
    source = GlimpseSource(settings, 64, torch.device("cpu"), seed=0, wide=0.0)
    view = source.draw()
    obs, yaw = source.look_elsewhere()
    assert view.yaw.abs().max() < NEAR
    assert SEEN > yaw.abs().max() > SEEN / 2
    near = ((yaw - view.yaw).abs() < 0.5).nonzero().squeeze(1)
    assert (obs[near].int() - view.obs[near].int()).abs().float().mean() < 8, "the gaze is all that differs"
    far = (yaw - view.yaw).abs() > 10
    assert (obs[far].int() - view.obs[far].int()).abs().float().mean() > 10


def test_swapped_sides_show_another_moments_right_on_the_left():
    obs = torch.arange(4)[:, None, None, None] * 20 + torch.arange(12)[None, None, :, None]
    made = swapped(obs.expand(4, 2, 12, 3).to(torch.uint8), torch.tensor([1, 0, 3, 2]))
    assert made[2, 0, :, 0].tolist() == [40, 41, 66, 67, 68, 69, 42, 43, 44, 45, 50, 51]
    assert made.shape == (4, 2, 12, 3)


@pytest.mark.parametrize("told", [True, False])
def test_an_encoder_learns_to_know_pictures_it_never_saw(tmp_path, told):
    """On the screen: a held-out picture on the left is nearest to the same one, of ten, on the right; from views alone
    as from the truth about them."""
    tiny = ["encoder_sizes=[8,16,64]", "size=40", "batch_size=64", "learning_rate=0.004", "device=cpu", "threads=1"]
    with initialize_config_module("prefrontal.conf", version_base="1.3"):
        settings = verb_settings(
            PretrainSettings,
            compose("pretrain", ["data=screen", f"screen.told={told}", "screen.pool=50", "epochs=8", *tiny]),
        )
    missing = dataclasses.replace(settings, screen=ScreenSettings(images="none"))
    assert pretrain(settings, RunFolder(tmp_path / "out")) == 0
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert results["data"] == "screen"
    assert (results["train_pictures"], results["test_pictures"]) == (40, 10)
    assert results["train_accuracy"] > (0.4 if told else 0.1)
    assert results["test_accuracy"] > 0.25
    assert results["accuracy_by_epoch"]["test"][0] < results["test_accuracy"]
    assert read_encoder(str(tmp_path / "out" / "encoder.safetensors"), EncoderSpec("conv", (8, 16, 64), (40, 40, 3)))
    with pytest.raises(ConfigError, match="no folder"):
        pretrain(missing, RunFolder(tmp_path / "no"))
