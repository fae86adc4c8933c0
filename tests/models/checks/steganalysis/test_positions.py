import numpy as np
import pytest
import torch

from models.checks.steganalysis.positions import BANDS, ROUNDING, fit_cover_model, windows


def _drawn(n, seed, size=16, factors=12):
    """Images that follow few hidden factors, as a generator's do, rounded to 8 bits."""
    mixing = np.random.default_rng(0).normal(size=(factors, 3 * size * size)) * 8
    levels = 128 + np.random.default_rng([1, seed]).normal(size=(n, factors)) @ mixing
    return torch.from_numpy(np.clip(np.round(levels), 0, 255).astype(np.uint8).reshape(n, 3, size, size))


def test_windows_cut_every_pixel_once_and_in_its_place():
    images = torch.arange(2 * 3 * 16 * 24).remainder(251).to(torch.uint8).view(2, 3, 16, 24)
    cut = windows(images, 8)
    assert cut.shape == (6, 2, 192)
    assert torch.equal(cut[4].view(2, 3, 8, 8), images[:, :, 8:, 8:16].double())
    with pytest.raises(ValueError, match="8 pixels do not fill images of 20 x 20"):
        windows(torch.zeros(1, 3, 20, 20, dtype=torch.uint8), 8)


def test_the_score_is_the_squared_length_of_precision_times_deviation():
    covers, image = _drawn(300, 1), _drawn(2, 2)
    features = fit_cover_model(covers).features(image).double().exp().view(2, 4, BANDS + 6)
    window = windows(covers, 8)[3].numpy()
    covariance = np.cov(window.T, bias=True) + ROUNDING * np.eye(192)
    precision = np.linalg.inv(covariance)
    score = (windows(image, 8)[3].numpy() - window.mean(0)) @ precision
    squares = (score**2).reshape(2, 3, 64).sum(2)
    np.testing.assert_allclose(features[:, 3, BANDS : BANDS + 3], squares, rtol=1e-4)
    np.testing.assert_allclose(features[:, 3, :BANDS].sum(1), squares.sum(1), rtol=1e-4)
    # an error of prediction in standard deviations is score / sqrt(precision)
    relative = (score**2 / np.diag(precision)).reshape(2, 3, 64).sum(2)
    np.testing.assert_allclose(features[:, 3, BANDS + 3 :], relative, rtol=1e-4)


def test_one_grey_level_in_a_hundred_values_shows_in_images_of_one_generator():
    covers, test = _drawn(400, 3), _drawn(200, 4)
    random = np.random.default_rng(5)
    changes = (random.random(test.shape) < 0.01) * random.choice([-1, 1], test.shape)
    stego = (test.int() + torch.from_numpy(changes)).clamp(0, 255).byte()
    model = fit_cover_model(covers)
    below, above = (model.features(images)[:, 0::14].sum(1) for images in (test, stego))
    assert float((above > below).float().mean()) > 0.9


def test_a_window_without_any_variance_has_finite_features():
    flat = torch.full((4, 3, 16, 16), 9, dtype=torch.uint8)
    assert bool(torch.isfinite(fit_cover_model(flat).features(flat)).all())
