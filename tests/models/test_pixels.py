"""Encoders of pictures: what they compute, how they learn, where their first weights come from, what a film shows."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch
from numerics import IDENTITY, precision, replay_bound, replay_error
from PIL import Image
from prefrontal.actors.evaluation import evaluate
from prefrontal.actors.rollout import RolloutWorker, WorkerSpec
from prefrontal.actors.settings import ActorsConfig
from prefrontal.actors.video import film_episode
from prefrontal.launch.config import LearnerConfig, RunConfig, TrainConfig
from prefrontal.launch.engines.protocol import LearnerReplaced
from prefrontal.launch.engines.serial import SerialEngine
from prefrontal.launch.engines.specs import agent_for
from prefrontal.launch.run.film import PANEL_HEIGHT, POLICY, column_labels, with_thoughts
from prefrontal.learner.algorithm import AlgorithmConfig, OptimizerConfig, ScheduledConfig
from prefrontal.learner.batch import make_batch
from prefrontal.learner.checkpoint import CheckpointFolder
from prefrontal.learner.learner import Learner
from prefrontal.learner.pretrained import EncoderSpec, PretrainedError, read_encoder, write_encoder
from prefrontal.models.agent import Agent, AgentSpec, ModelConfig, Seen
from prefrontal.models.encoders import make_encoder
from prefrontal.models.policy import discrete
from program import call

SHALLOW, DEEP = ("conv", (16, 32, 256)), ("resnet", (16, 32, 32, 256))
SMALL = ModelConfig(encoder="conv", encoder_sizes=(8, 8, 32), hidden_sizes=(16,))
CPU = torch.device("cpu")


def linear(inputs, outputs):
    return (inputs + 1) * outputs


@pytest.mark.parametrize(
    ("encoder", "shape", "parameters"),
    [
        (SHALLOW, (84, 84, 3), linear(8 * 8 * 3, 16) + linear(4 * 4 * 16, 32) + linear(9 * 9 * 32, 256)),
        (
            ("conv", (32, 64, 64, 512)),
            (84, 84, 4),
            linear(8 * 8 * 4, 32) + linear(4 * 4 * 32, 64) + linear(3 * 3 * 64, 64) + linear(7 * 7 * 64, 512),
        ),
        (
            DEEP,
            (84, 84, 3),
            linear(9 * 3, 16) + linear(9 * 16, 32) + linear(9 * 32, 32)  # into each section
            + 4 * (linear(9 * 16, 16) + 2 * linear(9 * 32, 32))  # two blocks of two convolutions a section
            + linear(11 * 11 * 32, 256),
        ),
        (("resnet", (4, 8)), (7, 10, 1), linear(9, 4) + 4 * linear(36, 4) + linear(4 * 5 * 4, 8)),
    ],
    ids=["shallow", "dqn", "deep", "small deep"],
)  # fmt: skip
def test_shapes_and_numbers_of_parameters(encoder, shape, parameters):
    made = make_encoder(encoder[0], shape, encoder[1])
    features = made(torch.randint(0, 256, (3, *shape), dtype=torch.uint8))
    assert features.shape == (3, encoder[1][-1])
    assert made.output_size == encoder[1][-1]
    assert features.dtype == torch.float32
    assert (features >= 0).all()
    assert sum(p.numel() for p in made.parameters()) == parameters


@pytest.mark.parametrize("encoder", [SHALLOW, DEEP], ids=["conv", "resnet"])
def test_bytes_are_the_same_as_fractions_and_axes_are_told_apart(encoder):
    torch.manual_seed(0)
    obs = torch.randint(0, 256, (5, 36, 28, 3), dtype=torch.uint8)
    with precision(torch.float64):
        exact = make_encoder(encoder[0], (36, 28, 3), encoder[1])
        features = exact(obs)
        torch.testing.assert_close(features, exact(obs.double() / 255), atol=IDENTITY, rtol=0)
        assert not torch.allclose(features, exact(obs.flip(1)))
        assert not torch.allclose(features, exact(obs.flip(3)))
    made = exact.float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = made(obs)
    assert rough.dtype == torch.bfloat16
    few_roundings_a_layer = 64 * torch.finfo(torch.bfloat16).eps / 2 * features.abs().max().item()
    torch.testing.assert_close(rough.double(), features, atol=few_roundings_a_layer, rtol=0)


def test_a_residual_section_is_what_the_figure_shows():
    """Against the functional form of one section, written out."""
    made = make_encoder("resnet", (9, 8, 3), (6, 5)).double()
    weights = {name.removeprefix("sections."): p for name, p in made.named_parameters()}
    F = torch.nn.functional

    def conv(x, name):
        return F.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], padding=1)

    obs = torch.rand(2, 9, 8, 3).double()
    x = F.max_pool2d(conv(obs.permute(0, 3, 1, 2), "0"), 3, 2, 1)
    for block in ("2", "3"):
        x = x + conv(conv(x.relu(), f"{block}.first").relu(), f"{block}.second")
    expected = F.linear(x.relu().flatten(1), weights["dense.0.weight"], weights["dense.0.bias"]).relu()
    torch.testing.assert_close(made(obs), expected)


@pytest.mark.parametrize(
    ("encoder", "shape", "message"),
    [
        (SHALLOW, (5,), r"reads pictures, observations \[height, width, channels\]; this task's have shape \[5\]"),
        (DEEP, (84, 84), "choose encoder 'none' or 'mlp'"),
        (
            SHALLOW,
            (84, 19, 3),
            "84 x 19 are too small for encoder 'conv' with 2 layers: both sides must be at least 20",
        ),
        (("conv", (8, 8, 8, 8)), (35, 36, 3), "at least 36"),
        (SHALLOW, (3, 84, 84), r"\[height, width, channels\]"),
        (DEEP, (7, 84, 3), "both sides must be at least 8"),
        (("conv", ()), (84, 84, 3), r"model.encoder_sizes .* such as \[16,32,256\]; got \[\]"),
        (("resnet", (16,)), (84, 84, 3), r"such as \[16,32,32,256\]; got \[16\]"),
        (("conv", (16, 0, 256)), (84, 84, 3), "model.encoder_sizes"),
        (("conv", (8, 8, 8, 8, 8)), (84, 84, 3), "at most 3 layers"),
    ],
)
def test_what_an_encoder_cannot_read_is_refused(encoder, shape, message):
    with pytest.raises(ValueError, match=message):
        make_encoder(encoder[0], shape, encoder[1])


@pytest.mark.parametrize(("height", "fits"), [(20, True), (36, True)])
def test_the_smallest_pictures_named_are_read(height, fits):
    sizes = (4, 4, 8) if height == 20 else (4, 4, 4, 8)
    assert make_encoder("conv", (height, height, 3), sizes)(torch.zeros(1, height, height, 3)).shape == (1, 8)


def config_for(model, algo=None, **changes):
    return TrainConfig(
        task={"name": "pictures:TASK"},
        cluster="none",
        run=RunConfig(env_steps=10_000),
        learner=changes.pop("learner", LearnerConfig(device="cpu")),
        model=model,
        algo=AlgorithmConfig(
            unroll_length=20,
            batch_unrolls=1,
            discount=0.0,
            value_weight=0.5,
            learning_rate=ScheduledConfig(5e-3),
            entropy_weight=ScheduledConfig(0.01),
            optimizer=OptimizerConfig(name="adam"),
        ),
        actors=ActorsConfig(num=1, envs=16, **changes),
    )


def worker_for(model=SMALL, **changes):
    fields = {"task_options": {}, "num_envs": 4, "unroll_length": 12, "seed": 0, "actor_id": 0} | changes
    return RolloutWorker(WorkerSpec(task="pictures:TASK", model=model, **fields))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
@pytest.mark.parametrize(
    "model",
    [
        SMALL,
        dataclasses.replace(SMALL, encoder="resnet"),
        dataclasses.replace(SMALL, core="stacked_lstm", hidden_sizes=(16, 8)),
        dataclasses.replace(SMALL, core="ep_lstm"),
    ],
    ids=["conv", "resnet", "stacked", "ep_lstm"],
)
def test_pictures_stay_bytes_and_replay_gives_what_was_played(model, dtype):
    with precision(dtype):
        torch.manual_seed(0)
        worker = worker_for(model)
        with torch.no_grad():
            for parameter in worker.agent.parameters():
                parameter.add_(0.05 * torch.randn_like(parameter))
        for _ in range(2):
            played = worker.unroll().trajectory
            assert played.obs.dtype == np.uint8
            batch = make_batch([played, played], [], CPU)
            assert batch.obs.dtype == torch.uint8
            assert replay_error(worker.agent, batch) <= replay_bound(worker.agent, batch)
            assert batch.first[1:].any()


@pytest.mark.parametrize("bf16", [False, True], ids=["float32", "bf16"])
def test_an_encoder_learns_to_see(tmp_path, bf16):
    """Through the real learner: from chance to nearly always right in seconds."""
    config = config_for(SMALL, learner=LearnerConfig(device="cpu", bf16=bf16))
    engine = SerialEngine(config, tmp_path, None)
    for _ in range(100):
        engine.step()
    worker = worker_for(num_envs=16)
    before = evaluate(worker, 64, 0.0).trials()["reward"].mean()
    worker.load(*engine.parameters())
    after = evaluate(worker, 64, 0.0).trials()["reward"].mean()
    assert before < 0.65
    assert after > 0.95


def state_of(engine):
    folder = CheckpointFolder(engine._folder / "checkpoints")
    folder.save(engine.checkpoint({"episodes": 0}))
    checkpoint, path, _ = folder.newest()
    return {k: v for k, v in checkpoint.tensors.items() if k.startswith("agent.")}, path


@pytest.mark.parametrize("frozen", [True, False], ids=["frozen", "fine-tuned"])
def test_a_copied_encoder_stays_or_moves(tmp_path, frozen):
    """From a run's folder into another run: its first weights are those of the old run; frozen ones never change."""
    old = SerialEngine(config_for(SMALL), tmp_path / "old", None)
    for _ in range(3):
        old.step()
    trained, _ = state_of(old)
    model = dataclasses.replace(
        SMALL, core="gru", hidden_sizes=(8,), encoder_from=str(tmp_path / "old"), encoder_frozen=frozen
    )
    config = dataclasses.replace(config_for(model), seed=5)
    encoder = read_encoder(model.encoder_from, EncoderSpec.of(agent_for(config)))
    weights = {f"encoder.{name}": tensor for name, tensor in encoder.items()}
    engine = SerialEngine(config, tmp_path / "new", None, weights)
    first, _ = state_of(engine)
    for _ in range(3):
        engine.step()
    after, _ = state_of(engine)
    names = [name for name in first if name.startswith("agent.encoder.")]
    assert len(names) == 6
    assert all(torch.equal(first[name], trained[name]) for name in names)
    assert all(torch.equal(first[name], after[name]) == frozen for name in names)
    assert not torch.equal(first["agent.policy.weight"], after["agent.policy.weight"])
    # A resumed run has the encoder of its checkpoint, not of where the run began.
    newest, _, _ = CheckpointFolder(tmp_path / "new" / "checkpoints").newest()
    resumed = SerialEngine(config, tmp_path / "new", newest)
    assert np.array_equal(resumed.parameters()[1], engine.parameters()[1])
    assert resumed.step().metrics["loss/total"] == pytest.approx(engine.step().metrics["loss/total"], abs=1)


