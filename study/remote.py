"""A study folder in an S3-compatible store: what lies there, under which names, and a working copy on each machine.

The driver works in a local folder, its working copy, and puts every record and the search's journal into the store as
they are written; a worker puts checkpoints and artifacts of its trial there itself: nodes need not share a folder.
Objects appear whole or not at all. Credentials, region, endpoint: those of the environment (``AWS_ACCESS_KEY_ID``,
``AWS_SECRET_ACCESS_KEY``, ``AWS_DEFAULT_REGION``, ``AWS_ENDPOINT_URL``), or of the machine's role.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from pyarrow import fs

SCHEME = "s3://"


class RemoteFolder:
    """A folder in the store; names are relative to it, with slashes."""

    def __init__(self, system: fs.FileSystem, base: str) -> None:
        """Keep the parts.

        Args:
            system: Any file system of pyarrow.
            base: Path of the folder in it.
        """
        self._system, self._base = system, base.rstrip("/")

    @classmethod
    def at(cls, uri: str) -> RemoteFolder:
        """Return the folder at ``s3://BUCKET/PATH``.

        Raises:
            OSError: If the address cannot be used.
        """
        try:
            system, base = fs.FileSystem.from_uri(uri)
            if not base:
                raise ValueError("it names no bucket")
            return cls(system, base)
        except (ValueError, OSError) as error:  # pyarrow raises either for the same mistakes
            raise OSError(f"{uri}: {' '.join(str(error).split())[:200]}") from None

    def read(self, name: str) -> bytes:
        """Return the content of an object.

        Raises:
            FileNotFoundError: If there is none of this name.
        """
        with self._system.open_input_stream(f"{self._base}/{name}") as stream:
            return bytes(stream.read())

    def write(self, name: str, content: bytes) -> None:
        """Write an object, in place of an earlier one of this name."""
        path = f"{self._base}/{name}"
        if self._system.type_name == "local":
            self._system.create_dir(path.rpartition("/")[0])
        with self._system.open_output_stream(path) as stream:
            stream.write(content)

    def exists(self, name: str) -> bool:
        """Return whether there is an object of this name."""
        return self._system.get_file_info(f"{self._base}/{name}").type == fs.FileType.File

    def names(self, folder: str = "") -> Iterator[str]:
        """Yield the names of all objects below a folder, sorted."""
        below = f"{self._base}/{folder}".rstrip("/")
        found = self._system.get_file_info(fs.FileSelector(below, recursive=True, allow_not_found=True))
        yield from sorted(info.path[len(self._base) + 1 :] for info in found if info.type == fs.FileType.File)

    def remove(self, folder: str) -> None:
        """Remove all objects below a folder."""
        for name in list(self.names(folder)):
            self._system.delete_file(f"{self._base}/{name}")

    def send(self, folder: Path, name: str) -> None:
        """Write every file below a local folder under ``name``."""
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self.write(f"{name}/{path.relative_to(folder).as_posix()}", path.read_bytes())

    def fetch(self, name: str, folder: Path) -> None:
        """Write every object below ``name`` into a local folder."""
        for one in self.names(name):
            path = folder / one[len(name) + 1 :] if name else folder / one
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self.read(one))


class RemoteTrial:
    """What the worker of one trial keeps in the store."""

    WHOLE = "whole"
    """Last object of a checkpoint that is written: one without is half of one."""

    def __init__(self, folder: RemoteFolder, checkpoints: str, artifacts: str) -> None:
        """Keep the parts.

        Args:
            folder: The study folder.
            checkpoints: Name of the trial's checkpoints, below ``checkpoints/``.
            artifacts: Name of its artifacts in the study folder.
        """
        self._folder, self._checkpoints, self._artifacts = folder, f"checkpoints/{checkpoints}", artifacts

    def send_checkpoint(self, checkpoint: Path) -> None:
        """Write a checkpoint, whose folder is named by its epoch; then remove older ones."""
        older = {name.split("/")[2] for name in self._folder.names(self._checkpoints)}
        self._folder.send(checkpoint, f"{self._checkpoints}/{checkpoint.name}")
        self._folder.write(f"{self._checkpoints}/{checkpoint.name}/{self.WHOLE}", b"")
        for epoch in older - {checkpoint.name}:
            self._folder.remove(f"{self._checkpoints}/{epoch}")

    def fetch_checkpoint(self, folder: Path, newer_than: int) -> int:
        """Write the newest whole checkpoint into ``folder`` under the name of its epoch, if it is newer than that.

        Args:
            folder: The trial's local checkpoints.
            newer_than: The newest epoch of these; 0 where there are none.

        Returns:
            Epoch of the newest checkpoint that the folder holds now; 0 if it holds none.
        """
        parts = [name.split("/") for name in self._folder.names(self._checkpoints)]
        epochs = [int(part[2]) for part in parts if part[-1] == self.WHOLE]
        newest = max(epochs, default=0)
        if newest <= newer_than:
            return newer_than
        half = folder / f"fetching-{newest}"
        shutil.rmtree(half, ignore_errors=True)
        self._folder.fetch(f"{self._checkpoints}/{newest}", half)
        (half / self.WHOLE).unlink()
        half.rename(folder / str(newest))
        return newest

    def send_artifacts(self, folder: Path) -> None:
        """Write gallery, configuration, weights, and an error if there was one."""
        self._folder.send(folder, self._artifacts)


def is_remote(output: str) -> bool:
    """Return whether a study folder is named that lies in a store."""
    return output.startswith(SCHEME)


def folder_problems(field: str, output: str) -> list[str]:
    """Return why what is not a study, and so has no folder in a store, cannot be written to ``output``."""
    return [f"{field}{output} is in a store, where only studies go; give a folder"] if "://" in output else []


def working_copy(uri: str, cache: Path) -> Path:
    """Return the local folder in which the driver works on a study in a store; the same on every machine."""
    readable = re.sub(r"[^A-Za-z0-9._-]+", "-", uri.removeprefix(SCHEME)).strip("-")
    return cache / "remote" / f"{readable}-{hashlib.sha256(uri.rstrip('/').encode()).hexdigest()[:8]}"


def remote_problems(uri: str, mark: str, *, keeps: bool) -> list[str]:
    """Return why a new study cannot have its folder in a store.

    Args:
        uri: The folder.
        mark: Name of the object by which a study is recognised.
        keeps: Whether weights are to be removed as the study goes.
    """
    problems = []
    if keeps:
        problems.append(f"output={uri}: weights in a store all stay; give keep=null")
    try:
        remote, word = RemoteFolder.at(uri), f"probe-{uuid.uuid4().hex}"
        if remote.exists(mark):
            problems.append(
                f"output={uri} holds a study already; continue it with resume={uri}, or choose another folder"
            )
        remote.write(f"{word}/driver", b"")
        remote.remove(word)
    except OSError as error:
        reason = " ".join(str(error).split())[:200]
        problems.append(
            f"output={uri} cannot be written: {reason}; see AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL, the bucket"
        )
    return problems
