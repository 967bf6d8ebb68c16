"""PsychLab's Harlow task on our own screen: the rules against a slow reference, closed forms, pictures, the view.

Recordings of DeepMind Lab are checked against where the folder `PREFRONTAL_PSYCHLAB_RECORDINGS` holds them.
"""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from prefrontal.envs import registry
from prefrontal.envs.dmlab.actions import ACTION_SETS, action_table
from prefrontal.envs.psychlab.actions import actions_of
from prefrontal.envs.psychlab.analysis import analyse, references, summarise
from prefrontal.envs.psychlab.baselines import BASELINES
from prefrontal.envs.psychlab.env import ScreenEnv
from prefrontal.envs.psychlab.families import FAMILIES, HELD_OUT
from prefrontal.envs.psychlab.geometry import REACH, RISE, Gaze, hits_of
from prefrontal.envs.psychlab.images import Pictures, draw, write_folder
from prefrontal.envs.psychlab.machine import PICTURES, Machine
from prefrontal.envs.psychlab.options import PsychLabSettings
from prefrontal.envs.psychlab.palette import Palette
from prefrontal.envs.psychlab.surroundings import Theme
from prefrontal.envs.psychlab.view import View
from prefrontal.envs.trials import simulate

CPU = torch.device("cpu")
NATIVE = (1.0, 5.0, -5.0)
SMALL = {"size": 32}
RECORDINGS = Path(os.environ.get("PREFRONTAL_PSYCHLAB_RECORDINGS", "none"))
PAIRS = {1: (474, 745), 2: (853, 588), 3: (404, 945), 4: (932, 525), 5: (231, 870), 6: (915, 821), 7: (771, 169)}
"""Rewarded and other picture of the recordings, by seed."""


def one_episode(sides, start=90.0, max_frames=18_000):
    machine = Machine(1, len(sides), max_frames, NATIVE, CPU)
    machine.begin(torch.tensor([True]), torch.tensor([start]), torch.tensor([sides]))
    return machine


def degrees(gaze):
    return math.degrees(float(gaze.yaw[0])), math.degrees(float(gaze.pitch[0]))


class Slow:
    """One episode, frame by frame, as the level's script has it: widgets that count frames, timers, lagging points."""

    def __init__(self, sides, start):
        self.sides, self.start = sides, round(start * 65536 / 360)
        self.right = self.down = self.frame = self.trial = 0
        self.shown, self.timer, self.due = "blank", 1, 0
        self.count = {"cross": 0, "left": 0, "right": 0}
        self.over = False

    def looked_at(self):
        """Shares of the screen from its centre, right and up: the ray from a cut point 14 ahead of the eye."""
        shorts = 0.1056 * 65536 / 360
        yaw = math.radians((self.start - round(self.right * shorts)) * 360 / 65536)
        pitch = math.radians(round(self.down * shorts) * 360 / 65536)
        x, y, z = math.cos(pitch) * math.cos(yaw), math.cos(pitch) * math.sin(yaw), -math.sin(pitch)
        if y < 1e-6:
            return 9.0, 9.0
        from_x, from_y, from_z = (math.trunc(c) for c in (14 * x, -32 + 14 * y, 122 + 14 * z))
        reach = (58 - from_y) / y
        return (from_x + reach * x) / 114, (from_z + reach * z - 123) / 114

    def frame_step(self, look):
        points, self.due = self.due, 0
        if self.timer:
            self.timer -= 1
            if not self.timer:
                self.shown = "cross"
        u, v = self.looked_at()
        hits = {"cross": abs(u) <= 0.025 and abs(v) <= 0.025} | {
            name: abs(u - middle) <= 0.1 and abs(v) <= 0.1 for name, middle in (("left", -0.25), ("right", 0.25))
        }
        active = {"cross": ["cross"], "pictures": ["left", "right"], "blank": []}[self.shown]
        for name in self.count:
            self.count[name] = self.count[name] + 1 if name in active and hits[name] else 0
        done = [name for name in active if self.count[name] == 4]
        if done == ["cross"]:
            self.shown, self.due = "pictures", 1
        elif done:
            right = (done == ["right"]) == self.sides[self.trial]
            self.shown, self.timer, self.due = "blank", 5, 5 if right else -5
            self.trial += 1
            if self.trial == len(self.sides):
                points, self.due, self.over = points + self.due, 0, True
        if done:
            self.count = dict.fromkeys(self.count, 0)
        self.right += look[0]
        self.down = max(-832, min(832, self.down + look[1]))
        self.frame += 1
        return points


