"""The compiled library: where it is, whether it is used, and its C interface (`recurrent.cpp`).

The extension is optional: a machine without a compiler installs the package and computes with torch. Only data pointers
cross the border, so that one build serves every version of torch.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.machinery
import warnings
from ctypes import c_int64, c_void_p
from pathlib import Path
from typing import Any, Literal

import torch

KernelName = Literal["auto", "compiled", "torch"]
LEVELS = {"DEFAULT": 0, "AVX2": 1, "AVX512": 2}
"""What torch calls the instructions that it uses (`ATEN_CPU_CAPABILITY` restrains it), and our place of them."""
INTERFACE = 2
"""Of the structs below, as `recurrent_interface` counts it: an older build would write where it must not."""
AGAIN = "install prefrontal again (make setup, or pip install --editable .)"
_REMEDY = f"install a C++ compiler (Debian: apt install g++) and {AGAIN}"
MISSING = f"the compiled kernels are missing, training is slower with torch's: {_REMEDY}"


class KernelError(ValueError):
    """`model.kernel=compiled` where there is none, or kernels of another version of the package."""


class _Struct(ctypes.Structure):
    """A struct of `recurrent.cpp`: 64-bit integers, then pointers."""

    def __init__(self, **values: Any) -> None:
        """Tensors stand for their data, and live as long as the struct."""
        self.given = values
        super().__init__(**{k: v.data_ptr() if isinstance(v, torch.Tensor) else v for k, v in values.items()})


def _fields(integers: str, pointers: str) -> list[tuple[str, Any]]:
    return [(name, c_int64) for name in integers.split()] + [(name, c_void_p) for name in pointers.split()]


class Parameters(_Struct):
    """A layer's weights, as torch has them."""

    _fields_ = _fields("inputs hidden units", "w_input w_hidden b_input b_hidden")


class Sequence(_Struct):
    """An unroll."""

    _fields_ = _fields(
        "kind steps rows inputs units",
        "weights x first hidden cell initial_hidden initial_cell recall joined gates cells output",
    )


class Backward(_Struct):
    """The gradients of an unroll."""

    _fields_ = _fields("", "weights by_output work by_weights by_initial by_hidden by_cell by_x by_recall")


class Acting(_Struct):
    """Steps of acting."""

    _fields_ = [
        ("sequence", Sequence),
        *_fields(
            "features_count features_kept actions see_action see_reward reward_by_action levels_count",
            "features levels prev_action prev_reward policy policy_bias noise logits action",
        ),
    ]


@functools.cache
def load() -> ctypes.CDLL | None:
    """The library, or None where it was not compiled.

    Raises:
        KernelError: for one that was compiled from other sources.
    """
    for suffix in importlib.machinery.EXTENSION_SUFFIXES:
        path = Path(__file__).with_name("_recurrent" + suffix)
        if path.exists():
            library = ctypes.CDLL(str(path))
            if not hasattr(library, "recurrent_interface") or library.recurrent_interface() != INTERFACE:
                raise KernelError(f"{path} was compiled from other sources: {AGAIN}")
            pointer = c_void_p
            library.recurrent_levels.restype = c_int64
            library.recurrent_pack.argtypes = [c_int64, c_int64, pointer, pointer]
            library.recurrent_pack_back.argtypes = [c_int64, c_int64, pointer, c_int64, pointer]
            library.recurrent_forward.argtypes = [c_int64, pointer]
            library.recurrent_backward.argtypes = [c_int64, pointer, pointer]
            library.recurrent_act.argtypes = [c_int64, pointer, c_int64]
            for name in ("pack", "pack_back", "forward", "backward", "act"):
                getattr(library, f"recurrent_{name}").restype = None
            return library
    return None


@functools.cache
def level() -> int:
    """The level of instructions in use: the one of torch's own kernels, as far as there is one of ours."""
    library = load()
    highest = 0 if library is None else library.recurrent_levels() - 1
    return min(highest, LEVELS.get(torch.backends.cpu.get_cpu_capability(), 0))


@functools.cache
def say_once() -> None:
    """Warn that there is no library."""
    warnings.warn(MISSING, stacklevel=2)


def chosen(kernel: KernelName) -> ctypes.CDLL | None:
    """The library to compute with, or None for torch: what `model.kernel` means on this machine.

    Raises:
        KernelError: for `compiled` without a library.
    """
    if kernel == "torch":
        return None
    library = load()
    if library is None:
        if kernel == "compiled":
            raise KernelError(
                f"model.kernel=compiled, but the kernels were not compiled when prefrontal was installed: {_REMEDY}, "
                "or leave model.kernel=auto"
            )
        say_once()
    return library