def test_a_frozen_encoder_costs_no_backward_pass():
    spec = AgentSpec((20, 20, 3), discrete(2), dataclasses.replace(SMALL, encoder_frozen=True))
    learner = Learner(spec, AlgorithmConfig(), 1000, 0, "cpu")
    features = learner.agent.encoder(torch.zeros(2, 20, 20, 3, dtype=torch.uint8))
    assert not features.requires_grad
    encoder = sum(p.numel() for p in learner.agent.encoder.parameters())
    everything = sum(p.numel() for p in learner.agent.parameters())
    assert learner.agent.parameter_count() == everything - encoder - learner.agent.core.layer.initial.numel()
    assert len(learner.parameters_vector()) == everything  # actors get all of it
    with pytest.raises(ValueError, match="encoder 'none' has no weights to load or to freeze"):
        Agent(AgentSpec((3,), discrete(2), ModelConfig(encoder_frozen=True)))


FROZEN = dataclasses.replace(SMALL, encoder_frozen=True, layer_norm=True)


@pytest.mark.parametrize("cut", [False, True])
def test_codes_of_a_frozen_encoder_take_the_place_of_what_was_seen(cut):
    """The same episodes are played, and the learner makes the same of them: from less than a tenth of the bytes."""
    played, losses = {}, {}
    for codes in (False, True):
        worker = worker_for(FROZEN, codes=codes, task_options={"cut": cut})
        learner = Learner(worker.agent.spec, AlgorithmConfig(), 1000, 0, "cpu")
        worker.load(*learner.published())
        worker.unroll()
        played[codes] = worker.unroll().trajectory
        losses[codes] = learner.update(learner.stage([played[codes]]))
    seen, coded = played[False], played[True]
    assert seen.obs.dtype == np.uint8
    assert coded.obs.shape == (13, 4, FROZEN.encoder_sizes[-1])
    for name in ("action", "reward", "first", "prev_action", "behaviour_logp"):
        assert np.array_equal(getattr(seen, name), getattr(coded, name)), name
    assert (seen.last is None) != cut
    encoder = worker.agent.encoder
    pairs = [(seen, coded)] + ([(seen.last, coded.last)] if cut else [])
    for whole, short in pairs:
        made = encoder(torch.from_numpy(whole.obs).flatten(0, -4)).unflatten(0, whole.obs.shape[:-3])
        torch.testing.assert_close(torch.from_numpy(short.obs), made)
    for name, number in losses[False].items():
        if name.startswith("loss/"):
            assert losses[True][name] == pytest.approx(number, rel=1e-4, abs=1e-5), name


