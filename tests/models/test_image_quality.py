"""Pixel formats, PSNR and SSIM."""

import math

import pytest
import torch

from models.image_quality import GREY_LEVEL, psnr, round_straight_through, ssim, to_float, to_uint8


def random_images(seed: int = 0, n: int = 3, size: int = 16) -> torch.Tensor:
    return torch.rand((n, 3, size, size), generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_every_8_bit_value_survives_the_way_to_float_and_back() -> None:
    values = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(to_uint8(to_float(values)), values)


def test_values_outside_the_range_are_clipped_not_wrapped() -> None:
    assert to_uint8(torch.tensor([-1.5, 1.5])).tolist() == [0, 255]


def test_rounding_is_idempotent_and_passes_gradients_unchanged() -> None:
    images = random_images().requires_grad_()
    rounded = round_straight_through(images)
    assert torch.allclose(round_straight_through(rounded.detach()), rounded.detach(), atol=1e-6)
    (rounded * 3.0).sum().backward()
    assert images.grad is not None
    assert torch.allclose(images.grad, torch.full_like(images, 3.0))


def test_psnr_of_a_constant_offset_has_its_closed_form() -> None:
    images = random_images() * 0.5
    expected = 10 * math.log10(4 / GREY_LEVEL**2)
    assert torch.allclose(psnr(images + GREY_LEVEL, images), torch.full((3,), expected), atol=1e-3)


def test_psnr_of_equal_images_is_infinite() -> None:
    images = random_images()
    assert torch.isinf(psnr(images, images)).all()


def test_ssim_is_one_for_equal_images_and_symmetric() -> None:
    one, other = random_images(0), random_images(1)
    assert torch.allclose(ssim(one, one), torch.ones(3), atol=1e-5)
    assert torch.allclose(ssim(one, other), ssim(other, one), atol=1e-5)


def test_ssim_agrees_with_a_loop_over_windows() -> None:
    estimate, reference = random_images(0, n=1, size=12), random_images(1, n=1, size=12)
    offset = torch.arange(7.0) - 3
    profile = torch.exp(-(offset**2) / (2 * 1.5**2))
    window = torch.outer(profile, profile) / profile.sum() ** 2
    values = []
    for channel in range(3):
        for row in range(6):
            for column in range(6):
                a = estimate[0, channel, row : row + 7, column : column + 7]
                b = reference[0, channel, row : row + 7, column : column + 7]
                mean_a, mean_b = (window * a).sum(), (window * b).sum()
                variance_a, variance_b = (window * a * a).sum() - mean_a**2, (window * b * b).sum() - mean_b**2
                covariance = (window * a * b).sum() - mean_a * mean_b
                c1, c2 = 0.02**2, 0.06**2
                values.append(
                    (2 * mean_a * mean_b + c1)
                    * (2 * covariance + c2)
                    / ((mean_a**2 + mean_b**2 + c1) * (variance_a + variance_b + c2))
                )
    assert float(ssim(estimate, reference)) == pytest.approx(float(torch.stack(values).mean()), abs=1e-4)


def test_quality_of_images_of_different_shapes_is_refused() -> None:
    with pytest.raises(ValueError, match="one shape"):
        ssim(random_images(size=16), random_images(size=32))
    with pytest.raises(ValueError, match="smaller than the window"):
        ssim(random_images(size=4), random_images(size=4))
