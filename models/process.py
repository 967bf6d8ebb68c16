"""How a process that acts or learns computes: on one core, and with memory that it has had before."""

from __future__ import annotations

import ctypes
import platform

import torch

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of glibc's <malloc.h>
_LARGE_BYTES, _KEPT_BYTES = 32 << 20, 256 << 20


def use_one_core() -> None:
    """One torch thread (more of them cost more than they bring at these sizes), and freed memory kept at hand.

    An update takes and frees tens of MB. By default glibc gives the free end of its heap back to the kernel, which
    clears it and maps it again, page by page: a third of an update of 128 x 100 steps. Here up to 256 MiB of it stay;
    single blocks above 32 MiB come from the kernel and go back, as by default.
    """
    torch.set_num_threads(1)
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        if libc.mallopt(_MMAP_THRESHOLD, _LARGE_BYTES):
            libc.mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