def test_a_worker_that_gives_codes_goes_on_where_it_was():
    worker, other = (worker_for(FROZEN, codes=True) for _ in range(2))
    version, vector, steps = Learner(worker.agent.spec, AlgorithmConfig(), 1000, 5, "cpu").published()
    worker.load(version, vector, steps)
    worker.unroll()
    other.restore(*worker.state())
    other.load(version, vector, steps)
    expected, again = worker.unroll().trajectory, other.unroll().trajectory
    assert np.array_equal(again.obs, expected.obs)
    assert np.array_equal(again.action, expected.action)


def test_only_a_frozen_encoder_whose_codes_are_told_from_observations_gives_any():
    assert worker_for(SMALL, codes=True).unroll().trajectory.obs.dtype == np.uint8
    for width, given in ((3, False), (4, True)):
        model = ModelConfig(encoder="mlp", encoder_sizes=(width,), encoder_frozen=True)
        assert Agent(AgentSpec((3,), discrete(2), model)).gives_codes == given


def test_encoders_that_do_not_fit_say_what_differs(tmp_path):
    spec = EncoderSpec("conv", (4, 4, 8), (20, 20, 3))
    path = tmp_path / "encoder.safetensors"
    write_encoder(path, make_encoder(spec.name, spec.obs_shape, spec.sizes), spec, {"test_accuracy": 0.5})
    assert set(read_encoder(str(path), spec)) == set(make_encoder(spec.name, spec.obs_shape, spec.sizes).state_dict())
    for wanted, message in (
        (EncoderSpec("resnet", (4, 4, 8), (20, 20, 3)), "model.encoder: conv -> resnet"),
        (EncoderSpec("conv", (4, 4, 9), (20, 20, 3)), r"model.encoder_sizes: \(4, 4, 8\) -> \(4, 4, 9\)"),
        (EncoderSpec("conv", (4, 4, 8), (24, 20, 3)), r"observation: \(20, 20, 3\) -> \(24, 20, 3\)"),
    ):
        with pytest.raises(PretrainedError, match=message):
            read_encoder(str(path), wanted)
    with pytest.raises(PretrainedError, match="there is no such file or folder"):
        read_encoder(str(tmp_path / "nowhere"), spec)
    with pytest.raises(PretrainedError, match="a folder without checkpoints"):
        read_encoder(str(tmp_path), spec)


