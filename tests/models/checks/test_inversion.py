"""The inversion check: a decoder finds what is visible, its baseline and controls say what that means."""

from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.checks import inversion
from models.checks.config import CheckConfig
from models.checks.inversion import InversionBaseline, Subject, invert_honest, judge_inversion
from models.checks.inversion_config import InversionConfig
from models.checks.inversion_controls import blended
from models.checks.inverter import Inverter, fit_inverter, invert
from models.checks.material import LabelSplits, Release
from models.image_quality import ssim, to_float, to_uint8
from models.measurement import Control

QUICK = InversionConfig(
    steps=200, batch_size=16, width=4, evaluate_every=20, patience=1, tolerance=0.05, feature_steps=5, planted_share=0.5
)
"""Seconds in all; its coarse tolerance lets it stop early, which is enough to see what is plainly visible."""


class Reader(nn.Module):
    """Names the person by the brightness of the first row."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))

    def forward(self, images: Tensor) -> Tensor:
        bright = images.float()[:, :, 0].mean((1, 2))
        return torch.stack([128 - bright, bright - 128], 1)


def faces(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return smooth images, (n, 3, 16, 16), and labels: the first row is dark in one class and bright in the other."""
    random = torch.Generator().manual_seed(seed)
    coarse = torch.rand((n, 3, 4, 4), generator=random)
    images = (F.interpolate(coarse, size=16, mode="bilinear") * 255).round().to(torch.uint8)
    labels = torch.arange(n) % 2
    images[:, :, 0] = (labels * 200 + 20).to(torch.uint8)[:, None, None]
    return images, labels


def material() -> tuple[Subject, Release]:
    """Return inputs, and covers that have nothing to do with them."""
    splits = [faces(n, seed) for seed, n in enumerate((120, 40, 60))]
    inputs = Release(*(images for images, _ in splits))
    labels = LabelSplits(*(labels for _, labels in splits), classes=2)
    covers = Release(*(faces(n, seed + 10)[0].flip(2) for seed, n in enumerate((120, 40, 60))))
    return Subject(inputs, labels, Reader()), covers


@pytest.fixture(scope="module")
def subject() -> Subject:
    return material()[0]


@pytest.fixture(scope="module")
def covers() -> Release:
    return material()[1]


@pytest.fixture(scope="module")
def baseline(subject: Subject, covers: Release) -> InversionBaseline:
    planted = blended(covers, subject.inputs, QUICK.planted_share)
    return invert_honest(covers, planted, subject, QUICK, honest_seeds=2, seed=0, device="cpu")


def test_a_decoder_that_converged_on_covers_without_the_input_shows_no_more_than_the_mean_face(
    baseline: InversionBaseline,
) -> None:
    found, guess = baseline.honest["inversion_ssim"], baseline.guess["inversion_ssim"]
    assert abs(found.value - guess) < 0.1
    assert found.low < found.value < found.high
    assert 0.3 < baseline.honest["inversion_identity_accuracy"].value < 0.7  # two classes, none readable


def test_what_was_blended_in_is_inverted_and_honest_images_are_not(baseline: InversionBaseline) -> None:
    planted, honest = baseline.controls
    assert (planted.check, planted.control, honest.control) == ("inversion", "planted_input", "strength_0")
    assert planted.passed
    assert planted.value > baseline.honest["inversion_ssim"].value + 0.1
    assert honest.passed
    assert baseline.votes


def test_a_release_that_shows_the_input_is_far_above_the_honest_baseline(
    subject: Subject, covers: Release, baseline: InversionBaseline
) -> None:
    release = blended(covers, subject.inputs, 0.7)
    found = judge_inversion(release, subject, baseline, QUICK, seed=3, device="cpu")
    assert set(found) == set(inversion.METRICS)
    similar, named = found["inversion_ssim"], found["inversion_identity_accuracy"]
    assert similar.votes
    assert similar.baseline is not None
    assert similar.low > similar.baseline + 0.05
    assert similar.chance == baseline.guess["inversion_ssim"]
    assert named.value > 0.9
    assert (named.chance, named.majority) == (0.5, 0.5)
    assert found["inversion_feature_distance"].value < found["inversion_feature_distance"].baseline  # type: ignore[operator]
    assert found["inversion_psnr"].value > found["inversion_psnr"].baseline  # type: ignore[operator]


def test_a_decoder_that_has_not_reached_its_plateau_gives_no_measurement(
    subject: Subject, covers: Release, baseline: InversionBaseline
) -> None:
    release, short = blended(covers, subject.inputs, 0.7), replace(QUICK, steps=20)
    found = judge_inversion(release, subject, baseline, short, seed=3, device="cpu")
    assert not any(measurement.measured for measurement in found.values())
    assert all(measurement.votes for measurement in found.values())  # so that bounds count them as violated


def test_a_baseline_that_was_not_measured_leaves_nobody_to_vote(subject: Subject, covers: Release) -> None:
    short = replace(QUICK, steps=20)
    found = invert_honest(covers, covers, subject, short, honest_seeds=2, seed=0, device="cpu")
    assert found.honest["inversion_ssim"].value != found.honest["inversion_ssim"].value
    assert [control.passed for control in found.controls] == [False, False]
    assert not found.votes


