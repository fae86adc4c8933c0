"""Laundering in the report: the buyer's front, which step silences whom, and what a damaged file does."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis.errors import AnalysisError
from analysis.figures.laundering import draw_laundering
from analysis.laundering import FILE, load_laundering, step_words, steps_of
from analysis.laundering_section import laundering
from analysis.records import load_study
from analysis.report import build_report
from study.laundering_records import MEASURED, schema

MakeStudy = Callable[..., Path]


def row(trial: int, step: str, read: float, expression: float | None, **fields: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"trial": trial, "step": step, "family": "keyed", "secret": "image", "images": 100}
    found |= {"secret_accuracy": read, "secret_accuracy.low": read - 0.05, "secret_accuracy.chance": 0.1}
    found |= {"secret_accuracy.majority": 0.2, "expression_accuracy": expression, "released_psnr": 40.0}
    return found | {"reconstruction_ssim": 0.5, "bit_error_rate": 0.1} | fields


ROWS = [
    row(3, "none", 1.0, 0.8, released_psnr=99.0),
    row(3, "levels128", 0.22, 0.79),
    row(3, "jpeg75", 0.5, 0.795),
    row(3, "noise4", 0.6, 0.7),  # undercut in both by jpeg75
    row(4, "none", 1.0, 0.9, family="sampled", secret="identity"),
    row(4, "levels128", 0.9, 0.9, family="sampled", secret="identity"),
    row(4, "jpeg75", 0.7, None, family="sampled", secret="identity"),
]


def write(folder: Path, rows: list[dict[str, Any]]) -> None:
    pq.write_table(pa.Table.from_pylist(rows, schema("test")), folder / FILE)


def test_the_buyers_front_holds_what_no_step_undercuts_in_both(tmp_path: Path) -> None:
    write(tmp_path, ROWS)
    keyed, sampled = load_laundering(tmp_path)
    assert (keyed.name, sampled.name) == ("keyed · image", "sampled · identity")
    assert [keyed.points[index].step for index in keyed.front] == ["none", "jpeg75", "levels128"]
    losses = [point.expression_lost for point in keyed.points]
    assert np.allclose(losses, [0, 0.01, 0.005, 0.1])
    assert [sampled.points[index].step for index in sampled.front] == ["levels128"]  # free, and leaves less
    assert math.isnan(sampled.of("jpeg75")[0].expression_lost)
    assert steps_of((keyed, sampled)) == ("none", "levels128", "jpeg75", "noise4")


def test_a_step_silences_where_its_interval_reaches_a_guess(tmp_path: Path) -> None:
    write(tmp_path, ROWS)
    keyed, sampled = load_laundering(tmp_path)
    assert keyed.cheapest_silencing() == "levels128"  # 0.17 is below the most frequent person's 0.2
    assert sampled.cheapest_silencing() is None
    write(tmp_path, [*ROWS, row(5, "none", 1.0, 0.8), row(5, "levels128", 0.9, 0.8), row(5, "noise4", 0.2, 0.6)])
    assert load_laundering(tmp_path)[0].cheapest_silencing() is None  # no step silences both trials
    write(tmp_path, [row(1, "none", 1.0, 0.8), row(1, "blur1", 0.1, 0.7, **{"secret_accuracy.low": None})])
    assert load_laundering(tmp_path)[0].cheapest_silencing() is None  # what was not measured is not gone


def test_steps_are_named_for_people() -> None:
    assert [step_words(step) for step in ("none", "levels16", "jpeg75", "blur0.5", "median3", "denoiser", "x-1")] == [
        "as released",
        "16 grey levels",
        "JPEG 75",
        "blur, sigma 0.5 pixels",
        "median of 3 x 3",
        "noise, then denoiser",
        "x-1",
    ]


def test_the_report_has_the_section_only_where_something_was_laundered(make_study: MakeStudy) -> None:
    folder = make_study()
    assert laundering(load_study(folder)) == ()
    assert 'id="laundering"' not in build_report(load_study(folder)).html
    write(folder, ROWS)
    (section,) = laundering(load_study(folder))
    assert "128 grey levels silences it, at 0.010 of expression accuracy" in section.html
    assert "<strong>sampled · identity</strong>: no step tried silences it" in section.html
    assert section.html.count("<tr>") == 1 + len(steps_of(load_laundering(folder)))
    page = build_report(load_study(folder)).html
    assert 'id="laundering"' in page
    assert 'data-figure="laundering"' in page


def test_the_figure_has_a_panel_a_group_and_its_points_open_their_trial(tmp_path: Path) -> None:
    write(tmp_path, ROWS)
    drawn = draw_laundering(load_laundering(tmp_path))
    assert {trace.xaxis for trace in drawn.data} == {"x", "x2"}
    keyed = [trace for trace in drawn.data if trace.xaxis == "x"]
    assert [trace.name for trace in keyed] == ["laundered", "as released", "buyer's front"]
    assert list(keyed[0].customdata) == [3, 3, 3]
    assert "JPEG 75" in keyed[0].hovertext[1]
    guess = next(shape for shape in drawn.layout.shapes if shape.xref == "x domain")
    assert guess.y0 == pytest.approx(0.2)


def test_a_damaged_or_foreign_file_is_named_and_leaves_the_rest_of_the_report(make_study: MakeStudy) -> None:
    folder = make_study()
    (folder / FILE).write_bytes(b"no parquet")
    with pytest.raises(AnalysisError, match=r"laundering.parquet cannot be read"):
        load_laundering(folder)
    (section,) = laundering(load_study(folder))
    assert "laundering.parquet cannot be read" in section.html
    assert not section.figures
    note = json.dumps({"schema_version": 99}).encode()
    table = pa.table({"trial": [1], "step": ["none"]}).replace_schema_metadata({b"study": note})
    pq.write_table(table, folder / FILE)
    with pytest.raises(AnalysisError, match=r"version 99.*lacks the columns family, secret"):
        load_laundering(folder)


def test_what_the_study_writes_is_what_the_report_reads(tmp_path: Path) -> None:
    names = schema("test").names
    assert {"secret_accuracy", "secret_accuracy.low", "secret_accuracy.chance", "secret_accuracy.majority"} <= set(
        names
    )
    assert set(MEASURED) <= set(names)
