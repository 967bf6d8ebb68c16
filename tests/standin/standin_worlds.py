"""The worlds behind the stand-in of `deepmind_lab`: PsychLab's Harlow task with flat pictures, an arena, faults."""

from __future__ import annotations

import ctypes
import functools
import math
import os
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

SETTINGS = {"width", "height", "fps", "logLevel", "levelDirectory", "appendCommand", "mixerSeed", "hasAltCameras"}
SETTINGS |= {"datasetPath", "episodeLengthSeconds", "randomSeed"}  # not of every level, but no level refuses them
DEGREES = 0.1056  # of a look unit in a frame
WIDTH = 1.215  # of PsychLab's screen, in distances from it
SCREEN = 1 / WIDTH


class World:
    settings = frozenset()
    recorded = False

    def __init__(self, config):
        self.config = config
        self.size = int(config.get("height", 240)), int(config.get("width", 320))
        self.running, self.events = False, []

    def start(self, episode, seed, cache):
        self.rng = np.random.default_rng([episode, seed & 0xFFFFFFFF])  # a later episode differs, seed or no seed
        self.running, self.events, self.frame = True, [], 0
        self.yaw, self.pitch = 0.0, 0.0
        return self.begin(cache) or "ready"

    def advance(self, action, num_steps):
        self.events, reward = [], 0.0
        for _ in range(num_steps):
            if self.running:
                self.frame += 1
                self.yaw = (self.yaw + DEGREES * action[0] + 180) % 360 - 180
                self.pitch = float(np.clip(self.pitch + DEGREES * action[1], -87.9, 87.9))
                reward += self.tick(action)
        return reward

    def begin(self, cache):
        raise NotImplementedError


class Harlow(World):
    """The state machine of `contributed/psychlab/harlow`, frame by frame; the pictures are one colour each."""

    level = "contributed/psychlab/harlow"
    recorded = True
    TRIALS, CLOCK, HOLD, PAUSE = 6, 18_000, 4, 5

    def begin(self, cache):
        assert self.config.get("datasetPath"), "datasetPath is not set"
        ids = 1 + self.rng.choice(1000, size=2, replace=False)
        self.good, self.bad = (int(i) for i in ids)
        self.right = self.rng.permutation([False] * 3 + [True] * 3)
        self.yaw = float(self.rng.uniform(-7, 20))  # degrees right of the screen's middle
        self.shown, self.wait, self.held, self.pending, self.trial, self.since = "", 1, 0, 0.0, 0, 0
        return f"Episode set up, corrID={self.good}, incorrID={self.bad}"

    def gaze(self):
        turned = math.tan(math.radians(max(-89.0, min(89.0, self.yaw))))
        return 0.5 + SCREEN * turned, 0.5 + SCREEN * math.tan(math.radians(self.pitch)) * math.hypot(1, turned)

    def inside(self, centre, half):
        u, v = self.gaze()
        return abs(self.yaw) < 89 and abs(u - centre) <= half and abs(v - 0.5) <= half

    def hold(self, where):
        self.held = self.held + 1 if where and where == self.where else int(bool(where))
        self.where = where
        return self.held == self.HOLD

    where = ""

    def tick(self, action):
        reward, self.pending = self.pending, 0.0
        self.since += 1
        if not self.shown:
            self.wait -= 1
            if self.wait <= 0:
                self.shown, self.held = "cross", 0
        elif self.shown == "cross":
            if self.hold("cross" if self.inside(0.5, 0.025) else ""):
                self.pending, self.shown, self.since = 1.0, "pictures", 0
                self.trial += 1
                self.load(self.good)
                self.load(self.bad)
        elif self.hold("left" if self.inside(0.25, 0.1) else "right" if self.inside(0.75, 0.1) else ""):
            correct = (self.where == "right") == bool(self.right[self.trial - 1])
            self.pending, self.shown, self.wait = 5.0 if correct else -5.0, "", self.PAUSE
            self.tell(correct)
            if self.trial == self.TRIALS:
                self.running = False
                return reward + self.pending
        self.running = self.running and self.frame < self.CLOCK
        return reward

    def tell(self, correct):
        table = {
            "stepCount": self.since,
            "response": "correct_image_button" if correct else "incorrect_image_button",
            "correctResponse": 1 + int(self.right[self.trial - 1]),
            "trial": self.trial,
            "trialId": 1,
            "reactionTime": self.since / 60,
            "correct": int(correct),
        }
        lines = "".join(f"  ['{key}'] = {value}\n" for key, value in table.items())
        self.events.append(("xdata:psychlab", ["{\n" + lines + "}\n", "harlow"]))

    def load(self, number):
        """The colour of a picture; the real game aborts for one that it cannot read into 256 x 256 x 3 bytes."""
        path = self.config["datasetPath"]
        if path == "dummy":
            return (number * 37) % 200 + 56, (number * 91) % 200 + 56, (number * 151) % 200 + 56
        try:
            color = colour_of(str(Path(path) / f"{number:04d}.png"))
        except (OSError, ValueError) as error:
            os.write(2, f"getImage: {error}\n".encode())
            os.abort()
        return color

    def picture(self):
        height, width = self.size
        u = 0.5 + SCREEN * seen(self.yaw, width)
        v = 0.5 + SCREEN * seen(self.pitch, height)
        image = np.empty((height, width, 3), dtype=np.uint8)
        image[:] = np.where((v < 0.5)[:, None, None], (90, 140, 230), (60, 70, 110))
        paint(image, u, v, (0.5, 0.5), 0.55, (128, 128, 128))
        paint(image, u, v, (0.5, 0.5), 0.5, (0, 0, 0))
        if self.shown == "cross":
            paint(image, u, v, (0.5, 0.5), (0.05, 0.01), (255, 0, 0))
            paint(image, u, v, (0.5, 0.5), (0.01, 0.05), (255, 0, 0))
        elif self.shown == "pictures":
            sides = (0.75, 0.25) if self.right[self.trial - 1] else (0.25, 0.75)
            for side, number in zip(sides, (self.good, self.bad), strict=True):
                paint(image, u, v, (side, 0.5), 0.2, self.load(number))
        return image


