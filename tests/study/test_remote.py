"""Study folders in a store: on a plain folder for the rules, and on a real S3 server here for whole studies."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import optuna
import pytest
from pyarrow import fs

from study.cli import resolve
from study.config import ConfigError, StudyConfig
from study.mirror import Mirror, fetch_study
from study.node_check import DRIVER_FILE, PROBE, Question, look
from study.outcomes import Outcome
from study.records import read_parts
from study.remote import RemoteFolder, RemoteTrial, working_copy
from study.storage import open_storage
from study.trial_run import TrialRun
from tests.study.in_process import evaluate_all
from tests.study.test_searcher_contract import measured, new_study
from tests.study.test_trial_run import new_task, run_to_end

MakeConfig = Callable[..., StudyConfig]


@pytest.fixture
def remote(tmp_path: Path) -> RemoteFolder:
    return RemoteFolder(fs.LocalFileSystem(), str(tmp_path / "store" / "study"))


def test_objects_are_written_listed_read_and_removed(remote: RemoteFolder, tmp_path: Path) -> None:
    assert list(remote.names()) == []
    remote.write("a/b.txt", b"1")
    remote.write("a/c/d.txt", b"2")
    assert list(remote.names()) == ["a/b.txt", "a/c/d.txt"]
    assert list(remote.names("a/c")) == ["a/c/d.txt"]
    assert remote.exists("a/b.txt")
    assert not remote.exists("a")
    assert remote.read("a/c/d.txt") == b"2"
    with pytest.raises(FileNotFoundError):
        remote.read("none")
    remote.fetch("a", tmp_path / "here")
    assert (tmp_path / "here" / "c" / "d.txt").read_bytes() == b"2"
    remote.remove("a/c")
    assert list(remote.names()) == ["a/b.txt"]


def test_two_studies_have_two_working_copies_and_one_has_the_same_everywhere(tmp_path: Path) -> None:
    copies = {working_copy(uri, tmp_path) for uri in ("s3://b/x", "s3://b/x/", "s3://b/y", "s3://c/x", "s3://b-x")}
    assert len(copies) == 4
    assert all(copy.parent == tmp_path / "remote" for copy in copies)


def test_half_a_checkpoint_in_the_store_is_never_taken(remote: RemoteFolder, tmp_path: Path) -> None:
    trial = RemoteTrial(remote, "3", "artifacts/3")
    for epoch in ("2", "4"):
        (tmp_path / epoch).mkdir()
        (tmp_path / epoch / "state.json").write_text(epoch)
    trial.send_checkpoint(tmp_path / "2")
    remote.write("checkpoints/3/4/state.json", b"4")  # its last object is missing
    assert trial.fetch_checkpoint(tmp_path / "there", 0) == 2
    assert (tmp_path / "there" / "2" / "state.json").read_text() == "2"
    assert trial.fetch_checkpoint(tmp_path / "there", 3) == 3
    trial.send_checkpoint(tmp_path / "4")
    assert trial.fetch_checkpoint(tmp_path / "there", 2) == 4
    assert [path.name for path in (tmp_path / "there" / "4").iterdir()] == ["state.json"]
    assert not list(remote.names("checkpoints/3/2"))


def test_the_store_has_every_record_before_its_journal_says_finished(remote: RemoteFolder, tmp_path: Path) -> None:
    order: list[str] = []
    write = remote.write
    remote.write = lambda name, content: (order.append(name), write(name, content))[1]  # type: ignore[method-assign]
    folder = tmp_path / "copy"
    for name in ("journal.log", "config.yaml", "parts/00001.parquet", "parts/.x.tmp", "replicates/00001.0.parquet"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("1")
    mirror = Mirror(remote, folder, print)
    mirror.push()
    assert order == ["replicates/00001.0.parquet", "parts/00001.parquet", "config.yaml", "journal.log"]
    mirror.push()
    assert len(order) == 4  # what has not changed is not sent again
    (folder / "journal.log").write_text("12")
    mirror.push()
    assert order[4:] == ["journal.log"]


def test_a_store_that_is_away_costs_one_warning_and_the_next_push_catches_up(
    remote: RemoteFolder, tmp_path: Path
) -> None:
    said: list[str] = []
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "journal.log").write_text("1")
    mirror, write = Mirror(remote, tmp_path / "copy", said.append), remote.write

    def refuse(name: str, content: bytes) -> None:
        raise OSError("away")

    remote.write = refuse  # type: ignore[method-assign]
    mirror.push()
    mirror.push()
    assert len(said) == 1
    with pytest.raises(OSError, match="away"):
        mirror.finish()
    remote.write = write  # type: ignore[method-assign]
    mirror.push()
    assert remote.read("journal.log") == b"1"


def new_store(remote: RemoteFolder, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a study of an earlier driver at the address of ``URI``."""
    monkeypatch.setattr(RemoteFolder, "at", lambda uri: remote)
    contents = {"config.yaml": f"cache: {cache}", "journal.log": "1", "owner.txt": "w", "parts/1.parquet": "1"}
    for name, content in contents.items():
        remote.write(name, content.encode())


