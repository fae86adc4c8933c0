"""The live view: it follows the records, and answers this machine, three addresses and nothing else."""

import http.client
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from analysis.__main__ import FAILED, main
from analysis.watch import LOOPBACK, StudyServer

MakeStudy = Callable[..., Path]


@contextmanager
def served(folder: Path) -> Iterator[StudyServer]:
    with StudyServer(folder, 0, 1.0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def ask(server: StudyServer, path: str, host: str | None = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(LOOPBACK, server.server_port, timeout=60)
    connection.request("GET", path, headers={"Host": host or f"{LOOPBACK}:{server.server_port}"})
    answer = connection.getresponse()
    found = answer.status, answer.read()
    connection.close()
    return found


def test_the_page_follows_the_records_of_a_running_study(make_study: MakeStudy) -> None:
    folder = make_study("running", trials=5, finished=False)
    later = folder / "parts" / "00004.parquet"
    kept = later.read_bytes()
    later.unlink()
    with served(folder) as server:
        before, page = ask(server, "/records")[1], ask(server, "/")[1]
        assert b"it shows the 4 trials of 24 recorded so far" in page
        assert b'content="' + before + b'"' in page
        assert ask(server, "/records")[1] == before
        later.write_bytes(kept)
        after, page = ask(server, "/records")[1], ask(server, "/")[1]
        assert after != before
        assert b"it shows the 5 trials of 24 recorded so far" in page
        assert b"connect-src 'self'" in page


def test_a_study_without_trials_waits_for_its_first(make_study: MakeStudy, tmp_path: Path) -> None:
    folder = tmp_path / "fresh"
    folder.mkdir()
    (folder / "config.yaml").write_text("study: {}\n")
    with served(folder) as server:
        assert b"no finished trial yet" in ask(server, "/")[1]
        made = make_study("made", trials=1, finished=False)
        (folder / "parts").mkdir()
        (folder / "parts" / "00000.parquet").write_bytes((made / "parts" / "00000.parquet").read_bytes())
        assert b"keyed-or-learned" in ask(server, "/")[1]


def test_galleries_are_served_and_no_other_file(make_study: MakeStudy, tmp_path: Path) -> None:
    folder = make_study(trials=4, galleries=(0,))
    secret = tmp_path / "secret.png"
    secret.write_bytes((folder / "artifacts" / "0" / "gallery.png").read_bytes())
    for trial, target in (("2", secret), ("3", folder / "config.yaml")):
        (folder / "artifacts" / trial).mkdir()
        os.symlink(target, folder / "artifacts" / trial / "gallery.png")
    with served(folder) as server:
        status, picture = ask(server, "/artifacts/0/gallery.png")
        assert (status, picture[:4]) == (200, b"\x89PNG")
        for path in (
            "/artifacts/1/gallery.png",
            "/artifacts/2/gallery.png",  # A link that leads out of the study.
            "/artifacts/3/gallery.png",  # No picture.
            "/artifacts/../config.yaml",
            "/artifacts/0/../../config.yaml",
            "/artifacts/..%2fconfig.yaml",
            "/artifacts/0/config.yaml",
            "//etc/passwd",
            "/config.yaml",
        ):
            assert ask(server, path)[0] == 404, path


def test_requests_that_name_another_host_are_refused(make_study: MakeStudy) -> None:
    with served(make_study(trials=2)) as server:
        assert ask(server, "/records", f"localhost:{server.server_port}")[0] == 200
        for host in ("study.example", f"study.example:{server.server_port}", LOOPBACK, f"{LOOPBACK}:1"):
            assert ask(server, "/records", host)[0] == 403, host


def test_the_server_listens_on_loopback_only(make_study: MakeStudy) -> None:
    with served(make_study(trials=2)) as server:
        assert server.server_address[0] == "127.0.0.1"


@pytest.mark.parametrize(
    ("options", "message"),
    [(["--seconds", "0.1"], "--seconds must be at least 1"), (["--port", "99999"], "--port=99999 cannot be used")],
)
def test_wrong_requests_are_refused(
    make_study: MakeStudy, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    assert main(["watch", str(make_study(trials=2)), *options]) == FAILED
    assert message in capsys.readouterr().err


def test_a_port_in_use_is_named(make_study: MakeStudy, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_study(trials=2)
    with served(folder) as server:
        assert main(["watch", str(folder), "--port", str(server.server_port)]) == FAILED
        assert "any free one" in capsys.readouterr().err


def test_a_folder_that_is_no_study_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["watch", str(tmp_path)]) == FAILED
    assert "is no study folder" in capsys.readouterr().err