@functools.lru_cache(maxsize=4096)
def _read(path, stamp):
    with Image.open(path) as image:
        if image.size != (256, 256) or image.mode != "RGB":
            raise ValueError(f"{path} is {image.size}, {image.mode}")
        return tuple(int(c) for c in np.asarray(image).reshape(-1, 3).mean(0))


def colour_of(path):
    return _read(path, os.stat(path).st_mtime_ns)  # noqa: PTH116


def seen(angle, pixels):
    """Where on a plane one away the columns (or rows) of a view of 90 degrees look."""
    across = np.arctan((np.arange(pixels) + 0.5) / pixels * 2 - 1)
    return np.tan(np.clip(np.radians(angle) + across, -1.55, 1.55))


def paint(image, u, v, centre, half, color):
    half_u, half_v = half if isinstance(half, tuple) else (half, half)
    columns = np.flatnonzero(np.abs(u - centre[0]) <= half_u)
    rows = np.flatnonzero(np.abs(v - centre[1]) <= half_v)
    if rows.size and columns.size:
        image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = color


class Arena(World):
    """Walking forward finds fruit, good or bad by where one looks. The map is compiled unless the cache has it."""

    level = "seekavoid_arena_01"

    def begin(self, cache):
        self.last = round(60 * float(self.config.get("episodeLengthSeconds", "20")))
        self.way = 0
        if cache is not None:
            with tempfile.TemporaryDirectory() as folder:
                path = str(Path(folder) / "map.pk3")
                if not cache.fetch("maps/arena 01", path):
                    Path(path).write_bytes(b"compiled" * 1000)
                    cache.write("maps/arena 01", path)
                assert Path(path).read_bytes() == b"compiled" * 1000, "the map is damaged"

    def tick(self, action):
        self.way += action[3] == 1
        found = action[3] == 1 and self.way % 20 == 0
        self.running = self.frame < self.last
        return found * (1.0 if math.cos(math.radians(self.yaw)) > 0 else -1.0)

    def picture(self):
        height, width = self.size
        image = np.empty((height, width, 3), dtype=np.uint8)
        image[: height // 2] = 60 + 120 * (0.5 + 0.5 * math.cos(math.radians(self.yaw)))
        image[height // 2 :] = (40, 20 + self.way % 200, 30)
        image[height // 2, :: max(1, width // 8)] = self.rng.integers(256, size=3)
        return image


class Watermaze(Arena):
    level = "contributed/dmlab30/rooms_watermaze"


class Faults(Arena):
    """Fails at a frame, once: the file `marker` is made when it does (with the process id), and holds it off."""

    level = "tests/faults"
    settings = frozenset({"fault", "frame", "marker"})

    def tick(self, action):
        marker = Path(self.config["marker"])
        if self.frame >= int(self.config["frame"]) and not marker.exists():
            marker.write_text(str(os.getpid()))
            if self.config["fault"] == "hang":
                ctypes.PyDLL(None).sleep(10_000)
            os.abort()
        return super().tick(action)


class Recorded(World):
    """Plays back an episode of the real thing; takes only the actions that were played then."""

    level = Harlow.level

    def __init__(self, config, episode):
        super().__init__(config)
        self.episode = episode

    recorded = True

    def begin(self, cache):
        assert self.config.get("datasetPath"), "datasetPath is not set"
        self.index = 0

    def advance(self, action, num_steps):
        i, kept = self.index, self.episode
        if i >= len(kept["reward"]):
            raise RuntimeError("the recording is over")
        if (*kept["action_look"][i], kept["num_steps"][i]) != (*action[:2], num_steps):
            raise RuntimeError(f"step {i}: the recording has another action")
        self.index += 1
        rows = [row for row in kept["events"].reshape(-1, 4) if row[0] == i]
        table = "{{\n  ['trial'] = {}\n  ['correct'] = {}\n  ['correctResponse'] = {}\n}}\n"
        self.events = [("xdata:psychlab", [table.format(*row[1:]), "harlow"]) for row in rows]
        self.running = self.index < len(kept["frames"])
        return float(kept["reward"][i])

    def picture(self):
        return self.episode["frames"][self.index]


def recorded(config, seed):
    folder = os.environ.get("PREFRONTAL_PSYCHLAB_RECORDINGS")
    for path in sorted(Path(folder).glob(f"*_{config.get('width', '320')}_seed{seed}_*.npz")) if folder else []:
        with np.load(path) as episode:
            return Recorded(config, dict(episode))
    return None


LEVELS = {world.level: world for world in (Harlow, Arena, Watermaze, Faults)}
