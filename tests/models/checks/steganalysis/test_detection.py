import logging
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from models.checks.config import STEGANALYSERS, CheckConfig, ControlConfig
from models.checks.controls import with_independent_changes
from models.checks.material import LabelSplits, Release
from models.checks.planting import Plantation
from models.checks.statistics import Estimate
from models.checks.steganalysis import detectors
from models.checks.steganalysis.calibration import (
    smallest_rate_seen,
    steganalysis_controls,
    with_replaced_lowest_bits,
)
from models.checks.steganalysis.detection import (
    CHANCE,
    NO_DIFFERENCE,
    detect,
    read_scores,
)

CLOSED_FORM = ("positions", "spam", "chi_square", "sample_pairs")


@pytest.fixture(scope="module")
def drawn():
    """Covers of a generator with few factors and a little noise of its own: 400, 200 and 300 images."""
    random = np.random.default_rng(0)
    steps = np.linspace(0, 2 * np.pi, 16)
    waves = np.stack([np.cos(a * steps)[:, None] * np.cos(b * steps) for a in range(3) for b in range(3)])
    mixing = random.normal(size=(12, 3, 9))
    splits = []
    for n in (400, 200, 300):
        planes = np.einsum("nf,fcw,whv->nchv", random.normal(size=(n, 12)), mixing, waves)
        levels = 128 + 3 * planes + random.normal(0, 0.3, planes.shape)
        splits.append(torch.from_numpy(np.clip(np.round(levels), 0, 255).astype(np.uint8)))
    return Release(*splits)


@pytest.fixture(scope="module")
def stretched(drawn):
    """The same with more contrast, which leaves gaps among the values that occur."""
    return Release(*[(images * 1.4 - 50).round().clamp(0, 255).byte() for images in vars(drawn).values()])


def _config(*names, **controls):
    short = {"steps": 20, "batch_size": 32, "width": 4, "evaluate_every": 10, "interim_images": 40}
    fits = dict.fromkeys(("steganalyser", "steganalyser_srnet"), short)
    return CheckConfig.from_mapping({"steganalysers": names or CLOSED_FORM, "fits": fits, "controls": controls})


def _noisy(release, seed):
    """A fresh draw of the same noise on the same inputs: another honest release."""
    random = np.random.default_rng(seed)

    def again(images):
        noise = torch.from_numpy(np.round(random.normal(0, 1.5, images.shape)))
        return (images.double() + noise).clamp(0, 255).byte()

    return Release(again(release.train), again(release.validation), again(release.test))


@pytest.mark.parametrize("name", STEGANALYSERS)
def test_every_steganalyser_gives_every_reading_with_its_interval(drawn, name):
    few = Release(drawn.train[:100], drawn.validation[:50], drawn.test[:50])
    stego = with_independent_changes(few, rate=0.5, seed=1)
    found = detect(name, few, stego, _config(), seed=0, device="cpu").measurements(name, votes=True)
    assert set(found) == {f"{metric}.{name}" for metric in CHANCE}
    for metric, item in found.items():
        assert 0 <= item.low <= item.value <= item.high <= 1, metric
        assert item.chance == CHANCE[metric.partition(".")[0]]


@pytest.mark.parametrize(
    ("name", "rate"), [("positions", 0.05), ("spam", 0.1), ("chi_square", 0.1), ("sample_pairs", 0.1)]
)
def test_what_each_is_made_for_is_found_and_more_surely_in_many_images(drawn, stretched, name, rate):
    covers = stretched if name == "chi_square" else drawn
    plant = with_replaced_lowest_bits if name in detectors.UNTRAINED else with_independent_changes
    found = detect(name, covers, plant(covers, rate=rate, seed=2), _config(), seed=0, device="cpu").readings
    assert found["steganalysis_auc"].low > 0.6
    assert found["steganalysis_auc"].value < found["steganalysis_auc_100"].value
    assert found["steganalysis_detection"].value < found["steganalysis_detection_100"].value
    assert found["steganalysis_detection_100"].value > 0.9
    assert found["steganalysis_p_e"].value > found["steganalysis_p_e_100"].value
    assert found["steganalysis_false_alarms"].low <= 0.01


@pytest.mark.parametrize("name", CLOSED_FORM)
def test_two_honest_releases_are_told_apart_by_chance_only(drawn, name):
    few = Release(drawn.train[:160], drawn.validation[:100], drawn.test)
    inside = 0
    for seed in range(10):
        first, second = _noisy(few, [seed, 0]), _noisy(few, [seed, 1])
        auc = detect(name, first, second, _config(), seed=seed, device="cpu").auc
        inside += auc.low <= 0.5 <= auc.high
    assert inside >= 9  # 95 % limits of 10 releases: 9 or 10 inside with probability 0.91, seeds fixed


def test_the_position_wise_model_sees_fainter_changes_than_features_without_positions(drawn):
    stego = with_independent_changes(drawn, rate=0.02, seed=3)
    positions, spam = (detect(name, drawn, stego, _config(), seed=0, device="cpu").auc for name in CLOSED_FORM[:2])
    assert positions.low > spam.high


def test_strength_0_is_exactly_a_guess():
    same = Release(*[torch.zeros(4, 3, 16, 16, dtype=torch.uint8)] * 3)
    assert detect("spam", same, same, _config(), seed=0, device="cpu") == NO_DIFFERENCE


