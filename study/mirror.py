"""Keep a study folder in a store up to date with the driver's working copy, so that either can go on.

After every proposal and every record what is new goes into the store: records first, the search's journal last. So the
store never holds a finished trial without its record, nor a record of a trial that its journal does not know, and a
study that lost its driver's machine is resumed from the store as from a folder (``study.recovery``).
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable
from pathlib import Path

import yaml

from study.config import CONFIG, ConfigError
from study.records import PARTS
from study.remote import RemoteFolder, working_copy
from study.replicate_records import REPLICATES
from study.storage import JOURNAL

OWNER = "owner.txt"
"""Object and file with a word that each run of a driver makes: where both hold it, the working copy is the newest."""


class Mirror:
    """Puts what a driver writes into the store."""

    def __init__(self, remote: RemoteFolder, folder: Path, say: Callable[[str], None]) -> None:
        """Begin to mirror; what lies in ``folder`` now is put into the store by the first :meth:`push`."""
        self._remote, self._folder, self._say = remote, folder, say
        self._sent: dict[Path, tuple[int, int]] = {}
        self._failed = False

    def claim(self) -> None:
        """Mark the working copy as the one that the store follows from now on.

        The store has all of it before the first mark changes, so that a copy whose mark is not the store's may go.

        Raises:
            OSError: If the store cannot be written; the marks are then as before.
        """
        self._push()
        word = uuid.uuid4().hex
        self._remote.write(OWNER, word.encode())
        (self._folder / OWNER).write_text(word)

    def push(self) -> None:
        """Put what is new into the store. One that is away for a moment costs a warning: the next call catches up."""
        try:
            self._push()
        except OSError as error:
            if not self._failed:
                reason = " ".join(str(error).split())[:200]
                self._say(f"warning: the store cannot be written ({reason}); the working copy {self._folder} is whole")
            self._failed = True
        else:
            self._failed = False

    def finish(self) -> None:
        """Put everything into the store, and fetch the artifacts that workers elsewhere put there; weights stay there.

        Raises:
            OSError: If that is not possible; the working copy is whole, and resuming the study does it again.
        """
        self._push()
        for name in self._remote.names("artifacts"):
            path = self._folder / name
            if not path.exists() and path.suffix != ".safetensors":
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(self._remote.read(name))

    def forget(self, name: str) -> None:
        """Remove a trial's checkpoints from the store; some that stay behind do no harm."""
        try:
            self._remote.remove(f"checkpoints/{name}")
        except OSError as error:
            self._say(f"warning: checkpoints of trial {name} stay in the store ({error})")

    def _push(self) -> None:
        """Write every file that has changed, the journal last: where it says finished, the record must be there."""
        top = [path for path in self._folder.iterdir() if path.is_file() and not path.name.startswith(".")]
        parts = [path for name in (REPLICATES, PARTS) for path in sorted((self._folder / name).glob("*.parquet"))]
        last = self._folder / JOURNAL
        for path in [*parts, *(path for path in top if path not in (last, self._folder / OWNER)), last]:
            if not path.exists():
                continue
            status = path.stat()
            state = status.st_mtime_ns, status.st_size
            if self._sent.get(path) != state:
                self._remote.write(path.relative_to(self._folder).as_posix(), path.read_bytes())
                self._sent[path] = state


def fetch_study(uri: str) -> Path:
    """Return the working copy of a study in a store, made or brought up to date.

    Raises:
        ConfigError: If there is no study, or the store cannot be read.
    """
    try:
        remote = RemoteFolder.at(uri)
        if not remote.exists(CONFIG):
            raise ConfigError([f"resume={uri}: no study was started there ({CONFIG} is missing)"])
        # The copy's place is in the configuration, which is therefore read first.
        saved = yaml.safe_load(remote.read(CONFIG))
        if not isinstance(saved, dict) or not isinstance(saved.get("cache"), str):
            raise ConfigError([f"resume={uri}: {CONFIG} holds no configuration"])
        folder = working_copy(uri, Path(saved["cache"]).absolute())
        if not _is_newest(remote, folder):
            shutil.rmtree(folder, ignore_errors=True)
            names = [name for name in remote.names() if not name.startswith(("artifacts/", "checkpoints/"))]
            for name in sorted(names, key=[CONFIG, OWNER].count):  # these last: half a copy must not pass for a whole
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(remote.read(name))
        return folder
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError([f"resume={uri} cannot be read: {' '.join(str(error).split())[:300]}"]) from None


def _is_newest(remote: RemoteFolder, folder: Path) -> bool:
    """Return whether the last driver of a study worked in this copy: it may know more than the store then.

    One that ended before its mark was written, in the study's first moments, left none on either side.
    """
    mark = folder / OWNER
    here = mark.read_bytes() if mark.exists() else None
    there = remote.read(OWNER) if remote.exists(OWNER) else None
    return here == there and (folder / CONFIG).exists()