@pytest.mark.parametrize("frames", [1, 3, 4, 14])
def test_the_batch_plays_like_a_slow_single_episode(frames):
    """Gazes that wander between cross and pictures: same points, displays and ends, frame for frame."""
    rng = np.random.default_rng(frames)
    batch, trials = 24, 4
    sides = rng.permuted(np.tile([True, False], (batch, trials // 2)), axis=1)
    starts = rng.uniform(85, 95, size=batch)
    machine = Machine(batch, trials, 600, NATIVE, CPU)
    machine.begin(torch.ones(batch, dtype=torch.bool), torch.from_numpy(starts), torch.from_numpy(sides))
    slow = [Slow(list(row), float(start)) for row, start in zip(sides, starts, strict=True)]
    ended = np.zeros(batch, dtype=bool)
    responses = 0
    for _ in range(600 // frames):
        yaw = np.degrees(machine.gaze().yaw.numpy())
        pitch = np.degrees(machine.gaze().pitch.numpy())
        goal = 90 + rng.choice([0, 0, -17.2, 17.2], size=batch)
        move = rng.random(batch) < 0.5
        look = np.column_stack([(yaw - goal) * move, -pitch * move]) / 0.1056 / frames
        look = np.where(rng.random((batch, 2)) < 0.02, 60, look).round().astype(np.int32)
        played = machine.step(torch.from_numpy(look)[None], frames)
        for row, reference in enumerate(slow):
            if ended[row]:
                continue
            points = 0
            for _ in range(frames):
                if not reference.over:
                    points += reference.frame_step(look[row].tolist())
            assert points == float(played.reward[row])
            assert reference.over == bool(played.terminated[row])
            ended[row] = reference.over
            if not reference.over:
                assert ("blank", "cross", "pictures")[int(machine.state.display[row])] == reference.shown
                assert int(machine.state.frame[row]) == reference.frame
            responses += abs(points) >= 4
    assert responses > 20
    assert ended.any()


@pytest.mark.parametrize(("patient", "repeat", "expected"), [(True, 1, 94), (False, 1, 88), (True, 4, 35)])
def test_best_play(patient, repeat, expected):
    """36 points: 16 frames a trial for who waits for the cross's point, 15 for who does not; with four frames a step
    (the first of which is lost, and turns of a whole step) 35 steps."""
    machine = one_episode([True, False, True, False, True, False], start=95.0)
    points, frames, ended, reward = 0.0, 0, False, 0.0  # frames: steps, where one is longer
    while not ended:
        yaw, pitch = degrees(machine.gaze())
        shown, trial = int(machine.state.display[0]), int(machine.state.trial[0])
        side = 1 if machine.state.rewarded_right[0, min(trial, 5)] else -1
        goal = (yaw, 90.0, 90 - 17.2 * side)[shown]
        if frames < (3 if repeat == 1 else 1):
            goal = 110.0 if repeat == 1 else yaw  # as late as the recorded players
        elif shown == 2 and patient and not reward:
            goal = yaw
        units = (yaw - goal) / 0.1056 / repeat, -pitch / 0.1056 / repeat
        played = machine.step(torch.tensor([[[round(value) for value in units]]], dtype=torch.int32), repeat)
        reward, frames, ended = float(played.reward[0]), frames + 1, bool(played.terminated[0])
        points += reward
    assert points == 36
    assert frames == expected


def test_lags_between_gaze_display_and_reward():
    machine = one_episode([True, False])
    still = torch.zeros(1, 1, 2, dtype=torch.int32)
    log = []
    for frame in range(24):
        reach = torch.tensor([[[163 if frame == 6 else 0, 0]]], dtype=torch.int32)
        reward = float(machine.step(reach if frame == 6 else still, 1).reward[0])
        log.append((int(machine.state.display[0]), reward))
    displays, rewards = ([entry[i] for entry in log] for i in (0, 1))
    assert displays[:3] == [1, 1, 1], "the cross is there from frame 1 on"
    assert displays.index(2) + 1 == 4, "looked at from frame 0, the pictures are there in frame 4"
    assert rewards.index(1.0) == 4
    landed = 7
    assert displays.index(0, 4) + 1 == landed + 4
    assert rewards.index(5.0) == landed + 4
    assert displays[landed + 3 : landed + 8] == [0] * 5
    assert displays[landed + 8] == 1


def test_the_gaze_turns_by_units_and_pitch_stops():
    machine = one_episode([True, False], start=70.0)
    machine.step(torch.tensor([[[-100, 512]]], dtype=torch.int32), 4)
    yaw, pitch = degrees(machine.gaze())
    assert yaw == pytest.approx(70 + 400 * 0.1056, abs=0.01)
    assert pitch == pytest.approx(87.9, abs=0.05)
    machine.step(torch.tensor([[[0, -512]]], dtype=torch.int32), 4)
    assert degrees(machine.gaze())[1] == pytest.approx(-87.9, abs=0.05)


def test_hit_areas_are_the_games():
    """Two degrees to either side of the cross, a picture's central half, nothing from behind."""
    turns = np.arange(-180, 180, 0.05)
    yaw = torch.from_numpy(np.radians(90 - turns))
    hits = hits_of(Gaze(torch.zeros_like(yaw), yaw))
    cross, left, right = (turns[hit.numpy()] for hit in hits)
    assert (cross.min(), cross.max()) == pytest.approx((-2.15, 2.15), abs=0.1)
    assert (right.min(), right.max()) == pytest.approx((11.2, 24.5), abs=1.0)
    assert left.min() == pytest.approx(-right.max(), abs=0.1)


def test_random_sides_are_independent_of_each_other():
    env = ScreenEnv(PsychLabSettings(**SMALL, sides="random"), 1000)
    env.reset(seed=0)
    sides = env.state()[0]["screen.core.rewarded_right"].astype(float)
    assert sides.mean(0) == pytest.approx(np.full(6, 0.5), abs=0.06)
    assert np.corrcoef(sides.T)[~np.eye(6, dtype=bool)] == pytest.approx(np.zeros(30), abs=0.12)


@pytest.mark.parametrize("task", ["psychlab_harlow", "psychlab_ids"])
@pytest.mark.parametrize("switch", [0.0, 0.3, 1.0])
def test_the_side_changes_as_often_as_asked_for(task, switch):
    options = SMALL if task == "psychlab_harlow" else {}
    env = registry.make_vector(task, 1000, sides="random", switch=switch, **options)
    env.reset(seed=0)
    state = env.state()[0]
    sides = state["screen.core.rewarded_right"] if task == "psychlab_harlow" else env._sides
    assert sides[:, 0].mean() == pytest.approx(0.5, abs=0.06)
    assert (sides[:, 1:] != sides[:, :-1]).mean(0) == pytest.approx(np.full(5, switch), abs=0.06)


@pytest.mark.parametrize("name", ["ideal", "oracle", "guess"])
def test_scripted_players_reach_what_they_must(name):
    settings = PsychLabSettings(**SMALL)
    env = ScreenEnv(settings, 64)
    trials, returns = simulate(env, BASELINES[name](env), 256, seed=2)
    measures = summarise(trials, settings)
    expected = {"ideal": 31, "oracle": 36, "guess": 6}[name]
    assert returns.mean() == pytest.approx(expected, abs=0 if name == "oracle" else 3)
    assert measures["accuracy_after_first"] == (pytest.approx(0.5, abs=0.06) if name == "guess" else 1.0)
    if name != "guess":
        steps = np.bincount(trials["episode"], trials["steps"])
        assert 27 <= steps.min() <= steps.max() <= 40, "five or six steps of four frames a trial"
        assert trials["rewarded_right"].mean() == 0.5
    assert (trials["correct"] == (trials["chose_right"] == trials["rewarded_right"])).all()
    assert analyse(trials, settings)["reaction_frames"]["median"] <= 12
    assert references(settings)[0].values["return"] == 31


def test_random_gaze_rarely_ends_an_episode():
    """Yaw of -20, 0 or 20 units for four frames: thousands of frames, and returns near 0."""
    settings = PsychLabSettings(**SMALL, actions="turn", turn=20, split="all", pool=2)
    machine = Machine(16, 6, 18_000, NATIVE, CPU)
    rng = np.random.default_rng(0)
    sides = torch.from_numpy(rng.permuted(np.tile([True, False], (16, 3)), axis=1))
    machine.begin(torch.ones(16, dtype=torch.bool), torch.from_numpy(rng.uniform(*settings.start_yaw, size=16)), sides)
    total, ended_at = torch.zeros(16), torch.full((16,), 4500)
    for step in range(4500):
        look = np.column_stack([rng.choice([-20, 0, 20], size=16), np.zeros(16)]).astype(np.int32)
        played = machine.step(torch.from_numpy(look)[None], 4)
        running = ended_at > step
        total += torch.where(running, played.reward, 0.0)
        over = running & (played.terminated | played.truncated)
        ended_at[over] = step
        if (ended_at <= step).all():
            break
    assert ended_at.float().mean() > 1000
    assert -15 < total.mean() < 20
    assert total.max() <= 36


def test_rewards_follow_the_settings():
    options = {"reward_fixation": 0.2, "reward_correct": 1.0, "reward_wrong": 0.0, "trials": 10}
    env = ScreenEnv(PsychLabSettings(**SMALL, **options), 8)
    trials, returns = simulate(env, BASELINES["oracle"](env), 8, seed=0)
    assert returns == pytest.approx(12.0)
    assert np.bincount(trials["episode"]).tolist() == [10] * 8
    assert trials["reward"] == pytest.approx(1.2)


def test_an_episode_is_cut_after_its_frames():
    env = ScreenEnv(PsychLabSettings(**SMALL, max_frames=50, actions="turn"), 3)
    env.reset(seed=0)
    lengths = []
    for step in range(13):
        *_, terminated, truncated, info = env.step(np.full(3, 2))
        assert not terminated.any()
        lengths += [step + 1] * int(truncated.sum())
    assert lengths == [13] * 3
    assert info["final_obs"].shape == (3, 32, 32, 3)


def test_pictures_are_named_by_number_and_split(tmp_path):
    assert np.array_equal(draw(7), draw(7))
    assert len({draw(number).tobytes() for number in range(1, 201)}) == 200
    train, test, everything = (Pictures("", 50, split).numbers for split in ("train", "test", "all"))
    assert set(train) | set(test) == set(everything)
    assert not set(train) & set(test)
    assert (len(train), len(test)) == (40, 10)
    write_folder(tmp_path, range(3, 13))
    folder = Pictures(str(tmp_path), 0, "all")
    assert folder.numbers.tolist() == list(range(1, 11))
    assert np.array_equal(folder.shown(1), Pictures("", 9, "all").shown(3))
    assert Image.open(tmp_path / "0001.png").size == (256, 256)
    for bad in ({"folder": str(tmp_path / "none"), "pool": 0}, {"folder": "", "pool": 0}, {"folder": "", "pool": 5}):
        with pytest.raises(ValueError, match="psychlab"):
            Pictures(**bad, split="test")


@pytest.mark.parametrize("family", FAMILIES)
def test_pictures_of_a_family(family):
    """Each from its number alone, all different, and none of one colour."""
    drawn = [draw(number, [family]) for number in range(1, 25)]
    assert all(picture.shape == (256, 256, 3) and picture.dtype == np.uint8 for picture in drawn)
    assert np.array_equal(drawn[4], draw(5, [family]))
    assert len({picture.tobytes() for picture in drawn}) == 24
    assert min(picture.std((0, 1)).max() for picture in drawn) > 2


def test_the_default_pictures_are_of_all_families_but_those_held_out(tmp_path):
    alone = {family: [draw(number, [family]) for number in range(1, 31)] for family in FAMILIES}
    found = [
        [family for family, drawn in alone.items() if np.array_equal(draw(number), drawn[number - 1])]
        for number in range(1, 31)
    ]
    assert all(len(of) == 1 for of in found)
    assert {family for (family,) in found} == set(FAMILIES) - set(HELD_OUT)
    write_folder(tmp_path, [7], ["rings"])
    assert np.array_equal(np.asarray(Image.open(tmp_path / "0001.png")), alone["rings"][6])
    settings = PsychLabSettings(**SMALL, families=("mosaics",), pool=9, split="all")
    assert np.array_equal(
        Pictures("", 9, "all", settings.families).shown(3), Pictures("", 9, "all", ["mosaics"]).shown(3)
    )
    with pytest.raises(ValueError, match="families"):
        PsychLabSettings(families=())


def test_episodes_draw_different_pictures_of_their_split():
    env = ScreenEnv(PsychLabSettings(**SMALL, pool=60, split="test", max_frames=8), 40)
    env.reset(seed=1)
    seen = set()
    for _ in range(6):
        *_, info = env.step(np.zeros(40, dtype=int))
        assert (info["rewarded_image"] != info["other_image"]).all()
        seen |= set(info["rewarded_image"].tolist())
    assert seen <= set(range(5, 61, 5))
    assert len(seen) > 6


def view_with(size, *pictures):
    """A view of the usual room, and a palette with pictures (grey ones if none are given)."""
    palette = Palette([Theme()], 2, CPU)
    palette.set_pictures(0, pictures or [np.full((204, 204, 3), 128, dtype=np.uint8)] * 2)
    return View(size, palette, 6)


PAIR = torch.tensor([[0, 1]])


def straight(view, display, right=False, yaw=90.0, batch=1):
    """The view of gazes at the height of the screen's centre."""
    gaze = Gaze(torch.full((batch,), -math.atan(RISE)).double(), torch.full((batch,), math.radians(yaw)).double())
    number = torch.zeros(batch, dtype=torch.long)
    state = (torch.full((batch,), shown, dtype=torch.int32) for shown in (display, 100, 0))
    shown, frame, score = state
    side = torch.full((batch,), right)
    return view.draw(PAIR.repeat(batch, 1), gaze, shown, side, number, frame, score)[0].numpy()


def test_sizes_and_places_in_the_view():
    """At 84 pixels: the cross 5-6 across, pictures of 20 in columns 19-38 and 45-64, rows 32-51; they change sides."""
    good, bad = (np.full((204, 204, 3), color, dtype=np.uint8) for color in ((0, 250, 0), (250, 0, 250)))
    for size, columns, rows in ((84, (19, 39, 45, 65), (32, 52)), (136, (30, 64, 72, 106), (51, 84))):
        view = view_with(size, good, bad)
        red = np.argwhere((straight(view, 1) == [255, 0, 0]).all(-1))
        assert np.ptp(red, axis=0) + 1 == pytest.approx(51 / 512 * REACH * size, abs=1)
        assert red.mean(0) == pytest.approx(size / 2 - 0.5, abs=1)
        for right in (False, True):
            pixels = straight(view, 2, right)
            for color, place in (((0, 250, 0), right), ((250, 0, 250), not right)):
                found = np.argwhere((pixels == color).all(-1))
                left, end = columns[2 * place : 2 * place + 2]
                assert (*found.min(0), *(found.max(0) + 1)) == pytest.approx((rows[0], left, rows[1], end), abs=1)


def test_views_of_every_direction_are_continuous():
    """Small turns change the view little, also where the map of the surroundings is folded."""
    view = view_with(40)
    zero, rows = torch.zeros(2, dtype=torch.int32), torch.zeros(2, dtype=torch.long)
    for yaw in range(0, 360, 20):
        for pitch in (-80, -40, 0, 40, 80):
            gaze = Gaze(
                torch.tensor([pitch, pitch]).deg2rad().double(), torch.tensor([yaw, yaw + 0.3]).deg2rad().double()
            )
            pixels = view.draw(PAIR.repeat(2, 1), gaze, zero, zero.bool(), rows, zero + 100, zero).float()
            assert (pixels[0] - pixels[1]).abs().mean() < 12, (yaw, pitch)


def test_rooms_differ_and_hardly_touch_the_screen():
    options = PsychLabSettings(size=64, randomise=3, pool=20)
    env = ScreenEnv(options, 12)
    obs, _ = env.reset(seed=4)
    plain, _ = ScreenEnv(PsychLabSettings(size=64, pool=20), 12).reset(seed=4)
    assert len(set(env.screen.theme.tolist())) == 3
    unseen = ScreenEnv(PsychLabSettings(size=64, randomise=1, pool=20, split="test"), 1).screen.themes
    assert not {*unseen} & {*env.screen.themes}, "rooms to test in are others"
    assert np.abs(obs.astype(int) - plain).mean() > 5
    for theme in range(3):
        rows = env.screen.theme.numpy() == theme
        assert len({row.tobytes() for row in obs[rows]}) == rows.sum()


@pytest.mark.parametrize("name", ACTION_SETS)
def test_the_action_sets_are_those_of_the_game(name):
    assert ScreenEnv(PsychLabSettings(**SMALL, actions=name), 1).single_action_space.n == len(action_table(name, 10))


def test_a_glance_is_a_whole_trial():
    """From the cross: out, rest, back, rest are 16 frames, the pace of best play. Seven steps, all points."""
    settings = PsychLabSettings(**SMALL, actions="glance", start_yaw=(88.5, 91.5))
    assert settings.step_frames == 16
    env = ScreenEnv(settings, 32)
    assert env.metadata["render_fps"] == 60 / 16
    trials, returns = simulate(env, BASELINES["oracle"](env), 32, seed=0)
    assert returns == pytest.approx(36)
    env.reset(seed=1)
    side = actions_of("glance").names.index("glance left")
    for step in range(7):
        _, reward, terminated, _, info = env.step(np.full(32, 2 if step == 0 else side))
        assert info["trial_done"].all() == (step > 0)
        assert terminated.all() == (step == 6)
        if step:
            assert not info["chose_right"].any()
            assert (np.abs(reward) >= 4).all()
            assert (env.machine.state.display == PICTURES).all() or step == 6
    assert len(trials["episode"]) == 32 * 6


def test_an_action_in_parts_is_those_actions_one_after_the_other():
    """A glance, and the four steps of the set `leap` that it is made of."""
    whole, apart = (ScreenEnv(PsychLabSettings(**SMALL, trials=40, actions=name), 16) for name in ("glance", "leap"))
    whole.reset(seed=3)
    apart.reset(seed=3)
    actions, rng = actions_of("glance"), np.random.default_rng(0)
    for _ in range(60):
        action = rng.integers(5, size=16)
        obs, reward, terminated, truncated, _ = whole.step(action)
        summed = np.zeros(16, dtype=np.float32)
        for part in range(4):
            seen, points, over, cut, _ = apart.step(actions.parts[action, part])
            summed += points
        assert not (terminated | truncated | over | cut).any(), "no episode ends in this test"
        assert (reward == summed).all()
        assert (obs == seen).all()


def test_settings_are_checked():
    for bad in (
        {"env": "unity"},
        {"trials": 5},
        {"sides": "left"},
        {"switch": 1.5},
        {"action_repeat": 20},
        {"action_repeat": 5, "actions": "glance"},
        {"actions": "blink"},
        {"size": 8},
        {"split": "none"},
        {"turn": 0},
    ):
        with pytest.raises(ValueError, match=rf"task\.{next(iter(bad))}="):
            registry.get("psychlab_harlow").configure(bad)


def test_picture_numbers():
    """The form without pixels: 25 points for the one-shot learner, 30 for the oracle, each side in half the trials."""
    task = registry.get("psychlab_ids")
    settings = task.configure({"sides": "balanced"})
    env = task.make(settings, 500)
    for name, expected in (("ideal", 25), ("oracle", 30), ("random", 0)):
        trials, returns = simulate(env, task.baselines[name](env), 1000, seed=1)
        assert returns.mean() == pytest.approx(expected, abs=0.8)
        assert (trials["steps"] == 1).all()
    obs, _ = env.reset(seed=0)
    assert (obs.sum(1) == 2).all()
    assert (obs[:, :42].argmax(1) != obs[:, 42:].argmax(1)).all()
    sides = trials["rewarded_right"].reshape(-1, 6)
    assert (sides.sum(1) == 3).all()


def counted(sides):
    """Accuracy in trials 2 to 6 of who looks at no picture and takes the side that paid less often so far."""
    ahead = sides[:, :-1].cumsum(1) - np.arange(1, 6) / 2
    guess = np.where(ahead == 0, np.random.default_rng(1).random(ahead.shape) < 0.5, ahead < 0)
    return (guess == sides[:, 1:]).mean()


def test_counting_the_sides_pays_only_where_they_are_balanced():
    task = registry.get("psychlab_ids")
    for sides, expected in (("balanced", 0.72), ("random", 0.5)):
        env = task.make(task.configure({"sides": sides}), 500)
        trials, _ = simulate(env, task.baselines["random"](env), 2000, seed=1)
        assert counted(trials["rewarded_right"].reshape(-1, 6)) == pytest.approx(expected, abs=0.02)
    with pytest.raises(ValueError, match="balanced, random"):
        task.configure({"sides": "left"})


# Recordings of DeepMind Lab -------------------------------------------------------------------------------------


def replayed(path):
    """The recorded looks, played: recording, our frames, rewards, (step, trial, correct, side) of trials, gazes."""
    with np.load(path) as stored:
        record = dict(stored)
    seed = int(path.stem.split("_seed")[1].split("_")[0])
    shown = []
    for number in PAIRS[seed]:
        image = Image.open(RECORDINGS / "images" / f"{number:04d}.png").convert("RGB")
        shown.append(np.asarray(image.resize((204, 204), Image.Resampling.BILINEAR)))
    sides = np.zeros(6, dtype=bool)
    for _, trial, _, side in record["events"]:
        sides[int(trial) - 1] = side == 2
    machine = one_episode(sides.tolist(), float(record["pose_deg"][0, 1]))
    view = view_with(record["frames"].shape[1], *shown)
    row, state = torch.zeros(1, dtype=torch.long), machine.state
    frames, rewards, trials, gazes = [], [], [], []
    for step, look in enumerate(record["action_look"]):
        side = state.rewarded_right[:, int(state.trial[0])]
        drawn = view.draw(PAIR, machine.gaze(), state.display, side, row, state.frame, state.score)
        frames.append(drawn[0].numpy())
        gazes.append(degrees(machine.gaze()))
        played = machine.step(torch.from_numpy(look.astype(np.int32))[None, None], int(record["num_steps"][step]))
        rewards.append(float(played.reward[0]))
        if played.paid[0]:
            told = (int(played.trial[0]) + 1, int(played.correct[0]), int(played.rewarded_right[0]) + 1)
            trials.append((step, *told))
    return record, np.array(frames), np.array(rewards), trials, np.array(gazes)


def on_screen(size, yaw, pitch):
    """Where the virtual screen is in a view, bool [size, size]."""
    yaw, pitch = math.radians(yaw), math.radians(pitch)
    ahead = np.array([math.cos(pitch) * math.cos(yaw), math.cos(pitch) * math.sin(yaw), -math.sin(pitch)])
    right = np.array([math.sin(yaw), -math.cos(yaw), 0])
    places = (np.arange(size) + 0.5) / size * 2 - 1
    rays = ahead + places[None, :, None] * right - places[:, None, None] * np.cross(right, ahead)
    tangents = rays[..., ::2] / np.maximum(rays[..., 1:2], 1e-6)
    return (np.abs(tangents - [0, RISE]) < REACH).all(-1) & (rays[..., 1] > 0)


def spans(mask):
    """First and last row and column, or None if there is too little or it is cut off by the view's edge."""
    places = np.argwhere(mask)
    if len(places) < 10 or places.min() == 0 or places.max() == len(mask) - 1:
        return None
    return np.concatenate([places.min(0), places.max(0)])


@pytest.mark.skipif(not RECORDINGS.is_dir(), reason="no recordings of DeepMind Lab (PREFRONTAL_PSYCHLAB_RECORDINGS)")
@pytest.mark.parametrize("name", [path.stem for path in sorted(RECORDINGS.glob("*.npz"))])
def test_recordings_of_the_real_thing(name):
    """Same looks, same rewards in the same steps, same gaze, and frames that agree."""
    record, frames, rewards, trials, gazes = replayed(RECORDINGS / f"{name}.npz")
    assert rewards.tolist() == record["reward"].tolist()
    assert [event[1:] for event in trials] == [tuple(event[1:]) for event in record["events"].tolist()]
    paid = [step for step, *_ in trials]
    assert all(0 <= step - event <= 1 for step, event in zip(paid, record["events"][:, 0] if paid else [], strict=True))
    count = len(frames)
    poses = record["pose_deg"][:count, 1::-1]
    assert np.abs(gazes - poses).max() < 0.006, "one step of the game's angles"
    size, compared = frames.shape[1], 0
    upper = np.arange(size)[:, None] < 0.66 * size  # above the head-up display
    for theirs, ours, (yaw, pitch) in zip(record["frames"], frames, poses, strict=False):
        screen = on_screen(size, yaw, pitch)
        assert np.abs(theirs.astype(int) - ours)[screen].mean() <= 8
        for kind in ([255, 0, 0], [254, 254, 254]):
            both = [spans((np.abs(f.astype(int) - kind).max(-1) < 25) & screen & upper) for f in (theirs, ours)]
            if both[0] is not None and both[1] is not None:
                assert np.abs(both[0] - both[1]).max() <= 1
                compared += 1
    assert compared > 5
