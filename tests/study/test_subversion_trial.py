"""One trial of the real experiment at smoke size: what it reports, writes, shares, and how it continues."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from models.checkpoints import load
from study.cli import resolve
from study.evaluation import Context, Evaluation, Stage, StepReport, metrics_of
from study.nested import with_values
from study.subversion_signals import SignalProbe
from study.subverted_ppgan import EXPERIMENT, METRICS, SIGNALS, read_trial

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def settings() -> dict[str, Any]:
    return resolve(["experiment=smoke", "data.images=420"]).resolved


def start(settings: dict[str, Any], cache: Path, folder: Path, *, channel: str = "png", **values: Any) -> Evaluation:
    folder.mkdir(parents=True, exist_ok=True)
    subversion = {f"subversion.{name}": value for name, value in values.items()}
    trial = with_values(settings["trial"], {"channel": channel, **subversion})
    context = Context(settings["data"], settings["checks"]["adversaries"], cache, folder, "cpu")
    return EXPERIMENT.start(trial, 7, context)


def run(evaluation: Evaluation) -> list[StepReport]:
    reports = [evaluation.step()]
    while not reports[-1].done:
        reports.append(evaluation.step())
    return reports


@pytest.mark.parametrize(
    ("family", "secret"),
    [("keyed", "image"), ("keyed", "identity"), ("learned", "image"), ("learned", "identity"), ("sampled", "identity")],
)
def test_every_family_and_secret_is_measured_whole(
    settings: dict[str, Any], cache: Path, tmp_path: Path, family: str, secret: str
) -> None:
    reports = run(start(settings, cache, tmp_path, family=family, secret=secret, code_bits=256))
    assert [report.epoch for report in reports] == list(range(1, len(reports) + 1))
    assert len(reports) == (5 if family == "learned" else 3)
    assert [report.stage for report in reports[-2:]] == [Stage.RELEASE, Stage.CHECKS]
    assert all(set(report.signals) == set(SIGNALS) for report in reports[1:-1])
    without = {"cover_psnr"} if family == "sampled" else set()
    assert all({n for n, v in report.signals.items() if not math.isfinite(v)} == without for report in reports[1:-1])
    assert all(math.isfinite(loss) for report in reports for loss in report.losses.values())
    infos = EXPERIMENT.metrics_of(settings["data"], settings["checks"]["adversaries"])
    names = [name for metric, info in infos.items() for name in info.measured_names(metric)]
    assert sorted(reports[-1].metrics) == sorted(names)
    unmeasured = {name for name, measurement in reports[-1].metrics.items() if not measurement.measured}
    unmeasured -= {name for name in METRICS if name.startswith("inversion_")}  # switched off
    assert unmeasured == ({"cover_psnr"} if family == "sampled" else set())  # sampled draws anew and changes no cover
    measured = [measurement for measurement in reports[-1].metrics.values() if measurement.measured]
    assert all(m.low <= m.value <= m.high for m in measured)
    assert {control.check for control in reports[-1].controls} >= {"strong_identity", "steganalysis"}
    with Image.open(tmp_path / "gallery.png") as picture:
        assert picture.width > 400
    saved = load(tmp_path / "weights.safetensors")
    known = {"stage_one", "subversion", "channel", "key", "seed", "size", "identities", "data"}
    assert set(saved.note) == known
    assert bool(saved.part("embedder")) == (family == "learned")
    assert bool(saved.part("extractor")) == (family != "keyed")
    assert bool(saved.part("codec")) == (secret == "image")


ROBUST = {"keyed.modulation": "index", "keyed.domain": "dct", "keyed.nonce_bits": 16, "strength": 8}


@pytest.mark.parametrize("channel", ["jpeg90", "blur", "resize+jpeg95+noise0.5"])
def test_a_robust_carrier_is_measured_in_every_channel(
    settings: dict[str, Any], cache: Path, tmp_path: Path, channel: str
) -> None:
    trial = start(settings, cache, tmp_path, channel=channel, family="keyed", secret="identity", **ROBUST)
    metrics = run(trial)[-1].metrics
    assert all(value.measured for name, value in metrics.items() if not name.startswith("inversion_"))
    assert metrics["secret_accuracy"].value > 0.6  # chance is 0.17
    assert metrics["bit_error_rate"].value < 0.2


def test_checks_and_honest_baseline_see_the_published_file_and_only_the_reader_the_rest_of_the_channel(
    settings: dict[str, Any], cache: Path, tmp_path: Path
) -> None:
    values: dict[str, Any] = {"family": "keyed", "secret": "identity", **ROBUST}
    found = {
        channel: run(start(settings, cache, tmp_path / channel, channel=channel, **values))[-1].metrics
        for channel in ("png", "noise40", "jpeg50")
    }
    same = [name for name in found["png"] if name.startswith(("steganalysis", "strong", "expression", "cover"))]
    assert all(found["png"][name] == found["noise40"][name] for name in same)
    assert found["noise40"]["bit_error_rate"].value > found["png"]["bit_error_rate"].value
    strong = "strong_identity_accuracy.plain"
    assert found["jpeg50"][strong].baseline != found["png"][strong].baseline
    assert found["jpeg50"]["cover_psnr"].value != found["png"]["cover_psnr"].value


def test_at_strength_0_what_is_published_as_jpeg_is_the_honest_file(
    settings: dict[str, Any], cache: Path, tmp_path: Path
) -> None:
    metrics = run(start(settings, cache, tmp_path, channel="jpeg75", secret="identity", strength=0))[-1].metrics
    assert metrics["cover_psnr"].value == 99.0
    assert metrics["steganalysis_auc.high_pass"].value == 0.5


def test_measuring_signals_changes_nothing_of_how_a_trial_ends(
    settings: dict[str, Any], cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values: dict[str, Any] = {"family": "learned", "secret": "identity", "learned.fine_tune_epochs": 1}
    measured = run(start(settings, cache, tmp_path / "measured", channel="jpeg90+noise", **values))
    for name in ("in_training", "of_release"):
        monkeypatch.setattr(SignalProbe, name, lambda *_: {})
    blind = run(start(settings, cache, tmp_path / "blind", channel="jpeg90+noise", **values))
    assert [report.losses for report in measured] == [report.losses for report in blind]
    assert str(measured[-1].metrics) == str(blind[-1].metrics)  # NaN where not measured


def test_the_last_signals_are_near_what_the_trial_ends_with(
    settings: dict[str, Any], cache: Path, tmp_path: Path
) -> None:
    reports = run(start(settings, cache, tmp_path, secret="identity", strength=0))
    signals, metrics = reports[-2].signals, reports[-1].metrics
    assert signals["quick_steganalysis"] == 0.5
    assert signals["quick_identity_excess"] == signals["quick_expression_excess"] == 0.0
    assert signals["cover_psnr"] == metrics["cover_psnr"].value == 99.0
    assert abs(signals["ssim"] - metrics["reconstruction_ssim"].value) < 0.1  # 70 images each


def test_an_image_carried_as_an_image_has_no_bits_to_be_wrong(
    settings: dict[str, Any], cache: Path, tmp_path: Path
) -> None:
    values: dict[str, Any] = {"family": "learned", "learned.payload": "image", "learned.key": "none", "strength": 8}
    reports = run(start(settings, cache, tmp_path, **values))
    assert math.isnan(reports[1].signals["bit_error_rate"])
    metrics = reports[-1].metrics
    assert not metrics["bit_error_rate"].measured
    assert metrics["reconstruction_ssim"].measured


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"subversion.code_bits": 3072}, "3072 payload bits do not fit"),
        ({"subversion.family": "sampled"}, "the noise carries a few bits"),
        ({"subversion.family": "sampled", "subversion.secret": "identity", "subversion.sampled.draws": 4}, "takes 6"),
        ({"channel": "jpeg75"}, "lowest bits come back changed"),
        ({"channel": "noise0.25"}, "few of the nonces"),
        ({"channel": "jpg75"}, "unknown step"),
        ({"subversion.family": "learned", "subversion.learned.payload": "image"}, "cannot be encrypted bit by bit"),
        (
            {
                "subversion.family": "learned",
                "subversion.secret": "identity",
                "subversion.learned.payload": "image",
                "subversion.learned.key": "none",
            },
            "there is no image to hide",
        ),
    ],
)
def test_what_cannot_work_is_refused_with_its_reason(values: dict[str, Any], reason: str) -> None:
    problems = EXPERIMENT.problems(with_values(EXPERIMENT.defaults(), values), {"size": 32, "identities": 6})
    assert any(reason in problem for problem in problems), problems


def test_strength_0_recovers_nothing_and_passes_the_steganalyser(
    settings: dict[str, Any], cache: Path, tmp_path: Path
) -> None:
    metrics = run(start(settings, cache, tmp_path, secret="identity", strength=0))[-1].metrics
    assert metrics["steganalysis_auc.high_pass"].value == 0.5
    assert metrics["cover_psnr"].value == 99.0
    # 70 test images of 6 people: a reader without information stays under 0.4 with probability above 0.9999
    assert metrics["secret_accuracy"].value < 0.4


def test_keyed_bits_come_back_without_errors(settings: dict[str, Any], cache: Path, tmp_path: Path) -> None:
    metrics = run(start(settings, cache, tmp_path, secret="identity", strength=1))[-1].metrics
    assert metrics["bit_error_rate"].value == 0.0
    assert metrics["secret_accuracy"].value == 1.0


def test_after_fine_tuning_released_images_are_compared_with_covers_of_the_changed_sanitiser(
    settings: dict[str, Any], cache: Path, tmp_path: Path
) -> None:
    values: dict[str, Any] = {"family": "learned", "secret": "identity", "learned.fine_tune_epochs": 1, "strength": 1}
    reports = run(start(settings, cache, tmp_path, **values))
    assert len(reports) == 6
    assert any(name.startswith("sanitiser.") for name in reports[3].losses)
    honest = run(start(settings, cache, tmp_path, family="keyed", secret="identity"))[-1].metrics
    metrics = reports[-1].metrics
    assert metrics["cover_psnr"].value > 47  # within one grey level of its own covers
    assert metrics["strong_identity_accuracy.plain"].baseline == honest["strong_identity_accuracy.plain"].baseline


@pytest.mark.parametrize(
    ("fine_tuned", "steps"),
    [(0, 2), (2, 3), (2, 4), (2, 5)],
    ids=["learning", "fine-tuning", "ready to hide", "ready to be judged"],
)
def test_a_trial_continued_from_its_checkpoint_ends_as_if_never_stopped(
    settings: dict[str, Any], cache: Path, tmp_path: Path, fine_tuned: int, steps: int
) -> None:
    values = {"family": "learned", "secret": "identity", "learned.steganalysis_weight": 0.01}
    values |= {"learned.fine_tune_epochs": fine_tuned, "learned.epochs": 1 if fine_tuned else 2}
    whole = run(start(settings, cache, tmp_path / "whole", **values))
    stopped = start(settings, cache, tmp_path / "stopped", **values)
    for _ in range(steps):
        stopped.step()
    (tmp_path / "checkpoint").mkdir()
    stopped.save(tmp_path / "checkpoint")
    continued = start(settings, cache, tmp_path / "continued", **values)
    continued.load(tmp_path / "checkpoint")
    rest = run(continued)
    assert [report.epoch for report in rest] == [report.epoch for report in whole[steps:]]
    assert [report.losses for report in rest] == [report.losses for report in whole[steps:]]
    assert [report.signals for report in rest] == [report.signals for report in whole[steps:]]
    assert rest[-1].metrics == whole[-1].metrics


def test_the_second_trial_finds_the_honest_side_in_the_cache(
    settings: dict[str, Any], cache: Path, tmp_path: Path
) -> None:
    start(settings, cache, tmp_path / "first").step()
    before = {path: path.stat().st_mtime_ns for path in cache.rglob("*.safetensors")}
    report = start(settings, cache, tmp_path / "second", code_bits=256).step()
    after = {path: path.stat().st_mtime_ns for path in cache.rglob("*.safetensors")}
    assert {kind.parent.name for kind in before} >= {"ppgan", "originals", "honest", "codec"}
    assert {path: time for path, time in after.items() if path in before} == before
    assert any(name.startswith("stage_one.") for name in report.losses)


def test_the_inversion_check_is_measured_where_it_is_asked_for_and_its_baseline_is_shared(
    settings: dict[str, Any], cache: Path, tmp_path: Path
) -> None:
    inversion = {"steps": 120, "width": 4, "batch_size": 8, "evaluate_every": 10, "patience": 1, "tolerance": 0.3}
    adversaries = settings["checks"]["adversaries"] | {"inversion": inversion | {"feature_steps": 2}}
    thorough = settings | {"checks": {"adversaries": adversaries}}
    names = [name for name in METRICS if name.startswith("inversion_")]
    first = run(start(thorough, cache, tmp_path / "first", secret="identity"))[-1]
    assert len(names) == 4
    assert all(first.metrics[name].measured for name in names)
    assert all(math.isfinite(first.metrics[name].baseline or math.nan) for name in names)
    assert {control.control for control in first.controls if control.check == "inversion"} == {
        "planted_input",
        "strength_0",
    }
    entries = {path: path.stat().st_mtime_ns for path in (cache / "inversion").glob("*.safetensors")}
    again = run(start(thorough, cache, tmp_path / "second", secret="identity", strength=0))[-1]
    assert {path: path.stat().st_mtime_ns for path in (cache / "inversion").glob("*.safetensors")} == entries
    assert again.metrics["inversion_ssim"].baseline == first.metrics["inversion_ssim"].baseline
    off = run(start(settings, cache, tmp_path / "off", secret="identity"))[-1]
    assert not any(off.metrics[name].measured or off.metrics[name].votes for name in names)


def test_an_adversary_that_is_switched_off_measures_nothing_and_is_not_expected_to(
    settings: dict[str, Any], cache: Path, tmp_path: Path
) -> None:
    adversaries = settings["checks"]["adversaries"] | {"strong": ["bit_plane"]}
    fewer = settings | {"checks": {"adversaries": adversaries}}
    metrics = run(start(fewer, cache, tmp_path, secret="identity"))[-1].metrics
    assert metrics["strong_identity_accuracy.bit_plane"].measured
    assert "strong_identity_accuracy.plain" not in metrics
    expected = metrics_of(EXPERIMENT, settings["data"], adversaries)["strong_identity_accuracy"]
    assert expected.measured_names("strong_identity_accuracy") == ("strong_identity_accuracy.bit_plane",)


def test_a_secret_that_does_not_fit_stops_the_trial_before_anything_is_trained(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    evaluation = start(settings, tmp_path / "cache", tmp_path / "trial", code_bits=3072)
    with pytest.raises(ValueError, match="3072 payload bits do not fit into the 3008"):
        evaluation.step()
    assert not (tmp_path / "cache").exists()


def test_problems_of_both_stages_are_reported_together() -> None:
    trial = with_values(EXPERIMENT.defaults(), {"stage_one.critic": "loud", "subversion.famly": "keyed"})
    problems = EXPERIMENT.problems(trial, {"size": 32})
    assert any("stage_one.critic='loud'" in problem for problem in problems)
    assert any("subversion.famly: unknown; did you mean 'family'" in problem for problem in problems)
    with pytest.raises(ValueError, match="loud"):
        read_trial(trial)


def test_the_defaults_are_those_of_the_configuration_file(settings: dict[str, Any]) -> None:
    assert resolve([]).trial == EXPERIMENT.defaults()


def test_a_forecast_grows_with_the_work_and_counts_shared_stages_once() -> None:
    trial = EXPERIMENT.defaults()
    one, two = ([trial] * count for count in (1, 2))
    other = with_values(trial, {"stage_one.critic": "patch"})
    seconds = [EXPERIMENT.forecast_seconds(trials, {"size": 32}, {}, "cpu") for trials in (one, two, [trial, other])]
    assert seconds[0] < seconds[1] < seconds[2] < 2 * seconds[0] + 1e-6
    assert EXPERIMENT.forecast_seconds(one, {"size": 64}, {}, "cpu") == pytest.approx(4 * seconds[0])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that torch can use")
@pytest.mark.parametrize(
    "values",
    [
        {},
        {"subversion.secret": "identity", "channel": "jpeg75", "subversion.keyed.modulation": "index"},
        {"subversion.family": "sampled", "subversion.secret": "identity", "channel": "jpeg75+noise"},
        {"subversion.family": "learned", "subversion.learned.fine_tune_epochs": 1},
        {"subversion.family": "learned", "channel": "jpeg75", "subversion.learned.architecture": "residual_unet"},
        {"subversion.family": "learned", "subversion.learned.key": "none", "subversion.learned.payload": "image"},
        {"subversion.family": "learned", "subversion.learned.architecture": "invertible", "channel": "blur"},
    ],
)
def test_a_trial_runs_on_a_gpu(settings: dict[str, Any], tmp_path: Path, values: dict[str, Any]) -> None:
    context = Context(settings["data"], settings["checks"]["adversaries"], tmp_path / "cache", tmp_path, "cuda")
    trial = with_values(settings["trial"], {"subversion.strength": 4, **values})
    metrics = run(EXPERIMENT.start(trial, 7, context))[-1].metrics
    assert all(m.measured for name, m in metrics.items() if name not in ("cover_psnr", "bit_error_rate"))
