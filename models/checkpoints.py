"""Tensors on disk as safetensors, and a cache of what many trials share.

Nothing here is ever unpickled, so a folder that somebody sent cannot run code. The cache keeps an entry under the hash
of its settings and of this package's source, so a changed setting or changed code never meets a stale result; a file
lock makes two trials that ask at once compute it once.
"""

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor


@dataclass(frozen=True)
class Saved:
    """Tensors with a note that says what they are."""

    tensors: Mapping[str, Tensor]
    """Name to tensor, on the CPU."""
    note: Mapping[str, Any]
    """What can be written as JSON: settings, losses, measurements."""

    def part(self, prefix: str) -> dict[str, Tensor]:
        """Return the tensors named ``prefix.*`` without the prefix, as ``load_state_dict`` takes them."""
        return {
            name[len(prefix) + 1 :]: tensor for name, tensor in self.tensors.items() if name.startswith(prefix + ".")
        }


def with_prefix(prefix: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return ``state`` with every name put under ``prefix``; the inverse of :meth:`Saved.part`."""
    return {f"{prefix}.{name}": tensor for name, tensor in state.items()}


def save(path: Path, saved: Saved) -> None:
    """Write ``saved`` to ``path`` at once or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in saved.tensors.items()}
    save_file(tensors, temporary, metadata={"note": json.dumps(saved.note, sort_keys=True)})
    os.replace(temporary, path)


def load(path: Path) -> Saved:
    """Read what :func:`save` wrote.

    Raises:
        FileNotFoundError: If there is no such file.
        safetensors.SafetensorError: If the file is not whole.
    """
    with safe_open(path, framework="pt") as file:
        note = json.loads((file.metadata() or {}).get("note", "{}"))
        return Saved({name: file.get_tensor(name) for name in file.keys()}, note)  # noqa: SIM118 - not a mapping


def _hash_of_sources() -> str:
    root = Path(__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


CODE_VERSION = _hash_of_sources()
"""Hash of every source file of ``models`` as it was imported, by which the cache tells old code from new."""


def fingerprint(settings: Mapping[str, Any]) -> str:
    """Return 16 hexadecimal digits that stand for ``settings``, this version of the code and that of torch."""
    text = json.dumps({"settings": settings, "code": CODE_VERSION, "torch": torch.__version__}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def entry(folder: Path, kind: str, settings: Mapping[str, Any]) -> Path:
    """Return where the cache ``folder`` keeps the entry of this ``kind`` for ``settings``, if it has one."""
    return folder / kind / f"{fingerprint({'kind': kind, **settings})}.safetensors"


def cached(
    folder: Path,
    kind: str,
    settings: Mapping[str, Any],
    make: Callable[[], Saved],
    *,
    keep: Callable[[Saved], bool] = lambda saved: True,
) -> Saved:
    """Return the entry for ``settings``, computing it with ``make`` where it is not there yet.

    Args:
        folder: The cache.
        kind: What it is, for a person who looks into the folder, such as ``"ppgan"``.
        settings: Everything the result depends on besides the code; must be expressible in JSON.
        make: Computes the entry. Called by one process at a time for one entry; the others wait for its result.
        keep: Whether what was computed is fit to be used again; otherwise it serves this call only.
    """
    path = entry(folder, kind, settings)
    if path.exists():  # entries appear whole, so a reader needs no lock
        return load(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock")):
        if not path.exists():
            made = make()
            if not keep(made):
                return made
            save(path, made)
    return load(path)
