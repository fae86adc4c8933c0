"""Closed-form adversaries: what each reads, what none reads, and that they are what they are called."""

import math

import pytest
import torch
from scipy import stats as scipy_stats

from models.checks.adversaries import IMAGE_CLOSED_FORM
from models.checks.controls import with_identity_in_lowest_bits
from models.checks.features import FEATURES, BitPlanes, Cosines, Moments
from models.checks.fitting import predict_logits
from models.checks.linear import PENALTIES, _discriminants, _shrunken_centroids, fit_linear
from models.checks.material import LabelSplits, Release
from models.checks.plants import tints, waves, with_drifting_waves, with_patterns
from tests.models.checks.smooth_images import accuracy_of, smooth_release


def read(name: str, release: Release, labels: LabelSplits) -> float:
    splits = (release.train, labels.train, release.validation, labels.validation)
    model = fit_linear(name, *splits, classes=labels.classes, device="cpu")
    return accuracy_of(predict_logits(model, release.test), labels.test)


def planted(kind: str, release: Release, labels: LabelSplits) -> Release:
    if kind == "lowest bits":
        splits = (labels.train, labels.validation, labels.test)
        return with_identity_in_lowest_bits(release, splits, share=0.25, seed=3)
    if kind == "frequency":
        return with_drifting_waves(release, labels, 4, seed=3)
    make = {"channel means": tints, "watermark": waves}[kind]
    return with_patterns(release, labels, 2 * make(labels.classes, release.train.shape[-1]))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("linear_pixels", "watermark"),
        ("linear_pixels", "channel means"),
        ("linear_dct", "watermark"),
        ("bit_planes", "lowest bits"),
        ("spectrum", "frequency"),
        ("moments", "channel means"),
    ],
)
def test_each_reads_the_leak_of_its_kind(name, kind):
    release, labels = smooth_release(0, size=32)
    assert read(name, planted(kind, release, labels), labels) >= 0.9


@pytest.mark.parametrize("name", IMAGE_CLOSED_FORM)
def test_labels_that_do_not_depend_on_the_images_are_read_at_chance(name):
    right = 0
    for seed in range(5):
        release, labels = smooth_release(seed)
        right += round(read(name, release, labels) * len(labels.test))
    # independent uniform labels: right answers are binomial(1000, 1/4) whatever is answered; two-sided alpha 0.001
    low, high = scipy_stats.binom.interval(0.999, 5 * 200, 0.25)
    assert low <= right <= high


def test_a_phase_that_moves_is_invisible_to_pixels_and_not_to_the_spectrum():
    release, labels = smooth_release(1, size=32)
    marked = planted("frequency", release, labels)
    assert read("linear_pixels", marked, labels) < 0.45
    assert read("spectrum", marked, labels) > 0.9


def _gaussians(n, p, classes=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % classes
    mixing = torch.randn((p, p), generator=generator)
    values = (
        torch.randn((n, p), generator=generator) @ mixing + 2 * torch.randn((classes, p), generator=generator)[labels]
    )
    return (values - values.mean(0)).float(), labels


@pytest.mark.parametrize(("n", "p"), [(60, 8), (12, 40)])
def test_the_discriminant_is_that_of_the_penalised_within_class_covariance(n, p):
    own, labels = _gaussians(n, p)
    means = torch.stack([own[labels == k].mean(0) for k in range(3)]).double()
    within = own.double() - means[labels]
    scatter = within.T @ within
    for penalty, (weight, bias) in zip(PENALTIES, _discriminants(own, labels, 3, None), strict=True):
        ridge = penalty * float(own.double().square().sum()) / min(n, p)
        expected = torch.linalg.solve(scatter + ridge * torch.eye(p).double(), means.T) * (n - 3)
        if penalty < 1e-2:
            continue  # single precision differs there
        assert torch.allclose(weight.double(), expected, rtol=1e-2, atol=1e-2 * float(expected.abs().max()))
        priors = math.log(1 / 3) - 0.5 * (expected * means.T).sum(0)
        assert torch.allclose(bias.double(), priors, rtol=1e-2, atol=1e-2 * float(priors.abs().max()))


def test_further_honest_images_enter_the_covariance_and_not_the_means():
    own, labels = _gaussians(60, 8)
    extra = 100 * torch.eye(8)[:2]  # two directions vary a great deal anyway
    alone = list(_discriminants(own, labels, 3, None))[-1][0]
    informed = list(_discriminants(own, labels, 3, extra))[-1][0]
    assert float(informed[:2].norm()) < 0.1 * float(alone[:2].norm())


def test_shrinking_removes_the_features_that_say_nothing():
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(300) % 3
    values = torch.randn((300, 50), generator=generator)
    values[:, 0] += 2.0 * (labels == 1)
    values -= values.mean(0)
    weight, _ = list(_shrunken_centroids(values, labels, 3))[-2]
    assert bool((weight[1:] == 0).all())
    assert float(weight[0].abs().max()) > 0


def test_a_class_without_train_images_is_never_named_and_breaks_nothing():
    release, labels = smooth_release(2)
    marked = planted("channel means", release, labels)
    train = torch.where(labels.train == 3, 0, labels.train)
    fewer = LabelSplits(train, labels.validation, labels.test, labels.classes)
    for name in ("moments", "bit_planes"):
        splits = (marked.train, fewer.train, marked.validation, fewer.validation)
        logits = predict_logits(fit_linear(name, *splits, classes=4, device="cpu"), marked.test)
        assert bool(torch.isfinite(logits).all())
        assert not bool((logits.argmax(1) == 3).any())


@pytest.mark.parametrize("name", IMAGE_CLOSED_FORM)
def test_images_that_are_all_alike_give_the_most_frequent_label(name):
    grey = torch.full((60, 3, 16, 16), 128, dtype=torch.uint8)
    labels = torch.tensor([0, 1, 1, 2, 1, 1] * 10)
    same = LabelSplits(labels, labels, labels, 3)
    assert read(name, Release(grey, grey, grey), same) == pytest.approx(4 / 6)


def test_features_are_what_they_are_called():
    image = torch.zeros((1, 3, 16, 16), dtype=torch.uint8)
    image[0, 1] = 5  # binary 101
    planes = BitPlanes(16)(image)
    assert planes.shape == (1, 4 * (3 * 256 + 3))
    assert planes[0, 3 * 256 : 3 * 256 + 3].tolist() == [-1, 1, -1]  # means of the lowest plane
    cosines = Cosines(16)(image).view(3, 16, 16)
    assert float(cosines[1, 0, 0]) == pytest.approx(5 * 16)
    assert float(cosines.abs().sum()) == pytest.approx(5 * 16, abs=1e-3)  # nothing but the mean
    assert Moments(16)(image).shape == (1, 150)
    assert bool(torch.isfinite(Moments(16)(image)).all())


def test_images_and_labels_must_match():
    release, labels = smooth_release(0)
    with pytest.raises(ValueError, match="moments: as many labels"):
        fit_linear(
            "moments", release.train, labels.train[1:], release.validation, labels.validation, classes=4, device="cpu"
        )


def test_every_closed_form_has_its_features():
    assert {*IMAGE_CLOSED_FORM} < set(FEATURES)
