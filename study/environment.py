"""What a study ran on: versions, device, code revision. No names of people, machines or folders."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

from study.resources import Plan, detect_cpus

PACKAGES = (
    "torch",
    "torchvision",
    "ray",
    "optuna",
    "hydra-core",
    "numpy",
    "scipy",
    "pyarrow",
    "plotly",
    "cryptography",
)


def environment(plan: Plan) -> dict[str, Any]:
    """Return the description that ``environment.json`` holds."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "packages": package_versions(),
        "revision": revision(Path(__file__).resolve().parent.parent),
        "cpu": {"model": _cpu_model(), "usable": detect_cpus()},
        "memory_bytes": _memory(),
        "gpu": _gpu_name() if plan.gpus else None,
        "trials": {"concurrent": plan.concurrent, "cpus": plan.cpus, "gpus": plan.gpus, "device": plan.device},
    }


def package_versions() -> dict[str, str | None]:
    """Return the versions of the packages that decide results, None where one is not installed."""
    return {name: _version(name) for name in PACKAGES}


def revision(folder: Path) -> dict[str, Any] | None:
    """Return the Git commit of ``folder`` and whether files differ from it; None outside of a Git checkout."""
    if not (folder / ".git").exists():
        return None
    commit = _git(folder, "rev-parse", "HEAD")
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return None if commit is None else {"commit": commit, "changed": bool(changes)}


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        command = ["git", "-C", str(folder), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass  # not Linux
    return platform.processor() or "unknown"


def _memory() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return None


def _gpu_name() -> str | None:
    import torch

    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else None
