import numpy as np
import pytest
import torch

from models.checks.statistics import auc
from models.checks.steganalysis.lowest_bits import chi_square_score, sample_pair_rate


@pytest.fixture(scope="module")
def natural():
    """Smooth scenes with a sensor's noise, and a curve of tones that makes neighbouring values unequally frequent."""
    random = np.random.default_rng(0)
    steps = np.linspace(0, 1, 48)
    planes = []
    for _ in range(60 * 3):
        a, b, c, d = random.normal(size=4)
        scene = 130 + 40 * np.sin(3 * a * steps[:, None] + b) * np.cos(3 * c * steps + d)
        planes.append(scene + random.normal(0, 2.0, scene.shape))
    levels = np.clip(np.round(np.stack(planes)), 0, 255)
    return torch.from_numpy(levels.astype(np.uint8).reshape(60, 3, 48, 48))


def _replaced(images, share, seed=1):
    generator = torch.Generator().manual_seed(seed)
    written = torch.rand(images.shape, generator=generator) < share
    return torch.where(written, (images & 254) | torch.randint(0, 2, images.shape, generator=generator), images).byte()


@pytest.mark.parametrize(("share", "tolerance"), [(0.0, 0.06), (0.25, 0.06), (0.5, 0.06), (1.0, 0.1)])
def test_sample_pairs_estimate_the_share_of_replaced_lowest_bits(natural, share, tolerance):
    # the mean of 60 images; at 1 the two roots meet and the smaller one is taken, which is biased downwards
    assert float(sample_pair_rate(_replaced(natural, share)).mean()) == pytest.approx(share, abs=tolerance)


def test_replaced_lowest_bits_are_found_by_sample_pairs_at_full_and_at_a_third_of_the_capacity(natural):
    none = sample_pair_rate(natural).numpy()
    assert auc(none, sample_pair_rate(_replaced(natural, 1.0)).numpy()) > 0.999
    assert auc(none, sample_pair_rate(_replaced(natural, 0.33)).numpy()) > 0.9


def test_replaced_lowest_bits_are_found_by_chi_square_where_tones_are_unevenly_frequent(natural):
    stretched = (natural.float() * 1.5 - 60).round().clamp(0, 255).byte()  # leaves gaps, as any change of contrast
    full = chi_square_score(_replaced(stretched, 1.0))
    assert auc(chi_square_score(stretched).numpy(), full.numpy()) > 0.999
    assert float(full.mean()) == pytest.approx(0, abs=0.4)  # a standard normal value, over 60 images
    assert 0.7 < float(full.std()) < 1.3


def test_matching_instead_of_replacing_leaves_no_such_marks(natural):
    generator = torch.Generator().manual_seed(2)
    signs = torch.randint(0, 2, natural.shape, generator=generator) * 2 - 1
    changed = torch.rand(natural.shape, generator=generator) < 0.5
    matched = (natural.int() + signs * changed).clamp(0, 255).byte()
    assert float(sample_pair_rate(matched).mean()) < 0.25  # replacement of as many: 1


def test_flat_and_tiny_images_have_a_finite_score():
    for images in (torch.full((2, 3, 16, 16), 77, dtype=torch.uint8), _replaced(torch.zeros(2, 3, 2, 2).byte(), 1.0)):
        assert bool(torch.isfinite(sample_pair_rate(images)).all())
        assert bool(torch.isfinite(chi_square_score(images)).all())
    assert chi_square_score(torch.arange(12, dtype=torch.uint8).view(1, 3, 2, 2)).item() == 0


def test_every_image_is_scored_by_itself(natural):
    for score in (sample_pair_rate, chi_square_score):
        assert torch.equal(score(natural)[7:9], score(natural[7:9]))
