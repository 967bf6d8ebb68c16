"""The pictures of PsychLab's levels, looked at before a game starts: a wrong one would abort it in mid-trial."""

from __future__ import annotations

import struct
from pathlib import Path

from ..registry import TaskUnavailableError

DUMMY = "dummy"
"""In the place of a folder: the game's own solid colours."""

SIZE = 256
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_END = b"IEND\xaeB`\x82"
_COLORS = {0: "grey", 2: "RGB", 3: "palette", 4: "grey with alpha", 6: "RGB with alpha"}


def check_images(images: str, count: int, level: str) -> str:
    """What the game is told (`datasetPath`), after a look at each of the pictures `0001.png`, ..., `count`.

    Args:
        images: an absolute folder (`~` is the home folder), or `dummy`.
        count: how many pictures the level chooses from; 0: it shows none.
        level: for the message.

    Raises:
        TaskUnavailableError: for a folder that is not there, and for the first picture that is missing or is not an
            8-bit RGB PNG of 256 x 256; with the way out.
    """
    if images == DUMMY or not (images or count):
        return images
    if not images:
        raise TaskUnavailableError(
            f"the level {level} shows pictures that do not come with DeepMind Lab: give their folder "
            f"(0001.png to {count:04d}.png, each 256 x 256, 8-bit RGB) with task.images=<folder>, "
            "or task.images=dummy for solid colours"
        )
    folder = Path(images).expanduser()
    if not folder.is_absolute():
        raise TaskUnavailableError(f"task.images={images} must be an absolute path: actors may run in another folder")
    if not folder.is_dir():
        raise TaskUnavailableError(f"task.images: there is no folder {folder} on this machine")
    faults = [(path, fault) for path in _pictures(folder, count) if (fault := _fault(path))]
    if faults:
        path, fault = faults[0]
        raise TaskUnavailableError(
            f"task.images: {path} {fault}; DeepMind Lab would end its process with an abort when a trial shows it. "
            f"{len(faults)} of the {count} pictures that the level {level} chooses from are missing or wrong; each "
            'must be a PNG of 256 x 256, 8-bit RGB (Pillow: image.convert("RGB").resize((256, 256)).save(path))'
        )
    return str(folder)


def _pictures(folder: Path, count: int) -> list[Path]:
    return [folder / f"{number:04d}.png" for number in range(1, count + 1)]


def _fault(path: Path) -> str:
    """What is wrong with a picture; empty if nothing is. Reads its first and its last bytes only."""
    try:
        with path.open("rb") as file:
            head = file.read(26)
            file.seek(-min(len(_END), path.stat().st_size), 2)
            end = file.read()
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    if len(head) < 26 or not head.startswith(_SIGNATURE):
        return "is no PNG"
    if end != _END:
        return "is cut off"
    width, height, depth, color = struct.unpack(">IIBB", head[16:26])
    if (width, height) != (SIZE, SIZE):
        return f"is {width} x {height} pixels, not {SIZE} x {SIZE}"
    if (depth, color) != (8, 2):
        return f"has {depth}-bit {_COLORS.get(color, 'unknown')} pixels, not 8-bit RGB"
    return ""
