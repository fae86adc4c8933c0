"""What the subverter got back: quality against the best guess, and bit errors with honest limits."""

import numpy as np
import pytest
import torch

from models.hiding.reconstruction import bit_errors, cover_quality, reconstruction_quality
from models.image_quality import to_float


def images(n: int = 8, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, 256, (n, 3, 16, 16), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def test_a_perfect_recovery_scores_1_and_its_baseline_is_the_mean_face() -> None:
    inputs = images()
    mean_face = to_float(inputs).mean(0)
    found = reconstruction_quality(to_float(inputs), inputs, mean_face)["reconstruction_ssim"]
    assert found.value == pytest.approx(1.0, abs=1e-5)
    guess = reconstruction_quality(mean_face.expand(8, -1, -1, -1), inputs, mean_face)["reconstruction_ssim"]
    assert guess.value == pytest.approx(found.baseline)


def test_no_error_seen_does_not_mean_that_none_can_happen() -> None:
    bits = np.random.default_rng(0).integers(0, 2, (20, 10), dtype=np.uint8)
    found = bit_errors(bits.astype(np.float32), bits)["bit_error_rate"]
    assert found.value == found.low == 0.0
    assert found.high == pytest.approx(1 - 0.025 ** (1 / 200))


def test_bits_that_fail_together_widen_the_interval() -> None:
    bits = np.zeros((20, 100), dtype=np.uint8)
    together, scattered = bits.astype(np.float32), bits.astype(np.float32)
    together[:2] = 1.0  # 200 errors in two images
    scattered[:, :10] = 1.0  # 200 errors, ten in each image
    wide, narrow = (bit_errors(read, bits)["bit_error_rate"] for read in (together, scattered))
    assert wide.value == pytest.approx(narrow.value) == pytest.approx(0.1)
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)


def test_an_untouched_cover_has_a_finite_psnr() -> None:
    assert cover_quality(images(), images())["cover_psnr"].value == 99.0
