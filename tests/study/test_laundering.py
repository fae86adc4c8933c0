"""``python -m study.laundering`` on a small real study: rows, resumption, agreement with the trial, and refusals."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from models.laundering import rendering, steps
from study import laundering
from study.cli import resolve
from study.config import ConfigError
from study.laundering import launder_study, main
from study.laundering_records import LAUNDERING, MEASURED, read_rows
from tests.study.in_process import evaluate_all

pytestmark = pytest.mark.slow

SHORT = ("none", "levels64", "jpeg50", "autoencoder")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of two trials that hide identities in lowest bits."""
    folder = tmp_path_factory.mktemp("laundering")
    points = folder / "points.yaml"
    common = {"stage_one.critic": "three_headed", "subversion.family": "keyed", "subversion.secret": "identity"}
    configurations = [{"parameters": {**common, "subversion.strength": strength}} for strength in (1, 2)]
    points.write_text(json.dumps({"configurations": configurations}))
    settings = [f"output={folder}/study", f"cache={folder}/cache", f"starting_points={points}", "budget.trials=2"]
    adversaries = ["checks.adversaries.strong=[bit_plane]", "trial.subversion.family=keyed"]
    config = resolve(
        ["experiment=smoke", "data.images=420", "trial.subversion.secret=identity", *settings, *adversaries]
    )
    assert evaluate_all(config)
    return folder / "study"


@pytest.fixture
def study(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the study, and fewer and shorter steps."""
    monkeypatch.setattr(steps, "STEPS", SHORT)
    monkeypatch.setattr(rendering, "STEPS", 4)
    shutil.copytree(finished, tmp_path / "study")
    return tmp_path / "study"


def rows_of(study: Path) -> dict[tuple[int, str], dict[str, Any]]:
    return {(row["trial"], row["step"]): row for row in read_rows(study)}


def test_every_step_of_every_chosen_trial_is_recorded_and_none_is_the_trial_itself(study: Path) -> None:
    said: list[str] = []
    launder_study(study, trials=[0, 1], say=said.append)
    rows = rows_of(study)
    assert set(rows) == {(trial, step) for trial in (0, 1) for step in SHORT}
    recorded = {row["trial"]: row for row in pq.read_table(study / "trials.parquet").to_pylist()}
    for trial in (0, 1):
        untouched = rows[trial, "none"]
        for name in ("bit_error_rate", "reconstruction_ssim", "secret_accuracy"):
            assert untouched[name] == pytest.approx(recorded[trial][f"metric.{name}"], abs=1e-6)
        original = recorded[trial]["metric.expression_accuracy_originals"]
        assert untouched["expression_accuracy"] == pytest.approx(original, abs=1e-6)
        assert untouched["released_psnr"] == 99.0
        assert (untouched["family"], untouched["secret"], untouched["channel"]) == ("keyed", "identity", "png")
        assert untouched["secret_accuracy"] == 1.0
        for step in ("levels64", "jpeg50", "autoencoder"):
            lost = rows[trial, step]
            assert lost["bit_error_rate"] > 0.35  # lowest bits do not survive; 0.5 is a coin
            assert lost["released_psnr"] < 60
            assert lost["images"] == untouched["images"]
    assert sum("step" in line and "of 4" in line for line in said) == 8
    assert "report: python -m analysis report" in said[-1]


def test_an_interrupted_run_goes_on_and_measures_nothing_twice(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    survival = laundering._launder

    def killed(chosen: Any, names: Any) -> Any:
        for row in survival(chosen, names):
            asked.append(row["step"])
            yield row
            if len(asked) == 2:
                raise KeyboardInterrupt

    monkeypatch.setattr(laundering, "_launder", killed)
    assert main([str(study), "--trials", "0"]) == 130
    before = rows_of(study)
    assert [step for _, step in before] == ["none", "levels64"]
    assert main([str(study), "--trials", "0"]) == 0
    assert asked == list(SHORT)
    assert {key: rows_of(study)[key] for key in before} == before
    assert main([str(study), "--trials", "0,1"]) == 0
    assert len(rows_of(study)) == 8
    assert len(asked) == 8


def test_rows_of_other_weights_are_measured_anew(study: Path) -> None:
    launder_study(study, trials=[0], say=lambda _: None)
    shutil.copy(study / "artifacts/1/weights.safetensors", study / "artifacts/0/weights.safetensors")
    before = rows_of(study)
    launder_study(study, trials=[0], say=lambda _: None)
    after = rows_of(study)
    assert set(after) == set(before)
    assert all(after[key]["strength"] == 2 != before[key]["strength"] for key in after)


def test_what_cannot_be_laundered_is_refused_with_every_reason(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path)]) == 2
    assert f"folder={tmp_path}: no study was started there" in capsys.readouterr().err
    assert main([str(study), "--trials", "5,6"]) == 2
    error = capsys.readouterr().err
    assert "trial 5 is not finished; finished are 0, 1" in error
    assert "trial 6 is not finished" in error
    for trial in (0, 1):
        (study / f"artifacts/{trial}/weights.safetensors").unlink()
    assert main([str(study), "--trials", "0,1"]) == 2
    error = capsys.readouterr().err
    assert error.count("there are no weights") == 2
    assert not (study / LAUNDERING).exists()
    with pytest.raises(SystemExit):
        main([str(study), "--trials", "a"])
    assert "joined by commas" in capsys.readouterr().err


def test_the_best_trials_are_those_within_every_bound(study: Path) -> None:
    feasible = [row["trial"] for row in pq.read_table(study / "trials.parquet").to_pylist() if row["feasible"]]
    if feasible:
        launder_study(study, top=1, say=lambda _: None)
        assert {trial for trial, _ in rows_of(study)} <= set(feasible)
    else:
        with pytest.raises(ConfigError, match="no trial is within every bound; name trials with --trials"):
            launder_study(study, top=1)
    with pytest.raises(ConfigError, match="--top=0: must be at least 1"):
        launder_study(study, top=0)


def test_columns_say_what_they_mean(study: Path) -> None:
    launder_study(study, trials=[0], say=lambda _: None)
    note = json.loads(pq.read_schema(study / LAUNDERING).metadata[b"study"])
    assert note["kind"] == "laundering"
    assert set(note["metrics"]) == set(MEASURED)
