"""What a trial takes of the memory of its device, measured in its own process, and the limit that it is held to."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from dataclasses import dataclass
from pathlib import Path

CONTEXT_BYTES = 2**30
"""Allowance of each process on a GPU for what torch's allocator does not count: context, libraries, kernels."""

_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


@dataclass(frozen=True)
class MemoryUse:
    """Memory that a trial took."""

    peak: int
    """Most bytes held at a time: of the GPU, as torch's allocator reserved them, or of this process in main memory."""
    capacity: int
    """Bytes that the device has: the GPU, or this machine as far as this process may use it."""


def begin(device: str, gpu_share: float) -> None:
    """Start to measure a trial, and hold its process to its share of a GPU.

    Args:
        device: "cpu" or "cuda".
        gpu_share: Share of one GPU that the trial was given; 1 and more is no limit. What goes beyond raises
            ``torch.OutOfMemoryError`` in this trial and leaves its neighbours alone.
    """
    if device == "cuda":
        import torch

        total = torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory
        allocator = gpu_share - CONTEXT_BYTES / total if gpu_share < 1 else 1.0
        torch.cuda.set_per_process_memory_fraction(max(0.01, allocator))
        torch.cuda.reset_peak_memory_stats()
        return
    with contextlib.suppress(OSError, AttributeError):  # not Linux: the peak is then that of the process's whole life
        ctypes.CDLL(None).malloc_trim(0)  # ``models.runtime`` lets the process keep what earlier trials freed
        Path("/proc/self/clear_refs").write_text("5")


def used(device: str) -> MemoryUse | None:
    """Return what the trial took since :func:`begin`; None where the system does not tell."""
    if device == "cuda":
        import torch

        total = torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory
        return MemoryUse(torch.cuda.max_memory_reserved(), total)
    peak, capacity = _peak_resident(), _machine_memory()
    return MemoryUse(peak, capacity) if peak and capacity else None


def _peak_resident() -> int:
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return 1024 * int(line.split()[1])
    except OSError:
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return 0


def _machine_memory() -> int:
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        limit = _CGROUP_LIMIT.read_text().strip() if _CGROUP_LIMIT.exists() else "max"
    except (OSError, ValueError):
        return 0
    return total if limit == "max" else min(total, int(limit))