def test_test_images_teach_the_detectors_nothing(drawn):
    stego = with_independent_changes(drawn, rate=0.3, seed=4)
    loud = Release(stego.train, stego.validation, 255 - stego.test)
    for name in ("positions", "spam"):
        scores = [
            detectors.fit_detector(name, drawn, release, _config(), seed=0, device="cpu").score(drawn.test[:5])
            for release in (stego, loud)
        ]
        assert torch.equal(*scores)


def test_positions_are_weighed_on_covers_that_their_model_has_not_seen(drawn, monkeypatch):
    modelled, weighed = [], []
    fit = detectors.fit_cover_model

    def spy(covers):
        model = fit(covers)
        modelled.append(covers)
        weighed.append([])
        seen = weighed[-1]
        return SimpleNamespace(features=lambda images: seen.append(images) or model.features(images))

    monkeypatch.setattr(detectors, "fit_cover_model", spy)
    stego = with_independent_changes(drawn, rate=0.3, seed=8)
    detectors.fit_detector("positions", drawn, stego, _config(), seed=0, device="cpu")
    assert torch.equal(torch.cat(modelled), drawn.train)
    for own, (covers, others) in zip(modelled, weighed, strict=True):
        assert len(covers) == len(others) == len(own)
        assert not any(torch.equal(one, other) for one in own for other in covers)


def test_pairs_that_are_not_in_the_same_split_are_refused(drawn):
    shifted = Release(drawn.train[1:], torch.cat([drawn.validation, drawn.train[:1]]), drawn.test)
    with pytest.raises(ValueError, match=r"train 400 covers and 399 stego images, validation 200 covers and 201"):
        detect("spam", drawn, shifted, _config(), seed=0, device="cpu")


@pytest.mark.parametrize("broken", [ValueError("no"), torch.full((300,), math.nan), torch.zeros(300)])
def test_a_detector_that_crashes_or_says_nothing_is_measured_as_nan_and_named(drawn, monkeypatch, caplog, broken):
    def score(images):
        if isinstance(broken, ValueError):
            raise broken
        return broken[: len(images)]

    monkeypatch.setitem(detectors.UNTRAINED, "chi_square", score)
    stego = with_independent_changes(drawn, rate=0.5, seed=5)
    with caplog.at_level(logging.WARNING, logger="models.checks"):
        found = detect("chi_square", drawn, stego, _config(), seed=0, device="cpu")
    assert set(found.readings) == set(CHANCE)
    assert all(math.isnan(reading.value) for reading in found.readings.values())
    assert "steganalyser chi_square" in caplog.text


def test_thresholds_come_from_validation_images():
    random = np.random.default_rng(6)
    below, above = random.normal(size=(2, 500))
    shifted = read_scores((below + 2, above + 2), (below, above)).readings
    assert shifted["steganalysis_false_alarms"].value == shifted["steganalysis_detection"].value == 0
    assert read_scores((below, above), (below, above)).readings["steganalysis_false_alarms"].value == 4 / 500


def test_controls_are_a_gate_and_the_smallest_rate_seen_for_each(drawn):
    config = _config("positions", "sample_pairs", fainter_rates=[0.2, 0.01, 0.001])
    where = Plantation(drawn, drawn, lambda images: images)
    labels = LabelSplits(*[torch.arange(len(images)) % 2 for images in vars(drawn).values()], 2)
    controls = steganalysis_controls(where, labels, config, seed=0, device="cpu")
    found = {(c.check, c.adversary, c.control): c for c in controls}
    assert set(found) == {
        ("steganalysis", "positions", "noise"),
        ("steganalysis", "sample_pairs", "replacement"),
        ("steganalysis_sensitivity", "positions", "smallest_rate_seen"),
        ("steganalysis_sensitivity", "sample_pairs", "smallest_rate_seen"),
    }
    assert all(control.passed for control in found.values())
    seen = found["steganalysis_sensitivity", "positions", "smallest_rate_seen"]
    assert seen.value in (0.2, 0.01, 0.001)
    assert "0.5: " in seen.required
    assert "0.2: " in seen.required


def test_rates_fall_until_one_is_missed_and_a_missed_gate_means_none_is_seen(drawn, monkeypatch):
    planted = []
    answers = {0.5: (0.9, 0.88), 0.2: (0.6, 0.55), 0.1: (0.51, 0.49), 0.05: (0.9, 0.8)}

    def ask(rate):
        planted.append(rate)
        value, low = answers[rate]
        return Estimate(value, low, value + (value - low))

    config = ControlConfig(fainter_rates=(0.05, 0.2, 0.1))
    seen = smallest_rate_seen("spam", ask(0.5), ask, config)
    assert (seen.value, seen.passed, planted) == (0.2, True, [0.5, 0.2, 0.1])
    assert "0.1: 0.510 (0.490 to 0.530)" in seen.required
    answers[0.5] = (math.nan, math.nan)
    blind = smallest_rate_seen("spam", ask(0.5), ask, config)
    assert math.isnan(blind.value)
    assert not blind.passed


def test_replaced_lowest_bits_change_the_stated_share_and_only_lowest_bits(drawn):
    stego = with_replaced_lowest_bits(drawn, rate=0.2, seed=7)
    assert torch.equal(stego.test | 1, drawn.test | 1)
    changed = (stego.test != drawn.test).double()
    assert float(changed.mean()) == pytest.approx(0.2, abs=4 * math.sqrt(0.16 / changed.numel()))
