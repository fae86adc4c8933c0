"""Exports hold what the records hold, and pictures are what the report shows."""

import csv
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from analysis.__main__ import main
from analysis.browser import Browser, find_browser
from analysis.export import export

MakeStudy = Callable[..., Path]


class Painter(Browser):
    """Draws nothing, and forgets the last figure."""

    def draw(self, figures: Mapping[str, Any], *, width: int) -> dict[str, dict[str, bytes]]:
        return {name: {"png": b"p", "svg": b"s"} for name in list(figures)[:-1]}


def test_trials_are_exported_whole_and_figures_as_files_of_their_own(make_study: MakeStudy) -> None:
    folder = make_study(trials=6, change_rows=lambda rows: [row | {"error": "=cmd()"} for row in rows])
    found = export(folder, folder / "out", Painter("none"))
    whole, original = pq.read_table(folder / "out" / "trials.parquet"), pq.read_table(folder / "trials.parquet")
    assert whole.to_pydict().keys() == original.to_pydict().keys()
    assert whole.schema.metadata[b"study"] == original.schema.metadata[b"study"]
    with (folder / "out" / "trials.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["trial"]) for row in rows] == list(range(6))
    ssim = original["objective.reconstruction_ssim"].to_pylist()
    assert [float(row["objective.reconstruction_ssim"]) for row in rows] == ssim
    assert rows[0]["param.subversion.learned.key"] == ""  # inactive
    assert rows[0]["error"] == "'=cmd()"  # no spreadsheet runs it
    pages = sorted(path.stem for path in (folder / "out" / "figures").glob("*.html"))
    assert "front-joint" in pages
    assert (folder / "out" / "figures" / "plotly.min.js").is_file()
    assert len(list((folder / "out" / "figures").glob("*.png"))) == len(pages) - 1
    assert len(found.warnings) == 1
    assert "the browser gave none" in found.warnings[0]
    assert set(found.files) == {path for path in (folder / "out").rglob("*") if path.is_file()}


def test_without_a_browser_it_is_said_what_is_missing_and_why(
    make_study: MakeStudy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    folder = make_study(trials=3)
    assert main(["export", str(folder)]) == 0
    assert "no Chromium or Chrome was found" in capsys.readouterr().err
    assert (folder / "export" / "trials.csv").is_file()
    broken = tmp_path / "chromium"
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    assert main(["export", str(folder)]) == 0
    assert "it ended with status 3" in capsys.readouterr().err
    assert main(["export", str(tmp_path / "nowhere")]) == 2


@pytest.mark.slow
def test_a_browser_draws_png_and_svg(tmp_path: Path) -> None:
    browser = find_browser()
    if browser is None:
        pytest.skip("no Chromium or Chrome is installed")
    figure = {"data": [{"type": "scatter", "x": [1, 2], "y": [3, 4]}], "layout": {"title": {"text": "a </script> b"}}}
    drawn = browser.draw({"one": figure}, width=400)
    assert drawn["one"]["png"].startswith(b"\x89PNG")
    assert drawn["one"]["svg"].startswith(b"<svg")
    assert b"a &#60;/script&#62; b" in drawn["one"]["svg"]