URI = "s3://bucket/study"


@pytest.mark.parametrize("whole", range(4))
def test_an_interrupted_fetch_is_made_again(
    remote: RemoteFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: int
) -> None:
    new_store(remote, tmp_path / "cache", monkeypatch)
    folder, real = working_copy(URI, tmp_path / "cache"), Path.write_bytes

    def write(path: Path, content: bytes) -> int:
        if len([one for one in folder.rglob("*") if one.is_file()]) == whole:
            raise KeyboardInterrupt
        return real(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", write)
        with pytest.raises(KeyboardInterrupt):
            fetch_study(URI)
    assert fetch_study(URI) == folder
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} == {*remote.names()}


@pytest.mark.parametrize("survives", range(5))
def test_what_the_store_lacks_survives_a_driver_that_dies_while_it_takes_over(
    remote: RemoteFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, survives: int
) -> None:
    new_store(remote, tmp_path / "cache", monkeypatch)
    folder = fetch_study(URI)
    (folder / "parts" / "2.parquet").write_text("unpushed")
    write, written = remote.write, list[str]()

    def write_some(name: str, content: bytes) -> None:
        if len(written) == survives:
            raise OSError("away")
        written.append(name)
        write(name, content)

    with monkeypatch.context() as patch:
        patch.setattr(remote, "write", write_some)
        with pytest.raises(OSError, match="away"):
            Mirror(remote, folder, print).claim()
    assert (fetch_study(URI) / "parts" / "2.parquet").read_text() == "unpushed"


