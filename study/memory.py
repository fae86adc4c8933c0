"""What a trial takes of the memory of its device, measured in its own process, and the limit that it is held to."""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
import subprocess
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


def torch_share(gpu_share: float, capacity: int, *, given: bool) -> float:
    """Return the share of a GPU's memory that torch's allocator may take in a trial, in (0, 1].

    Args:
        gpu_share: Share of one GPU that the trial was given, > 0; 1 and more is no limit.
        capacity: Bytes of the GPU.
        given: Whether a person chose the share: the allocator has all of it then. One that was measured
            (``study.packing``) counts the process's allowance, which is taken off, but never more than half.
    """
    if gpu_share >= 1:
        return 1.0
    return gpu_share if given else max(gpu_share - CONTEXT_BYTES / capacity, gpu_share / 2)


def share_problem(gpu_share: float | None, capacity: int) -> str | None:
    """Return why no trial can run in a share of a GPU that a person chose; None if one can.

    Args:
        gpu_share: ``resources.gpus_per_trial``; None means that nobody did.
        capacity: Bytes of the GPU; 0 means unknown.
    """
    if not gpu_share or not capacity or min(gpu_share, 1.0) * capacity > CONTEXT_BYTES:
        return None
    least = (math.floor(1000 * CONTEXT_BYTES / capacity) + 1) / 1000
    return (
        f"resources.gpus_per_trial={gpu_share:g} of a GPU of {capacity / 2**30:.1f} GiB is not more than the "
        f"{CONTEXT_BYTES / 2**30:g} GiB that each process needs for itself; give {least:g} or more, or auto"
    )


def gpu_memory() -> int:
    """Return the bytes of this machine's largest GPU, as its driver reports them; 0 if it has none or does not tell."""
    command = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
        return max((int(line) for line in told.splitlines()), default=0) * 2**20
    except (OSError, ValueError, subprocess.SubprocessError):
        return 0


def begin(device: str, gpu_share: float, *, given: bool = False) -> None:
    """Start to measure a trial, and hold its process to its share of a GPU.

    Args:
        device: "cpu" or "cuda".
        gpu_share: Share of one GPU that the trial was given; 1 and more is no limit. What goes beyond raises
            ``torch.OutOfMemoryError`` in this trial and leaves its neighbours alone.
        given: Whether a person chose the share.
    """
    if device == "cuda":
        import torch

        total = torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory
        torch.cuda.set_per_process_memory_fraction(torch_share(gpu_share, total, given=given))
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