def test_ray_learners_start_from_the_encoder_and_so_do_those_in_their_place(ray_session, tmp_path):
    from prefrontal.launch.engines.distributed import RayEngine

    torch.manual_seed(7)
    spec = EncoderSpec("conv", SMALL.encoder_sizes, (20, 20, 3))
    given = make_encoder(spec.name, spec.obs_shape, spec.sizes)
    weights = {f"encoder.{name}": tensor for name, tensor in given.state_dict().items()}
    agent = Agent(AgentSpec((20, 20, 3), discrete(2), SMALL))
    engine = RayEngine(config_for(SMALL), tmp_path, None, lambda: False, weights=weights)

    def encoder_of(vector):
        from prefrontal.models.flat import load_vector, to_vector

        load_vector(vector, agent.parameters())
        return to_vector(agent.encoder.parameters()), to_vector(given.parameters())

    try:
        assert np.array_equal(*encoder_of(engine.parameters()[1]))
        engine.step()
        ray_session.kill(engine._learner._handle)
        with pytest.raises(LearnerReplaced) as replaced:
            for _ in range(20):
                engine.step()
        assert replaced.value.checkpoint is None
        assert np.array_equal(*encoder_of(engine.parameters()[1]))
    finally:
        engine.close()


def test_the_film_of_a_task_in_pictures_shows_what_the_agent_saw_and_thought():
    worker = worker_for(num_envs=1, unroll_length=1)
    film = film_episode(worker)
    rounding = 8 * float(np.finfo(np.float32).eps)
    assert film.frames.shape == (5, 20, 20, 3)  # the observations, not what the task renders
    assert film.trial.tolist() == [0, 1, 2, 3, 4]
    assert film.prev_action[0] == -1
    np.testing.assert_allclose(film.policy.sum(1), 1, rtol=rounding)
    seen_right = film.frames[:, 10, 15, 0] == 250
    np.testing.assert_allclose(film.gaze[:, 0], np.where(seen_right, 0.75, 0.2))
    # Value and policy are those of the whole episode replayed.
    torch.manual_seed(0)
    state = worker.agent.initial_state(1)
    with torch.inference_mode():
        for i in range(5):
            seen = Seen(
                torch.from_numpy(film.frames[i : i + 1]),
                torch.tensor([film.prev_action[i]]),
                torch.tensor([film.prev_reward[i]]),
                torch.tensor([i == 0]),
            )
            output, state = worker.agent.act(seen, state)
            assert film.value[i] == pytest.approx(worker.agent.value(output).item(), abs=rounding)
    pages = with_thoughts(dataclasses.replace(film, gaze=None), ("left", "right"))
    scale = 13
    assert pages.shape == (5, 20 * scale + PANEL_HEIGHT, 20 * scale, 3)
    assert np.array_equal(pages[2, : 20 * scale : scale, ::scale], film.frames[2])
    # A surer policy has a higher bar.
    sure = dataclasses.replace(film, policy=np.tile(np.float32([1.0, 0.0]), (5, 1)), gaze=None)
    left = (with_thoughts(sure, ("left", "right"))[0, 20 * scale :] == POLICY).all(-1)
    assert left[:, : 10 * scale].sum() > 1.5 * (pages[0, 20 * scale :] == POLICY).all(-1)[:, : 10 * scale].sum()
    with_gaze = with_thoughts(film, ("left", "right"))
    assert not np.array_equal(with_gaze[2, : 20 * scale], pages[2, : 20 * scale])


