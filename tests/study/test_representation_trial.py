"""One trial of the representation at smoke size: what it reports and writes, and how it continues."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from models.checkpoints import load
from models.representation.judging_config import JUDGES
from study.adversarial_representation import EXPERIMENT
from study.cli import resolve
from study.evaluation import Context, Evaluation, StepReport, metrics_of
from study.nested import with_values

pytestmark = pytest.mark.slow
EPOCHS = 2
TINY = {
    "data": {"identities": 64, "images": 448},
    "checks.adversaries": {
        "steps": 12, "batch_size": 8, "white_box_images": 4, "white_box_steps": 60, "embedding_steps": 4,
        "perceptual_steps": 2,
    },
    "trial": {"width": 4, "latent_channels": 4, "steps_per_epoch": 2, "batch_size": 8, "adversary_width": 4},
}  # fmt: skip


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def settings() -> dict[str, Any]:
    values = [f"{group}.{name}={value}" for group, fields in TINY.items() for name, value in fields.items()]
    return resolve(["experiment=representation_smoke", *values]).resolved


@pytest.fixture(scope="module")
def whole(
    settings: dict[str, Any], cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[StepReport], Path]:
    """One trial from beginning to end, and its folder."""
    folder = tmp_path_factory.mktemp("whole")
    return run(start(settings, cache, folder)), folder


def start(
    settings: dict[str, Any], cache: Path, folder: Path, judges: dict[str, Any] | None = None, **values: Any
) -> Evaluation:
    folder.mkdir(parents=True, exist_ok=True)
    adversaries = settings["checks"]["adversaries"] | (judges or {})
    context = Context(settings["data"], adversaries, cache, folder, "cpu")
    return EXPERIMENT.start(with_values(settings["trial"], values), 7, context)


def run(evaluation: Evaluation) -> list[StepReport]:
    reports = [evaluation.step()]
    while not reports[-1].done:
        reports.append(evaluation.step())
    return reports


def test_a_trial_is_measured_whole(settings: dict[str, Any], whole: tuple[list[StepReport], Path]) -> None:
    reports, folder = whole
    assert [report.epoch for report in reports] == list(range(1, EPOCHS + len(JUDGES) + 2))
    assert all(math.isfinite(loss) for report in reports for loss in report.losses.values())
    metrics, infos = reports[-1].metrics, metrics_of(EXPERIMENT, settings["data"])
    assert all(f"{name}.{judge}" in metrics for name in ("inversion_ssim", "identity_similarity") for judge in JUDGES)
    names = {name for metric, info in infos.items() for name in info.measured_names(metric)}
    assert set(metrics) <= names
    assert {name for name in metrics if name.startswith("attribute_mcc")} == {
        f"attribute_mcc.{task}" for task in settings["trial"]["tasks"].split("+")
    }
    assert all(item.low <= item.value <= item.high for item in metrics.values() if item.measured)
    plateaus = {control.adversary: control.passed for control in reports[-1].controls if control.control == "plateau"}
    assert set(plateaus) == set(JUDGES)
    for judge, passed in plateaus.items():
        assert metrics[f"inversion_ssim.{judge}"].measured == passed
    with Image.open(folder / "gallery.png") as picture:
        assert picture.width > 6 * 96
    saved = load(folder / "weights.safetensors")
    assert saved.part("encoder")
    assert saved.part("judge.large")
    assert saved.note["trial"]["adversary"] == "both"


@pytest.mark.parametrize("steps", [1, EPOCHS + 1, EPOCHS + len(JUDGES)], ids=["training", "judging", "ready"])
def test_a_trial_continued_from_its_checkpoint_ends_as_if_never_stopped(
    settings: dict[str, Any], cache: Path, whole: tuple[list[StepReport], Path], tmp_path: Path, steps: int
) -> None:
    reports = whole[0]
    stopped = start(settings, cache, tmp_path / "stopped")
    for _ in range(steps):
        stopped.step()
    (tmp_path / "checkpoint").mkdir()
    stopped.save(tmp_path / "checkpoint")
    continued = start(settings, cache, tmp_path / "continued")
    continued.load(tmp_path / "checkpoint")
    rest = run(continued)
    assert [report.epoch for report in rest] == [report.epoch for report in reports[steps:]]
    assert [report.losses for report in rest] == [report.losses for report in reports[steps:]]
    assert repr(rest[-1].metrics) == repr(reports[-1].metrics)  # NaN equals itself in words only
    assert repr(rest[-1].controls) == repr(reports[-1].controls)


def test_judges_that_run_out_of_steps_give_no_measurement_and_those_not_asked_no_vote(
    settings: dict[str, Any], cache: Path, tmp_path: Path
) -> None:
    judges = {"judges": ["small"], "steps": 3, "evaluate_every": 2}
    metrics = run(start(settings, cache, tmp_path, judges, epochs=1))[-1].metrics
    small, large = metrics["inversion_ssim.small"], metrics["inversion_ssim.large"]
    assert (small.measured, small.votes) == (False, True)
    assert (large.measured, large.votes) == (False, False)


def test_without_noise_the_noise_free_judge_is_the_large_one(
    settings: dict[str, Any], cache: Path, tmp_path: Path
) -> None:
    metrics = run(start(settings, cache, tmp_path, {"judges": ["large", "noise_free"]}, noise=0.0, epochs=1))[
        -1
    ].metrics
    assert repr(metrics["inversion_ssim.large"]) == repr(metrics["inversion_ssim.noise_free"])


def test_instruments_are_trained_once_for_all_trials(settings: dict[str, Any], cache: Path, tmp_path: Path) -> None:
    start(settings, cache, tmp_path / "first").step()
    before = {path: path.stat().st_mtime_ns for path in cache.rglob("*.safetensors")}
    start(settings, cache, tmp_path / "second", latent_channels=4).step()
    assert {path.parent.name for path in before} == {"embedding", "perceptual"}
    assert {path: path.stat().st_mtime_ns for path in cache.rglob("*.safetensors")} == before


def test_a_checkpoint_before_the_first_step_is_empty_and_loads(
    settings: dict[str, Any], cache: Path, tmp_path: Path
) -> None:
    trial = start(settings, cache, tmp_path / "trial")
    (tmp_path / "checkpoint").mkdir()
    trial.save(tmp_path / "checkpoint")
    trial.load(tmp_path / "checkpoint")
    assert trial.step().epoch == 1