def test_a_driver_that_dies_between_the_two_marks_loses_nothing(
    remote: RemoteFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_store(remote, tmp_path / "cache", monkeypatch)
    folder = fetch_study(URI)
    (folder / "parts" / "2.parquet").write_text("unpushed")

    def die(path: Path, text: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", die)
        with pytest.raises(KeyboardInterrupt):
            Mirror(remote, folder, print).claim()
    assert (fetch_study(URI) / "parts" / "2.parquet").read_text() == "unpushed"


def test_a_copy_whose_first_push_was_interrupted_is_kept(
    remote: RemoteFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_store(remote, tmp_path / "cache", monkeypatch)
    folder = fetch_study(URI)
    (tmp_path / "store" / "study" / "owner.txt").unlink()
    (folder / "owner.txt").unlink()
    (folder / "environment.json").write_text("unpushed")
    assert (fetch_study(URI) / "environment.json").exists()


def test_a_store_that_is_away_costs_no_trial_its_result(
    remote: RemoteFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("away")

    monkeypatch.setattr(RemoteFolder, "at", lambda uri: remote)
    for name in ("names", "read", "write"):
        monkeypatch.setattr(remote, name, refuse)
    reports = run_to_end(TrialRun(replace(new_task(tmp_path, epochs=5), remote=URI)))
    assert reports[-1].fault is None
    assert reports[-1].metrics
    notes = [report.note or "" for report in reports]
    assert "checkpoints in the store cannot be read" in notes[0]
    assert notes[1:4] == ["", "", ""]  # the checkpoints of epochs 2 and 4 are of the same fault
    assert str(tmp_path / "artifacts" / "3") in notes[4]
    assert "away" in notes[4]


def test_a_checkpoint_that_was_fetched_in_part_is_not_taken(remote: RemoteFolder, tmp_path: Path) -> None:
    trial, read = RemoteTrial(remote, "3", "artifacts/3"), remote.read
    (tmp_path / "2").mkdir()
    (tmp_path / "2" / "state.json").write_text("2")
    trial.send_checkpoint(tmp_path / "2")

    def read_some(name: str) -> bytes:
        if name.endswith("whole"):
            raise OSError("away")
        return read(name)

    remote.read = read_some  # type: ignore[method-assign]
    with pytest.raises(OSError, match="away"):
        trial.fetch_checkpoint(tmp_path / "there", 0)
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["fetching-2"]
    remote.read = read  # type: ignore[method-assign]
    assert trial.fetch_checkpoint(tmp_path / "there", 0) == 2
    assert [path.name for path in (tmp_path / "there").rglob("*")] == ["2", "state.json"]


def test_a_person_reads_what_a_worker_notes(make_config: MakeConfig) -> None:
    study = new_study(make_config)
    said: list[str] = []
    study.searcher.progress.say = said.append  # type: ignore[method-assign,assignment]
    study.searcher.suggest("a")
    study.searcher.on_trial_complete("a", {"report": replace(measured(), note="its artifacts are elsewhere")})
    assert "warning: trial 0: its artifacts are elsewhere" in said
    assert study.rows[0]["outcome"] == Outcome.OK


def test_a_node_that_cannot_use_the_store_says_why() -> None:
    fault = look(Question((), "w", {}, "s3://"), "0")["folders"]["s3://"]
    assert "cannot be used" in fault
    assert "AWS_" in fault


# On a real server --------------------------------------------------------------------------------------------------

with_server = pytest.mark.skipif(
    not (find_spec("moto") and find_spec("flask_cors")), reason="needs moto and flask: pip install '.[dev]'"
)
KEYS = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Start an S3 server with a bucket ``studies`` and return its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(urllib.request.Request(f"{address}/studies", method="PUT"))
            break
        except OSError:
            assert time.monotonic() < deadline, "the server does not start"
            time.sleep(0.1)
    yield address
    process.terminate()
    process.wait()


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """Return an address below which nothing lies yet."""
    for name, value in {**KEYS, "AWS_ENDPOINT_URL": server, "AWS_EC2_METADATA_DISABLED": "true"}.items():
        monkeypatch.setenv(name, value)
    return f"s3://studies/{tmp_path.name}"


def settings(bucket: str, cache: Path, *more: str) -> list[str]:
    return ["experiment=empty", "name=r", f"output={bucket}", f"cache={cache}", "keep=null", *more]


@with_server
def test_a_study_goes_into_the_store_and_is_resumed_from_it_on_another_machine(bucket: str, tmp_path: Path) -> None:
    first = resolve(settings(bucket, tmp_path / "cache", "budget.trials=6", "checkpoint_every=1"))
    with pytest.raises(KeyboardInterrupt):
        evaluate_all(first, die_after=3)
    done = {row["trial"]: row for row in read_parts(first.output) if row["outcome"] != Outcome.PREEMPTED}
    shutil.rmtree(tmp_path / "cache")  # the machine is gone

    second = resolve([f"resume={bucket}"])
    assert evaluate_all(second)
    rows = {row["trial"]: row for row in read_parts(second.output)}
    assert len(rows) == 6
    assert all(rows[number] == row for number, row in done.items())
    remote = RemoteFolder.at(bucket)
    assert {"config.yaml", "environment.json", "journal.log", "trials.parquet"} <= set(remote.names())
    assert sum(name.startswith("parts/") for name in remote.names()) == 6
    assert {f"artifacts/{number}/config.yaml" for number in rows} <= set(remote.names("artifacts"))
    assert (second.output / "artifacts" / "0" / "config.yaml").exists()  # though another machine ran it
    assert not list(remote.names("checkpoints"))
    trials = optuna.load_study(study_name="r", storage=open_storage("", second.output)).get_trials()
    assert all(trial.state.is_finished() for trial in trials)


@with_server
def test_a_working_copy_that_knows_more_than_the_store_is_kept(bucket: str, tmp_path: Path) -> None:
    config = resolve(settings(bucket, tmp_path / "cache", "budget.trials=2"))
    evaluate_all(config)
    newest = (config.output / "journal.log").read_bytes()
    RemoteFolder.at(bucket).write("journal.log", newest[: len(newest) // 2])  # its driver died before it was sent
    assert (fetch_study(bucket) / "journal.log").read_bytes() == newest
    (config.output / "owner.txt").write_text("of a run before the last")
    assert (fetch_study(bucket) / "journal.log").read_bytes() != newest


@with_server
def test_a_trial_goes_on_elsewhere_from_the_checkpoint_in_the_store(bucket: str, tmp_path: Path) -> None:
    here, there = (replace(new_task(tmp_path / node, epochs=6), remote=bucket) for node in ("here", "there"))
    run = TrialRun(here)
    for _ in range(5):
        run.step()
    (report,) = (TrialRun(there).step(),)
    assert [item.epoch for item in report.history] == [1, 2, 3, 4, 5]
    reports = run_to_end(TrialRun(there))
    assert [item.epoch for item in reports[-1].history][-1] == 6
    assert RemoteFolder.at(bucket).exists("artifacts/3/config.yaml")


@with_server
def test_what_is_wrong_with_a_store_is_told_with_everything_else(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve(["experiment=empty", "output=s3://no-such-bucket/x", f"cache={tmp_path}", "budget.trials=0"])
    problems = "\n".join(caught.value.problems)
    assert len(caught.value.problems) == 3
    for words in ("give keep=null", "cannot be written", "budget.trials=0"):
        assert words in problems
    with pytest.raises(ConfigError, match="no study was started there"):
        resolve([f"resume={bucket}/nothing"])
    evaluate_all(resolve(settings(bucket, tmp_path / "cache", "budget.trials=1")))
    with pytest.raises(ConfigError, match="holds a study already"):
        resolve(settings(bucket, tmp_path / "other", "budget.trials=1"))


@with_server
def test_a_node_proves_that_it_reads_and_writes_the_store(bucket: str) -> None:
    remote = RemoteFolder.at(bucket)
    assert "cannot be used" in look(Question((), "w", {}, bucket), "0")["folders"][bucket]
    remote.write(f"{PROBE}-w/{DRIVER_FILE}", b"w")
    assert look(Question((), "w", {}, bucket), "0")["folders"] == {}
    assert remote.read(f"{PROBE}-w/0") == b"w"
