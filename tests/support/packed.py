"""What the project is packed of."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def package_folders():
    """Of the packages, from the root of the repository."""
    told = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    return [
        told["package-dir"].get(name) or name.removeprefix("prefrontal.").replace(".", "/") for name in told["packages"]
    ]