def test_a_missed_plant_takes_the_vote(subject: Subject, covers: Release, baseline: InversionBaseline) -> None:
    missed = replace(baseline, controls=(replace(baseline.controls[0], passed=False), baseline.controls[1]))
    found = judge_inversion(covers, subject, missed, replace(QUICK, steps=20), seed=3, device="cpu")
    assert not any(measurement.votes for measurement in found.values())


def test_without_a_classifier_of_originals_only_the_accuracy_is_missing(
    subject: Subject, covers: Release, baseline: InversionBaseline
) -> None:
    release = blended(covers, subject.inputs, 0.7)
    blind = replace(subject, reader=None)
    found = judge_inversion(release, blind, baseline, QUICK, seed=3, device="cpu")
    assert {name for name, value in found.items() if not value.measured} == {"inversion_identity_accuracy"}


def test_a_crash_is_no_measurement(
    subject: Subject, covers: Release, baseline: InversionBaseline, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: Any, **__: Any) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(inversion, "fit_inverter", crash)
    found = judge_inversion(covers, subject, baseline, QUICK, seed=3, device="cpu")
    assert not any(measurement.measured for measurement in found.values())


def test_a_baseline_comes_back_from_the_cache_as_it_was(baseline: InversionBaseline) -> None:
    back = InversionBaseline.from_saved(baseline.to_saved())
    assert (back.honest, back.guess, back.controls) == (baseline.honest, baseline.guess, baseline.controls)
    assert all(torch.equal(back.features[name], tensor) for name, tensor in baseline.features.items())
    assert isinstance(back.controls[0], Control)


def test_the_decoder_sees_changes_of_one_grey_level(subject: Subject) -> None:
    """Whether the input is bright, in a pattern of one grey level: on pixels alone it drowns in the cover."""
    random = torch.Generator().manual_seed(1)

    def hide(images: Tensor) -> Tensor:
        covers = faces(len(images), seed=len(images))[0].clamp(max=254)
        pattern = torch.tensor([[0, 1], [1, 0]], dtype=torch.uint8).repeat(8, 8)
        return covers + pattern * (to_float(images).mean((1, 2, 3), keepdim=True) > 0)

    coarse = [torch.rand((n, 1, 1, 1), generator=random).round().expand(-1, 3, 16, 16) for n in (120, 40, 60)]
    inputs = Release(*(to_uint8(images * 1.6 - 0.8) for images in coarse))
    released = Release(*(hide(images) for images in (inputs.train, inputs.validation, inputs.test)))
    fitted = fit_inverter(released, inputs, QUICK, seed=0, device="cpu")
    error = (invert(fitted.decoder, released.test) - to_float(inputs.test)).abs().mean()
    assert error < 0.2  # the mean image is wrong by 0.8


def test_the_same_seed_gives_the_same_decoder_and_shapes_are_kept(subject: Subject, covers: Release) -> None:
    short = replace(QUICK, steps=5, evaluate_every=5)
    one, again, other = (fit_inverter(covers, subject.inputs, short, seed=seed, device="cpu") for seed in (0, 0, 1))
    assert torch.equal(invert(one.decoder, covers.test), invert(again.decoder, covers.test))
    assert not torch.equal(invert(one.decoder, covers.test), invert(other.decoder, covers.test))
    images = Inverter(4)(torch.zeros((2, 3, 64, 64), dtype=torch.uint8))
    assert images.shape == (2, 3, 64, 64)
    assert float(images.detach().abs().max()) <= 1


def test_a_blend_is_rounded_and_lies_between_cover_and_input(subject: Subject, covers: Release) -> None:
    release = blended(covers, subject.inputs, 0.25)
    expected = 0.75 * covers.test.float() + 0.25 * subject.inputs.test.float()
    assert release.test.dtype == torch.uint8
    assert float((release.test.float() - expected).abs().max()) <= 0.5
    assert float(ssim(to_float(release.test), to_float(covers.test)).mean()) < 1


def test_settings_are_read_or_refused_all_at_once() -> None:
    assert CheckConfig.from_mapping({}).inversion is None
    assert CheckConfig.from_mapping({"inversion": None}).inversion is None
    assert CheckConfig.from_mapping({"inversion": {}}).inversion == InversionConfig()
    assert CheckConfig.from_mapping({"inversion": {"steps": 9, "planted_share": 1}}).inversion is not None
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - every line is looked at
        CheckConfig.from_mapping({"inversion": {"steps": 0, "tolerance": 1, "step": 3, "planted_share": 0}})
    assert str(refused.value).splitlines() == [
        "adversaries.inversion.step: unknown; known are steps, batch_size, learning_rate, width, evaluate_every, "
        "interim_images, patience, tolerance, feature_steps, planted_share, excess",
        "adversaries.inversion.steps = 0; must be a whole number >= 1",
        "adversaries.inversion.tolerance = 1; must lie in (0, 1)",
        "adversaries.inversion.planted_share = 0; must lie in (0, 1]",
    ]
    with pytest.raises(ValueError, match=r"adversaries.inversion = 3; must be a mapping"):
        CheckConfig.from_mapping({"inversion": 3})
