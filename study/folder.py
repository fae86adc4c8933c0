"""The folder of a study: who may write into it, what describes it, where checkpoints lie, what a dead driver left.

One driver at a time holds the folder's lock, which the system releases when its process dies. Workers need none: each
run of a driver has a checkpoint folder of its own, and a worker that outlived its driver finds its folder gone.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import uuid
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml
from filelock import FileLock, Timeout

from study.config import CONFIG, POINTS, ConfigError, StudyConfig
from study.durable import write_text_durably
from study.earlier import WARM_START, write_earlier
from study.records import PARTS, read_parts
from study.replicate_records import REPLICATES
from study.trial_run import checkpoint_folder, checkpoint_name

ENVIRONMENT = "environment.json"

LABEL_FILES = ("labels.csv", "list_attr_celeba.txt", "identity_CelebA.txt", "list_eval_partition.txt")
"""Files that say who and what images show; sets without one say it by the names of folders."""


class StudyFolder:
    """The folder of one study, locked."""

    def __init__(self, path: Path) -> None:
        """Keep the path; :func:`locked` makes folders."""
        self.path = path
        self.run = 0
        """Number of this run of a driver, from 1; 0 before :meth:`begin_run`."""

    def describe(self, config: StudyConfig, environment: Mapping[str, Any]) -> None:
        """Write what the study is and what it runs on: environment.json, then config.yaml, which marks a study."""
        described = {**environment, "id": str(uuid.uuid4()), "data": data_digest(config.data), "resumed": []}
        self._write_environment(described)
        if points := config.resolved.get("starting_points"):
            write_text_durably(self.path / POINTS, Path(points).read_text())
        write_earlier(self.path, config.warm_start)
        self.write_config(config)

    def write_config(self, config: StudyConfig) -> None:
        """Write config.yaml."""
        text = yaml.safe_dump(config.resolved, sort_keys=False, allow_unicode=True, width=120)
        write_text_durably(self.path / CONFIG, f"# The resolved configuration of this study.\n{text}")

    def note_resumed(self, environment: Mapping[str, Any], time: float) -> list[str]:
        """Add to environment.json what is no longer as it was at first; return it, one line a field.

        Args:
            environment: What the study runs on now.
            time: Unix time in seconds.
        """
        described = self.environment
        changed = {key: value for key, value in environment.items() if described.get(key) != value}
        described["resumed"] = [*described.get("resumed", []), {"time": time, "changed": changed}]
        self._write_environment(described)
        return [f"{key} was {described.get(key)}, is {value}" for key, value in changed.items()]

    def _write_environment(self, described: Mapping[str, Any]) -> None:
        write_text_durably(self.path / ENVIRONMENT, json.dumps(described, indent=2) + "\n")

    @property
    def environment(self) -> dict[str, Any]:
        """What environment.json holds."""
        return dict(json.loads((self.path / ENVIRONMENT).read_text()))

    def undescribe(self) -> None:
        """Take the description away again: the study could not be started, and the folder holds none."""
        for name in (CONFIG, POINTS, WARM_START, ENVIRONMENT):
            (self.path / name).unlink(missing_ok=True)

    def begin_run(self) -> None:
        """Make the checkpoint folder of this run, with the checkpoints of the last one.

        Renaming takes them from workers of an earlier driver that still live: what they wrote stays whole, and what
        they would write now has nowhere to go.
        """
        base = self.path / "checkpoints"
        base.mkdir(exist_ok=True)
        earlier = sorted((path for path in base.iterdir() if path.name.isdigit()), key=lambda path: int(path.name))
        self.run = int(earlier[-1].name) + 1 if earlier else 1
        if earlier:
            earlier[-1].rename(base / str(self.run))
        else:
            (base / str(self.run)).mkdir()
        for other in base.iterdir():
            if other.name != str(self.run):
                shutil.rmtree(other, ignore_errors=True)

    def drop_checkpoints(self, number: int, replicate: int) -> None:
        """Remove the checkpoints of a replicate that was recorded."""
        shutil.rmtree(checkpoint_folder(self.path, self.run) / checkpoint_name(number, replicate), ignore_errors=True)

    def drop_checkpoints_of(self, told: Collection[int]) -> None:
        """Remove all checkpoints of trials that were told."""
        for path in checkpoint_folder(self.path, self.run).iterdir():
            if int(path.name.partition(".")[0]) in told:
                shutil.rmtree(path, ignore_errors=True)

    def tidy(self) -> None:
        """Remove what a killed driver left: half-written files and Ray's own folder."""
        for temporary in [path for name in ("", PARTS, REPLICATES) for path in (self.path / name).glob(".*.tmp")]:
            temporary.unlink(missing_ok=True)
        shutil.rmtree(self.path / "ray", ignore_errors=True)

    def unreadable_parts(self) -> list[Path]:
        """Return the records that cannot be read, which no crash of ours leaves: a disk or a person did it."""
        broken = []
        for path in [path for name in (PARTS, REPLICATES) for path in sorted((self.path / name).glob("*.parquet"))]:
            try:
                read_parts(self.path, path.name, path.parent.name)
            except (OSError, pa.ArrowException):
                broken.append(path)
        return broken


@contextlib.contextmanager
def locked(path: Path) -> Iterator[StudyFolder]:
    """Make the folder if there is none and hold its lock.

    Raises:
        ConfigError: If another driver holds it.
    """
    path.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path / ".lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise ConfigError(
            [f"{path} is in use: another driver runs this study; wait for it to end, or stop it with Ctrl-C"]
        ) from None
    try:
        yield StudyFolder(path)
    finally:
        lock.release()


def data_digest(data: Mapping[str, Any]) -> str | None:
    """Return a hash of images on disk as far as names, sizes and labels go; None for data that are drawn.

    Cheap on purpose: pixels are not read.
    """
    root = data.get("root")
    if not isinstance(root, str):
        return None
    folder, digest = Path(root), hashlib.sha256()
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in files:
        digest.update(f"{path.relative_to(folder)}\0{path.stat().st_size}\n".encode())
    for path in files:
        if path.name in LABEL_FILES:
            digest.update(path.read_bytes())
    return digest.hexdigest()