def test_columns_are_named_as_far_as_there_is_room():
    glances = ("left", "right", "nothing", "glance left", "glance right")
    assert column_labels(glances, 7.1) == [["left"], ["right"], ["nothing"], ["glance", "left"], ["glance", "right"]]
    assert column_labels(("left", "right"), 3.0) == [["lef"], ["rig"]]
    assert column_labels(("look left", "look left, forward", "fire"), 3.9) == [["1"], ["2"], ["3"]], "not loo, loo"
    many = column_labels([f"action {i}" for i in range(48)], 0.74)
    assert [label for label in many if label] == [[str(i)] for i in range(5, 46, 5)]


def test_the_film_of_a_light_task_shows_its_rendering():
    spec = WorkerSpec("bandit", {}, ModelConfig(), num_envs=1, unroll_length=1, seed=0, actor_id=0)
    film = film_episode(RolloutWorker(spec), most=3)
    worker = RolloutWorker(spec)
    worker.env.render_mode = "rgb_array"
    assert np.array_equal(film.frames[0], worker.env.render())
    height, width = film.frames.shape[1:3]
    assert with_thoughts(film, ("left", "right")).shape == (3, height + PANEL_HEIGHT, width, 3)


PROGRAM_TASK = """# @package _global_
task:
  name: 'pictures:TASK'
model:
  encoder_sizes: [8, 8, 32]
  hidden_sizes: [16]
"""


