"""The README's journey at smoke size, as commands: study, report, select, and a second study from the selection."""

import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )


def test_from_a_study_to_a_report_to_a_selection_to_another_study(tmp_path: Path) -> None:
    study, cache = tmp_path / "study", tmp_path / "cache"
    smoke = ["study", "experiment=smoke", "data.images=420", f"cache={cache}"]
    # Adversaries this small say nothing; with bounds that hold for anything, the rest of the way can be walked.
    for check, metric in (("strong_identity", "strong_identity_accuracy"), ("steganalysis", "steganalysis_auc")):
        smoke.append(f"checks.bounds.{check}.bound={metric} <= 1")
    smoke += ["~checks.bounds.weak_identity", "checks.bounds.expression_utility.bound=expression_accuracy >= 0"]
    ran = command(*smoke, f"output={study}")
    assert ran.returncode == 0, ran.stderr
    assert "[3/3]" in ran.stdout
    trials = pq.read_table(study / "trials.parquet").to_pylist()
    assert len(trials) == 3
    assert {row["param.subversion.family"] for row in trials} == {"keyed", "learned"}
    assert {row["outcome"] for row in trials} == {"ok"}
    assert pq.read_table(study / "history.parquet").num_rows >= 3

    report = command("analysis", "report", str(study))
    assert report.returncode == 0, report.stderr
    page = (study / "report.html").read_text()
    assert page.count("data:image/") >= 3  # a gallery for each trial
    assert "Strong identity" in page

    selected = command("analysis", "select", str(study))
    assert selected.returncode == 0, selected.stderr
    again = command(*smoke, f"output={tmp_path / 'again'}", f"starting_points={study / 'best.yaml'}", "budget.trials=1")
    assert again.returncode == 0, again.stderr
    best = max(trials, key=lambda row: row["objective.reconstruction_ssim"])
    repeated = pq.read_table(tmp_path / "again" / "trials.parquet").to_pylist()[0]
    parameters = [name for name in best if name.startswith("param.")]
    assert {name: repeated[name] for name in parameters} == {name: best[name] for name in parameters}
