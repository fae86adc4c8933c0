"""What one node of a cluster has: code, versions, the shared folders, the data. Runs on that node, before any trial.

Ray sends :func:`look` by its name, so that a node which cannot import this project fails here and says so.
"""

from __future__ import annotations

import contextlib
import hashlib
import platform
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from study.environment import package_versions
from study.folder import data_digest
from study.memory import gpu_memory
from study.remote import RemoteFolder

ROOT = Path(__file__).resolve().parent.parent
CODE_FOLDERS = ("study", "models")
"""What workers import of this project."""

PROBE = ".preflight"
"""How the names of probe folders begin."""

DRIVER_FILE = "driver"
"""File of the probe folder that the driver writes; each node writes one of its own name."""


@dataclass(frozen=True)
class Question:
    """What a node is asked."""

    folders: tuple[str, ...]
    """Probe folders, absolute, one in each folder that all nodes must share; the driver has written into them."""
    word: str
    """What the driver's files hold, and what the node's are to hold."""
    data: Mapping[str, Any]
    """Resolved ``data`` group."""
    remote: str = ""
    """Study folder in a store, which each node must read and write; empty where there is none."""


@dataclass(frozen=True)
class Answer:
    """What a node has."""

    host: str
    code: str
    """Hash of every source file that workers import."""
    versions: dict[str, str | None]
    """Of Python and of the packages that decide results."""
    data: str | None
    """Hash of names, sizes and labels of the images, as ``study.folder`` records it; None for data that are drawn."""
    folders: dict[str, str]
    """What is wrong with a probe folder, by its path; those without a fault are absent."""
    gpu_memory: int = 0
    """Bytes of its largest GPU; 0 if it has none or does not tell."""


def look(question: Question, name: str) -> dict[str, Any]:
    """Answer on the node where this runs.

    Args:
        question: What to look at.
        name: Name of the file that this node writes into each probe folder.

    Returns:
        The fields of an :class:`Answer`; plain values, which any version of the code can read.
    """
    faults = {folder: _fault(Path(folder), question.word, name) for folder in question.folders}
    if question.remote:
        faults[question.remote] = _remote_fault(question.remote, question.word, name)
    return asdict(
        Answer(
            host=socket.gethostname(),
            code=code_hash(),
            versions={"python": platform.python_version(), **package_versions()},
            data=_digest(question.data),
            folders={folder: fault for folder, fault in faults.items() if fault},
            gpu_memory=gpu_memory(),
        )
    )


def code_hash(root: Path = ROOT) -> str:
    """Return a hash of names and content of all source files that workers import."""
    digest = hashlib.sha256()
    for folder in CODE_FOLDERS:
        for path in sorted((root / folder).rglob("*.py")):
            digest.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _fault(folder: Path, word: str, name: str) -> str:
    """Return why this node does not share a folder with the driver; empty if it does, after writing into it."""
    try:
        if (folder / DRIVER_FILE).read_text() != word:
            return "holds something else than on the driver's node"
    except FileNotFoundError:
        return "is not the folder that the driver sees"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    try:
        (folder / name).write_text(word)
    except OSError as error:
        return f"cannot be written ({error.strerror})"
    return ""


def _remote_fault(uri: str, word: str, name: str) -> str:
    """Return why this node does not share a folder in a store; empty if it does, after writing into it."""
    try:
        remote = RemoteFolder.at(uri)
        if remote.read(f"{PROBE}-{word}/{DRIVER_FILE}") != word.encode():
            return "holds something else than on the driver's node"
        remote.write(f"{PROBE}-{word}/{name}", word.encode())
    except OSError as error:
        return f"cannot be used ({' '.join(str(error).split())[:200]}); see the node's AWS_* variables or role"
    return ""


def _digest(data: Mapping[str, Any]) -> str | None:
    with contextlib.suppress(OSError):
        return data_digest(data)
    return "unreadable"
