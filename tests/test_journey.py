"""The README's journey at smoke size, as commands: from a study to a final model that reveals what it hid."""

import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
import yaml

from models import final
from models.data import load_faces

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=900, check=False
    )


def test_from_a_study_to_a_report_a_selection_an_audit_and_a_final_model(tmp_path: Path) -> None:
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

    assert len(list((study / "tensorboard").glob("*/events*"))) == 3

    selected = command("analysis", "select", str(study))
    assert selected.returncode == 0, selected.stderr
    best = max(trials, key=lambda row: row["objective.reconstruction_ssim"])
    (chosen,) = yaml.safe_load((study / "best.yaml").read_text())["configurations"]
    assert chosen["trial"] == best["trial"]

    audited = command("study.audit", str(study), "--top", "1", "--seeds", "1", "checks=smoke")
    assert audited.returncode == 0, audited.stderr
    assert "[1/1]" in audited.stdout
    assert "no adversary was held out" in audited.stdout  # the study's battery has the same
    report = command("analysis", "report", str(study))
    assert 'id="audit"' in (study / "report.html").read_text()
    (again,) = pq.read_table(study / "audit" / "trials.parquet").to_pylist()
    assert again["trial"] == best["trial"]
    assert again["objective.reconstruction_ssim"] != best["objective.reconstruction_ssim"]  # other seeds, other images

    trained = command(
        "study.final_training", f"best={study / 'best.yaml'}", "checks=smoke", f"output={tmp_path / 'final'}"
    )
    assert trained.returncode == 0, trained.stderr
    card = (tmp_path / "final" / "model_card.md").read_text()
    assert f"trial {best['trial']} of" in card
    assert "the configuration is" in card  # what the audit found of it
    model = final.load(tmp_path / "final")
    faces = load_faces({"kind": "procedural", "images": 42})
    images, people = torch.tensor(faces.images), torch.tensor(faces.identity)
    released = model.sanitise(images, 1, identity=people)
    assert not torch.equal(released, images)
    revealed = model.reveal(released)
    assert revealed.images.shape == images.shape


def test_a_selection_begins_another_study(tmp_path: Path) -> None:
    smoke = ["study", "experiment=empty", f"cache={tmp_path}/cache"]
    assert command(*smoke, "budget.trials=6", f"output={tmp_path / 'one'}").returncode == 0
    assert command("analysis", "select", str(tmp_path / "one")).returncode == 0
    again = command(
        *smoke, f"output={tmp_path / 'two'}", f"starting_points={tmp_path / 'one' / 'best.yaml'}", "budget.trials=1"
    )
    assert again.returncode == 0, again.stderr
    trials = pq.read_table(tmp_path / "one" / "trials.parquet").to_pylist()
    best = max((row for row in trials if row["feasible"]), key=lambda row: row["objective.quality"])
    (repeated,) = pq.read_table(tmp_path / "two" / "trials.parquet").to_pylist()
    parameters = [name for name in best if name.startswith("param.")]
    assert {name: repeated[name] for name in parameters} == {name: best[name] for name in parameters}
