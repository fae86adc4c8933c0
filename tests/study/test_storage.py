"""Storages: the journal repairs itself, SQLite stays off network file systems, a real PostgreSQL server serves."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from optuna.testing.pytest_storages import StorageTestCase

from study.config import StudyConfig
from study.storage import StorageError, file_system, open_storage, repair_journal, without_password
from tests.study.in_process import evaluate_all

MakeConfig = Callable[..., StudyConfig]


def new_journal(folder: Path) -> optuna.Study:
    study = optuna.create_study(storage=open_storage("", folder), study_name="s")
    study.tell(study.ask(), 1.0)
    return study


@pytest.mark.parametrize("torn", [b"{", b'{"op_code": 4, "worker_id"', b"\0" * 64], ids=["brace", "half", "zeros"])
def test_a_torn_last_line_is_cut_off_and_the_journal_goes_on(tmp_path: Path, torn: bytes) -> None:
    new_journal(tmp_path)
    with (tmp_path / "journal.log").open("ab") as file:
        file.write(torn)
    repair_journal(tmp_path)
    study = optuna.load_study(storage=open_storage("", tmp_path), study_name="s")
    study.tell(study.ask(), 2.0)
    again = optuna.load_study(storage=open_storage("", tmp_path), study_name="s")
    assert [trial.values for trial in again.trials] == [[1.0], [2.0]]


def test_optuna_alone_cannot_read_what_it_appended_to_a_torn_line(tmp_path: Path) -> None:
    """Why the journal is repaired: this test fails once Optuna does it itself."""
    study = new_journal(tmp_path)
    with (tmp_path / "journal.log").open("ab") as file:
        file.write(b'{"op_code"')
    with pytest.raises(ValueError):  # noqa: PT011 - what it says depends on which of its reads comes first
        study.tell(study.ask(), 2.0)


def test_a_journal_that_is_damaged_in_the_middle_is_refused_by_name(tmp_path: Path) -> None:
    new_journal(tmp_path)
    first, *others = (tmp_path / "journal.log").read_bytes().splitlines(keepends=True)
    (tmp_path / "journal.log").write_bytes(b"".join([first, b"rubbish\n", *others]))
    repair_journal(tmp_path)
    with pytest.raises(StorageError, match=r"journal\.log is damaged"):
        open_storage("", tmp_path)


def test_locks_that_a_killed_driver_left_do_not_hold_up_the_next(tmp_path: Path) -> None:
    new_journal(tmp_path)
    (tmp_path / "journal.log.lock").symlink_to(tmp_path / "journal.log")
    repair_journal(tmp_path)
    study = optuna.load_study(storage=open_storage("", tmp_path), study_name="s")
    writer = threading.Thread(target=study.ask, daemon=True)
    writer.start()
    writer.join(timeout=20)  # Optuna itself would wait for 30 s before it breaks the lock
    assert not writer.is_alive()


def test_repairing_a_whole_journal_or_none_changes_nothing(tmp_path: Path) -> None:
    repair_journal(tmp_path)
    assert list(tmp_path.iterdir()) == []
    new_journal(tmp_path)
    before = (tmp_path / "journal.log").read_bytes()
    repair_journal(tmp_path)
    assert (tmp_path / "journal.log").read_bytes() == before


def test_the_type_of_a_file_system_is_that_of_the_nearest_mount(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(
        f"root / ext4 rw 0 0\nserver:/a {tmp_path}/shared nfs4 rw 0 0\nserver:/b {tmp_path}/a\\040b/c cifs rw 0 0\n"
    )
    assert file_system(tmp_path / "x.db", mounts) == "ext4"
    assert file_system(tmp_path / "shared" / "deep" / "x.db", mounts) == "nfs4"
    assert file_system(tmp_path / "a b" / "c" / "x.db", mounts) == "cifs"
    assert file_system(tmp_path, tmp_path / "no such file") == ""


@pytest.mark.parametrize(("kind", "refused"), [("nfs4", True), ("lustre", True), ("ext4", False), ("", False)])
def test_sqlite_is_refused_on_network_file_systems(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, refused: bool
) -> None:
    monkeypatch.setattr("study.storage.file_system", lambda path: kind)
    expected = pytest.raises(StorageError, match="network file system") if refused else contextlib.nullcontext()
    with expected:
        open_storage(f"sqlite:///{tmp_path}/x.db", tmp_path)


def test_wrong_urls_are_explained_without_their_password(tmp_path: Path) -> None:
    for url, words in [
        ("postgresql://me:secret@127.0.0.1:1/db", "cannot be opened"),
        ("mysql+nosuchdriver://me:secret@127.0.0.1/db", "cannot be opened"),
        ("nonsense", "cannot be opened"),
    ]:
        with pytest.raises(StorageError, match=words) as caught:
            open_storage(url, tmp_path)
        assert "secret" not in str(caught.value)
    assert without_password("postgresql://me:secret@host/db") == "postgresql://me:***@host/db"
    assert without_password("sqlite:///a.db") == "sqlite:///a.db"


@pytest.mark.slow
class TestJournalAgainstOptunasOwnContract(StorageTestCase):
    @pytest.fixture
    def storage(self, tmp_path: Path) -> optuna.storages.BaseStorage:
        return open_storage("", tmp_path)


def find(program: str) -> str | None:
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return shutil.which(program, path=os.pathsep.join([os.environ.get("PATH", ""), *map(str, places)]))


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    """Start a PostgreSQL server of our own on the loopback interface and return the URL of a database."""
    pytest.importorskip("psycopg", reason="psycopg is not installed: pip install '.[postgresql]'")
    initdb, postgres = find("initdb"), find("postgres")
    if initdb is None or postgres is None:
        pytest.skip("no PostgreSQL server is installed here (initdb and postgres were looked for)")
    account = pwd.getpwnam("nobody") if os.geteuid() == 0 else None  # the server refuses to run as root
    as_account = {"user": account.pw_uid, "group": account.pw_gid} if account else {}
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder = Path(name)
        if account:
            os.chown(folder, account.pw_uid, account.pw_gid)
        (folder / "password").write_text("between test and server")
        os.chmod(folder / "password", 0o644)
        command = [initdb, "-D", folder / "data", "-U", "me", "-A", "scram-sha-256", "--pwfile", folder / "password"]
        subprocess.run(command, check=True, capture_output=True, cwd=folder, **as_account)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [postgres, "-D", folder / "data", "-h", "127.0.0.1", "-p", str(port), "-k", folder]
        with (folder / "log").open("w") as log:
            server = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, **as_account)
        try:
            yield _wait_for(f"postgresql://me:between%20test%20and%20server@127.0.0.1:{port}/postgres", folder / "log")
        finally:
            server.send_signal(signal.SIGINT)  # ends connections; after TERM it would wait for clients to leave
            server.wait(timeout=60)


def _wait_for(url: str, log: Path) -> str:
    import time

    import psycopg

    for _ in range(300):
        with contextlib.suppress(psycopg.OperationalError), psycopg.connect(url):
            return url
        time.sleep(0.2)
    raise AssertionError(log.read_text())


@pytest.mark.slow
def test_a_study_in_postgresql_is_interrupted_and_resumed(
    postgresql: str, make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_config(f"storage={postgresql}", "budget.trials=6", "name=in-a-database", "checkpoint_every=1")
    with pytest.raises(KeyboardInterrupt):
        evaluate_all(config, die_after=3)
    trials = optuna.load_study(storage=open_storage(postgresql, config.output), study_name=config.name).trials
    assert [trial.state.name for trial in trials].count("COMPLETE") == 3
    assert evaluate_all(replace(config, resume=True))
    trials = optuna.load_study(storage=open_storage(postgresql, config.output), study_name=config.name).trials
    assert [trial.state.name for trial in trials] == ["COMPLETE"] * 6
    assert all(list(trial.constraints) == ["detectability", "leak"] for trial in trials)
    assert not (config.output / "journal.log").exists()
    for path in config.output.rglob("*"):
        assert path.is_dir() or b"between" not in path.read_bytes()


@pytest.mark.slow
def test_another_folders_study_in_the_same_database_is_refused(
    postgresql: str, make_config: MakeConfig, tmp_path: Path
) -> None:
    from study.config import ConfigError

    config = make_config(f"storage={postgresql}", "budget.trials=2", "name=shared-name")
    assert evaluate_all(config)
    other = make_config(f"storage={postgresql}", "budget.trials=2", "name=shared-name", f"output={tmp_path}/other")
    with pytest.raises(ConfigError, match="holds a study named 'shared-name' already") as caught:
        evaluate_all(other)
    assert "between" not in str(caught.value)
    assert not (other.output / "config.yaml").exists()  # so that the folder can be used
    copy = shutil.copytree(config.output, tmp_path / "copy")
    (copy / "environment.json").write_text('{"id": "another", "data": null}')
    with pytest.raises(ConfigError, match="belongs to another folder"):
        evaluate_all(replace(config, output=copy, resume=True))
