"""What the machine offers, what one trial takes of it, and how many trials therefore run side by side."""

from __future__ import annotations

import ctypes
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from study.sections import Section

GPU_SHARE = 0.25
"""Share of a GPU that a trial takes by default: these networks are far too small to fill one."""


@dataclass(frozen=True)
class ResourceConfig:
    """The ``resources`` group, resolved; None means detected."""

    cpus_per_trial: float | None
    gpus_per_trial: float | None
    """Share of a GPU, or whole GPUs."""
    max_concurrent: int | None
    """Most trials at a time, whatever would fit."""


@dataclass(frozen=True)
class Plan:
    """How trials share the machine."""

    cpus: float
    gpus: float
    """CPUs and GPUs of one trial."""
    concurrent: int
    """Trials side by side, >= 1."""

    @property
    def device(self) -> str:
        """Device of a trial, "cpu" or "cuda"."""
        return "cuda" if self.gpus > 0 else "cpu"


def read_resources(group: Any, problems: list[str]) -> ResourceConfig:
    """Read the ``resources`` group; what is wrong with it is added to ``problems``."""
    section = Section("resources", group, problems)
    section.text("description", optional=True)
    cpus = section.automatic("cpus_per_trial", 0.1)
    gpus = section.automatic("gpus_per_trial", 0.0)
    concurrent = section.automatic("max_concurrent", 1, whole=True)
    section.close()
    if gpus and gpus > 1 and gpus != int(gpus):
        problems.append(f"resources.gpus_per_trial={gpus:g} must be a share <= 1 or a whole number of GPUs")
    return ResourceConfig(cpus, gpus, None if concurrent is None else int(concurrent))


def plan(config: ResourceConfig, cpus: float, gpus: float) -> Plan:
    """Divide ``cpus`` CPUs and ``gpus`` GPUs of one machine among trials.

    Raises:
        ValueError: If not even one trial fits, saying what it asks for and what there is.
    """
    return plan_nodes(config, [(cpus, gpus)])


def plan_nodes(config: ResourceConfig, nodes: Sequence[tuple[float, float]]) -> Plan:
    """Divide the nodes of a cluster among trials; a trial runs on one node.

    Args:
        config: What a trial takes.
        nodes: CPUs and GPUs of each node, at least one node.

    Raises:
        ValueError: If not even one trial fits on any node, saying what it asks for and what there is.
    """
    gpus = max(node_gpus for _, node_gpus in nodes)
    per_gpu = config.gpus_per_trial if config.gpus_per_trial is not None else (GPU_SHARE if gpus else 0.0)
    if per_gpu > gpus:
        raise ValueError(
            f"resources.gpus_per_trial={per_gpu:g}, but {gpus:g} GPUs were found that torch can use{_on_one(nodes)}; "
            "set resources.gpus_per_trial=0 to run on CPUs, or check the driver with nvidia-smi"
        )
    fitting = [(cpus, _slots(node_gpus, per_gpu)) for cpus, node_gpus in nodes if node_gpus >= per_gpu]
    per_cpu = config.cpus_per_trial
    if per_cpu is None:
        shares = [1.0 if math.isinf(slots) else max(1.0, cpus // slots) for cpus, slots in fitting]
        per_cpu = min(shares)
    cpus = max(cpus for cpus, _ in fitting)
    if per_cpu > cpus:
        raise ValueError(
            f"resources.cpus_per_trial={per_cpu:g}, but there are {cpus:g} CPUs{_on_one(nodes)}; set it to {cpus:g} "
            "or less"
        )
    return Plan(per_cpu, per_gpu, concurrent(config, nodes, per_cpu, per_gpu))


def concurrent(config: ResourceConfig, nodes: Sequence[tuple[float, float]], per_cpu: float, per_gpu: float) -> int:
    """Return how many trials run side by side, >= 1, where each takes so many CPUs and GPUs of one node."""
    fit = sum(int(min(cpus // per_cpu, _slots(gpus, per_gpu))) for cpus, gpus in nodes)
    return max(1, min(fit, config.max_concurrent or fit))


def _on_one(nodes: Sequence[tuple[float, float]]) -> str:
    return " on one node" if len(nodes) > 1 else ""


def _slots(gpus: float, per_trial: float) -> float:
    """Return how many trials fit on the GPUs; infinitely many if they use none."""
    if per_trial == 0:
        return math.inf
    return gpus * math.floor(1 / per_trial + 1e-9) if per_trial <= 1 else gpus // per_trial


def detect_cpus() -> int:
    """Return the number of CPUs that this process may use: its affinity, and its control group's quota."""
    cpus = float(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        if quota != "max":
            cpus = min(cpus, float(quota) / float(period))
    except (OSError, ValueError):
        pass  # no control groups, or version 1 of them: the affinity stands
    return max(1, int(cpus))


def detect_gpus() -> int:
    """Return the number of GPUs that torch can use. torch is imported only where there is a CUDA driver."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0
