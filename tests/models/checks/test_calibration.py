"""Planted leaks are caught and clean material passes, at the budgets that studies use unless a test says otherwise."""

from dataclasses import replace

import pytest
import torch
from scipy import stats as scipy_stats

from models.checks.battery import CheckConfig, LabelSplits, fit_on_originals, judge_honest, judge_release
from models.checks.controls import required_accuracy, with_identity_in_lowest_bits
from models.checks.judging import fit_and_read

pytestmark = pytest.mark.slow

CONFIG = CheckConfig()
READS = required_accuracy(6, CONFIG.controls)


def read(name, release, labels, seed=0):
    return fit_and_read(name, CONFIG.fits[name], release, labels, seed=seed, device="cpu")[1]


@pytest.mark.parametrize("name", ["plain", "high_pass", "bit_plane"])
def test_labels_that_do_not_depend_on_the_images_are_read_at_chance(many, name):
    generator = torch.Generator().manual_seed(1)
    splits = [torch.randint(0, 6, (len(images),), generator=generator) for images in vars(many.covers).values()]
    found = read(name, many.covers, LabelSplits(*splits, 6))
    # independent uniform labels: whatever is answered, right answers are binomial(n, 1/6); alpha 0.001, n 1,000
    low, high = scipy_stats.binom.interval(0.999, len(splits[2]), 1 / 6)
    assert low <= found.value * len(splits[2]) <= high


def test_an_unkeyed_identity_in_the_lowest_bits_passes_the_image_network_and_not_the_bit_plane_model(many):
    identity, share = many.labels.identity, CONFIG.controls.bit_share
    splits = (identity.train, identity.validation, identity.test)
    planted = with_identity_in_lowest_bits(many.covers, splits, share=share, seed=5)
    # the covers show people drawn at random, so the plain network's honest baseline is chance
    assert read("plain", planted, identity).value <= 1 / 6 + CONFIG.controls.tolerance  # the false pass
    assert read("bit_plane", planted, identity).value >= READS


def test_a_faint_pattern_that_names_the_identity_is_read_by_both_image_networks(many):
    position = torch.arange(32.0)
    waves = torch.stack([torch.cos(position * (0.6 + 0.35 * k))[None, :] + torch.zeros(32, 1) for k in range(6)])

    def mark(images, labels):
        return (images.float() + 2 * waves[labels][:, None]).round().clamp(0, 255).to(torch.uint8)

    identity = many.labels.identity
    marked = type(many.covers)(
        mark(many.covers.train, identity.train),
        mark(many.covers.validation, identity.validation),
        mark(many.covers.test, identity.test),
    )
    assert read("plain", marked, identity).value >= READS
    assert read("high_pass", marked, identity).value >= READS


def test_every_planted_leak_violates_its_bound_strength_0_keeps_all_bounds_and_so_every_adversary_votes(many):
    halved = {name: replace(fit, steps=fit.steps // 2) for name, fit in CONFIG.fits.items() if name != "steganalyser"}
    config = replace(CONFIG, fits={**CONFIG.fits, **halved})  # these leaks are loud
    originals = fit_on_originals(many.originals, many.labels, config, seed=0, device="cpu")
    honest = judge_honest(many.covers, many.labels, originals, config, seed=0, device="cpu")
    assert [control for control in honest.controls if not control.passed] == []
    clean, _ = judge_release(many.covers, many.covers, many.labels, originals, honest, config, seed=1, device="cpu")
    for name, found in clean.items():
        assert found.votes, name
        if "identity" in name:
            assert found.value <= found.baseline + config.controls.tolerance, name
    assert clean["expression_accuracy"].value >= clean["expression_accuracy"].baseline - config.controls.tolerance
    assert clean["steganalysis_auc.high_pass"].value == 0.5
