"""A whole study of the representation, without Ray: search, records, and the report that knows nothing of it."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from analysis.records import load_study
from analysis.report import build_report
from study.cli import resolve
from tests.study.in_process import evaluate_all

pytestmark = pytest.mark.slow


def test_the_study_searches_records_and_reports_the_second_system(tmp_path: Path) -> None:
    config = resolve(
        [
            "experiment=representation_smoke",
            f"output={tmp_path}/study",
            f"cache={tmp_path}/cache",
            "data.images=448",
            "checks.adversaries.steps=12",
            "checks.adversaries.embedding_steps=4",
            "checks.adversaries.perceptual_steps=2",
            "trial.width=4",
            "budget.trials=2",
            "checks.adversaries.judges=[small, large]",
        ]
    )
    assert evaluate_all(config)
    rows = pq.read_table(tmp_path / "study" / "trials.parquet").to_pylist()
    assert [row["param.adversary"] for row in rows] == ["none", "both"]
    assert all(row["metric.attribute_mcc.glasses"] is not None for row in rows)
    assert all(row["metric.attribute_mcc.stubble"] is None for row in rows)  # no task of this study
    study = load_study(tmp_path / "study")
    page = build_report(study).html
    for words in ("Inversion SSIM", "Task accuracy", "Cosine of input and reconstruction", "perceptual.network"):
        assert words in page, words
    for words in ("subvert", "sanitis", "stego"):
        assert words not in page.partition("Configuration of the study")[0].partition("</style>")[2].lower(), words
    assert page.count("data:image/") >= 2
