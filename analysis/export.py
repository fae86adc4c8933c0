"""Take a study elsewhere: trials as CSV and Parquet, every figure of the report as a file of its own.

Pictures (PNG and SVG) are drawn by a browser without a window, if one is there: plotly draws in browsers only.
"""

import csv
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pyarrow.parquet as pq

from analysis.browser import Browser, find_browser
from analysis.parts import read_records
from analysis.records import load_study
from analysis.report import build_report

WIDTH = 1100
"""Of a picture, pixels."""


@dataclass(frozen=True)
class Exported:
    """What was written, and what was not."""

    files: tuple[Path, ...]
    warnings: tuple[str, ...]


def export(folder: Path, output: Path, browser: Browser | None = None) -> Exported:
    """Export a study.

    Args:
        folder: The study folder.
        output: Where to; made if missing.
        browser: What draws pictures; None: one that is found on this machine.

    Raises:
        AnalysisError: If the folder is no study, or holds no trial.
        OSError: If a file cannot be written.
    """
    study = load_study(folder)
    output.mkdir(parents=True, exist_ok=True)
    files = [*_write_trials(folder, output)]
    figures = _figures(build_report(study).html)
    drawn = output / "figures"
    drawn.mkdir(exist_ok=True)
    for name, figure in figures.items():
        path = drawn / f"{name}.html"
        text = go.Figure(figure).to_html(include_plotlyjs="directory", full_html=True)
        path.write_text(text, encoding="utf-8")
        files.append(path)
    files += _plotly(drawn) if figures else []
    browser = browser or find_browser()
    if browser is None:
        return Exported(
            tuple(files),
            ("no PNG and SVG: no Chromium or Chrome was found to draw them; install one (apt-get install chromium)",),
        )
    pictures, warnings = _draw(browser, figures, drawn)
    return Exported((*files, *pictures), warnings)


def _write_trials(folder: Path, output: Path) -> tuple[Path, Path]:
    """Write every column of the records; what the columns mean stays in the Parquet file's metadata."""
    records = read_records(folder)
    table = records.trials
    metadata = _metadata(folder)
    whole = output / "trials.parquet"
    pq.write_table(table.replace_schema_metadata(metadata), whole)
    text = output / "trials.csv"
    with text.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(table.column_names)
        columns = [column.to_pylist() for column in table.columns]
        writer.writerows(zip(*([_cell(value) for value in column] for column in columns), strict=True))
    return whole, text


def _metadata(folder: Path) -> Mapping[bytes, bytes]:
    paths = [folder / "trials.parquet", *sorted(folder.glob("parts/*.parquet"))]
    found: Mapping[bytes, bytes] = next(pq.read_schema(path).metadata for path in paths if path.is_file())
    return found


def _cell(value: Any) -> Any:
    """Return a value as a cell: empty where there is none, text that a spreadsheet will not run."""
    if value is None:
        return ""
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@"):
        return f"'{value}"
    return value


def _plotly(folder: Path) -> list[Path]:
    from plotly.offline import get_plotlyjs

    path = folder / "plotly.min.js"
    path.write_text(get_plotlyjs(), encoding="utf-8")
    return [path]


def _figures(page: str) -> dict[str, Any]:
    """Return the figures of a report's page by name, as plotly's JSON: what is exported is what the report shows."""
    match = re.search(r'<script type="application/json" id="figures">(.*?)</script>', page, re.DOTALL)
    found: dict[str, Any] = json.loads(match[1]) if match else {}
    return found


def _draw(browser: Browser, figures: Mapping[str, Any], folder: Path) -> tuple[list[Path], tuple[str, ...]]:
    files: list[Path] = []
    try:
        drawn = browser.draw(figures, width=WIDTH)
    except (OSError, ValueError) as error:
        return [], (f"no PNG and SVG: {browser.path} did not draw them ({error})",)
    for name, formats in drawn.items():
        for ending, content in formats.items():
            path = folder / f"{name}.{ending}"
            path.write_bytes(content)
            files.append(path)
    missing = [name for name in figures if name not in drawn]
    return files, tuple(f"no PNG and SVG of {name}: the browser gave none" for name in missing)
