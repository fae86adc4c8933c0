"""Open the Optuna storage of a study: a journal file in its folder, or a database at a URL.

A database's password is taken out of everything that is written or printed. Whoever holds the folder's lock may repair
the journal: a driver that was killed can leave a torn last line and the lock of Optuna's own that it held.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import optuna
from optuna.storages.journal import JournalFileBackend

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

JOURNAL = "journal.log"


class StorageError(ValueError):
    """The storage cannot be used; the message says why and what to do."""


NETWORK_FILE_SYSTEMS = (
    *("9p", "afs", "beegfs", "ceph", "cifs", "gfs2", "glusterfs", "gpfs", "lustre", "nfs", "nfs4", "smb3", "smbfs"),
    *("fuse.glusterfs", "fuse.s3fs", "fuse.sshfs"),
)
"""Types of file systems, as mount tables name them, on which SQLite's locks cannot be relied on."""


def open_storage(url: str, folder: Path) -> optuna.storages.BaseStorage:
    """Return the storage at ``url``, or the journal file of the study folder if that is empty.

    Raises:
        StorageError: If the URL cannot be used, its driver is not installed, the server does not answer, SQLite would
            lie on a network file system, or the journal is damaged.
    """
    if not url:
        return _open_journal(folder / JOURNAL)
    import sqlalchemy.exc

    shown = without_password(url)
    try:
        return optuna.storages.RDBStorage(
            _usable(url).render_as_string(hide_password=False),
            engine_kwargs={"pool_pre_ping": True},  # a connection that the server closed meanwhile is opened anew
        )
    except ImportError as error:
        raise StorageError(
            f"storage={shown} needs a driver that is not installed ({error}); pip install '.[postgresql]'"
        ) from None
    except (optuna.exceptions.StorageInternalError, sqlalchemy.exc.SQLAlchemyError) as error:
        reason = " ".join(str(error.__cause__ or error).split())[:200]
        raise StorageError(f"storage={shown} cannot be opened: {reason}") from None


def without_password(url: str) -> str:
    """Return a URL with its password, if it holds one, replaced by ``***``."""
    if "://" not in url:
        return url
    import sqlalchemy.exc
    from sqlalchemy.engine import make_url

    try:
        return make_url(url).render_as_string(hide_password=True)
    except sqlalchemy.exc.ArgumentError:
        return url


def _usable(url: str) -> URL:
    """Return the URL with PostgreSQL's driver named, after refusing SQLite where its locks do not hold."""
    from sqlalchemy.engine import make_url

    parsed = make_url(url)
    if parsed.drivername in ("postgres", "postgresql"):  # what it stands for differs between versions of SQLAlchemy
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername.startswith("sqlite") and parsed.database:
        kind = file_system(Path(parsed.database))
        if kind in NETWORK_FILE_SYSTEMS:
            raise StorageError(
                f"storage={url} lies on a network file system ({kind}), where SQLite can lose data; leave storage out "
                "for a journal file in the study folder, or name a PostgreSQL server"
            )
    return parsed


def file_system(path: Path, mounts: Path = Path("/proc/self/mounts")) -> str:
    """Return the type of the file system that ``path`` is or would be on; empty where the system does not tell."""
    try:
        lines = [line.split() for line in mounts.read_text().splitlines()]
    except OSError:
        return ""
    # Spaces in mount points are written as \040 there.
    kinds = {Path(fields[1].replace("\\040", " ")): fields[2] for fields in lines if len(fields) > 2}
    path = path.resolve()
    return next((kinds[folder] for folder in (path, *path.parents) if folder in kinds), "")


def _open_journal(path: Path) -> optuna.storages.JournalStorage:
    try:
        return optuna.storages.JournalStorage(JournalFileBackend(str(path)))
    except ValueError as error:
        raise StorageError(f"{path} is damaged ({error}); put a copy of it back") from None


def repair_journal(folder: Path) -> None:
    """Take a torn last line and left-over locks away; only for whoever holds the lock of the study folder.

    Optuna would append to a torn line, and could then read neither it nor the line that was appended. The operation in
    it never took effect for anybody, so nothing is lost with it.
    """
    for lock in folder.glob(f"{JOURNAL}.lock*"):
        lock.unlink(missing_ok=True)
    path = folder / JOURNAL
    if not path.exists():
        return
    with path.open("rb+") as file:
        content = file.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            file.truncate(whole)
