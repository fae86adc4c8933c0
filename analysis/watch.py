"""``python -m analysis watch``: the report of a running study, served to this machine only and drawn from its records.

A small HTTP server on the loopback address. It answers three addresses and no other: the page, a stamp of the records
that the page asks for now and then, and galleries by trial number. The page loads itself anew when the stamp changed
and keeps axes, filters and the open trial, which are in its address. Requests that name another host are refused, so
that a web page elsewhere cannot read the study by pointing its own name at this machine (DNS rebinding).
"""

import hashlib
import re
import threading
from contextlib import suppress
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from analysis.errors import AnalysisError, NoTrialsYetError
from analysis.gallery import gallery_path
from analysis.parts import Cache
from analysis.records import load_study
from analysis.report import Live, build_report, page_script

LOOPBACK = "127.0.0.1"
PNG = b"\x89PNG\r\n\x1a\n"
_GALLERY = re.compile(r"/artifacts/(\d{1,9})/gallery\.png")


class Watched:
    """A study folder with the page of its records as they stand; safe to ask from several threads."""

    def __init__(self, folder: Path, seconds: float) -> None:
        """Watch ``folder``; the page asks for changes every so many ``seconds``."""
        self._folder, self._seconds = folder, seconds
        self._lock = threading.Lock()
        self._cache: Cache = {}
        self._stamp, self._page = "", b""

    def stamp(self) -> str:
        """Return a text that changes whenever a file of the records does."""
        found = hashlib.sha256()
        names = [self._folder / name for name in ("trials.parquet", "controls.parquet", "environment.json")]
        for path in [*names, *sorted(self._folder.glob("parts/**/*.parquet"))]:
            try:
                state = path.stat()
            except OSError:
                continue
            found.update(f"{path.name} {state.st_size} {state.st_mtime_ns}\n".encode())
        return found.hexdigest()[:16]

    def page(self) -> bytes:
        """Return the report of the records as they stand, or what there is to say while there is none."""
        with self._lock:
            stamp = self.stamp()
            if stamp != self._stamp:
                self._page, self._stamp = self._build(stamp).encode(), stamp
            return self._page

    def _build(self, stamp: str) -> str:
        live = Live(stamp, self._seconds)
        try:
            return build_report(load_study(self._folder, self._cache), live=live).html
        except AnalysisError as error:
            return _waiting_page(str(error), live)

    def gallery(self, trial: int) -> bytes | None:
        """Return the gallery of a trial, or None where there is none; never a file outside the study folder."""
        path = gallery_path(self._folder, trial)
        try:
            if not path.resolve().is_relative_to(self._folder.resolve()):
                return None
            data = path.read_bytes()
        except OSError:
            return None
        return data if data.startswith(PNG) else None


def _waiting_page(message: str, live: Live) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Waiting for the study</title>'
        f"{live.tag()}</head><body><h1>Nothing to show yet</h1><p>{escape(message)}</p>"
        f"<script>{page_script('live')}</script></body></html>"
    )


class StudyServer(ThreadingHTTPServer):
    """Serves one watched study on the loopback address."""

    daemon_threads = True

    def __init__(self, folder: Path, port: int, seconds: float) -> None:
        """Bind the port; 0 takes any that is free.

        Raises:
            AnalysisError: If the folder is no study that can be read, or the port cannot be bound.
        """
        with suppress(NoTrialsYetError):  # The page says so and waits.
            load_study(folder)
        self.watched = Watched(folder, seconds)
        try:
            super().__init__((LOOPBACK, port), _Handler)
        except (OSError, OverflowError) as error:
            raise AnalysisError(
                f"--port={port} cannot be used ({error}); give another between 1024 and 65535, or 0 for any free one"
            ) from error
        self.hosts = {f"{name}:{self.server_port}" for name in (LOOPBACK, "localhost")}

    @property
    def address(self) -> str:
        """Address of the page."""
        return f"http://{LOOPBACK}:{self.server_port}/"


class _Handler(BaseHTTPRequestHandler):
    server: StudyServer
    server_version = "study"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer one of the three addresses."""
        if self.headers.get("Host") not in self.server.hosts:
            self._answer(403, "text/plain", b"this page is for this machine only\n")
            return
        watched, path = self.server.watched, self.path.partition("?")[0]
        gallery = _GALLERY.fullmatch(path)
        if path == "/":
            self._answer(200, "text/html; charset=utf-8", watched.page())
        elif path == "/records":
            self._answer(200, "text/plain", watched.stamp().encode())
        elif gallery and (picture := watched.gallery(int(gallery[1]))) is not None:
            self._answer(200, "image/png", picture)
        else:
            self._answer(404, "text/plain", b"nothing here\n")

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        for name, value in (
            ("Content-Type", kind),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing of requests; the page says whether it is live."""


def watch(folder: Path, *, port: int, seconds: float) -> None:
    """Serve the report of a study until Ctrl-C.

    Raises:
        AnalysisError: If the folder is no study, the port cannot be bound, or ``seconds`` is below one.
    """
    if not seconds >= 1.0:
        raise AnalysisError(f"--seconds must be at least 1, got {seconds:g}")
    with StudyServer(folder, port, seconds) as server:
        print(f"{server.address} shows {folder} as it grows; Ctrl-C ends it", flush=True)
        try:
            server.serve_forever(poll_interval=0.2)
        except KeyboardInterrupt:
            print()