def test_the_program_trains_in_pixels_and_copies_an_encoder(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    conf = tmp_path / "conf" / "task"
    conf.mkdir(parents=True)
    (conf / "pictures.yaml").write_text(PROGRAM_TASK)
    command = ["train", f"--config-dir={conf.parent}", "task=pictures", "model=conv_lstm", "cluster=none"]
    small = ["actors.envs=8", "algo.unroll_length=20", "run.env_steps=2000", "run.log_points=2", "evaluate.episodes=8"]
    call(tmp_path, *command, *small, "run.folder=one")
    results = json.loads((tmp_path / "one" / "results.json").read_text())
    assert 0 <= results["reward_per_trial"] <= 1
    with Image.open(tmp_path / "one" / "figures" / "episode.gif") as film:
        assert film.n_frames == 5
        assert film.size == (260, 260 + PANEL_HEIGHT)
    events = EventAccumulator(str(tmp_path / "one"), size_guidance={"images": 0}).Reload()
    (image,) = events.Images("figures/final_episode")
    assert image.encoded_image_string == (tmp_path / "one" / "figures" / "episode.gif").read_bytes()
    copied = ["model.encoder_from=one", "model.encoder_frozen=true"]
    assert "encoder      one (frozen)" in call(tmp_path, *command, *small, *copied, "run.folder=two")
    old, new = (CheckpointFolder(tmp_path / run / "checkpoints").newest()[0].tensors for run in ("one", "two"))
    assert torch.equal(old["agent.encoder.dense.0.weight"], new["agent.encoder.dense.0.weight"])
    assert not torch.equal(old["agent.policy.weight"], new["agent.policy.weight"])
    output = call(tmp_path, "train", "resume=two", "run.env_steps=3000")
    assert "going on from" in output
    assert "(frozen)" not in output
    wrong = ["model.encoder_from=one", "model.encoder_sizes=[8,8,16]", "run.folder=three"]
    assert "model.encoder_sizes: (8, 8, 32) -> (8, 8, 16)" in call(tmp_path, *command, *small, *wrong, status=2)
    assert not (tmp_path / "three").exists()
