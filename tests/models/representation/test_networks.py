"""Encoder, classifier and decoder: shapes at every cut, the bound and the noise of the latent."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from models.image_quality import to_float
from models.randomness import torch_generator
from models.representation.closed_form import ridge_reconstruction
from models.representation.config import RepresentationConfig
from models.representation.networks import Encoder, TaskClassifier, build_decoder, with_noise


@pytest.mark.parametrize("size", [16, 32])
@pytest.mark.parametrize("cut", [1, 2])
def test_the_cut_decides_the_side_of_the_latent(small: RepresentationConfig, size: int, cut: int) -> None:
    config = replace(small, cut=cut)
    images = torch.rand(2, 3, size, size) * 2 - 1
    latent = Encoder(config)(images)
    assert latent.shape == (2, 4, size // 2**cut, size // 2**cut)
    assert TaskClassifier(config, size, 5)(latent).shape == (2, 5)
    for capacity in ("small", "large"):
        assert build_decoder(config, capacity)(latent).shape == images.shape


def test_latents_are_bounded_and_released_with_noise(small: RepresentationConfig) -> None:
    encoder = Encoder(replace(small, noise=0.5)).eval()
    with torch.no_grad():
        encoder.bottleneck.weight.mul_(1e4)
        images = torch.rand(64, 3, 16, 16) * 2 - 1
        assert encoder(images).abs().max() <= 1.0
        difference = encoder.release(images) - encoder(images)
    assert float(difference.std()) == pytest.approx(0.5, rel=0.05)  # 16,384 numbers: standard error 0.003


def test_noise_0_changes_nothing_and_a_generator_repeats() -> None:
    latent = torch.rand(3, 2, 4, 4)
    assert with_noise(latent, 0.0) is latent
    first, again = (with_noise(latent, 0.3, torch_generator(5)) for _ in range(2))
    assert torch.equal(first, again)


def test_the_closed_form_decoder_reads_what_is_linear_in_the_latent(images: Tensor) -> None:
    truth = to_float(images)
    mean = truth.mean(0)
    latent = torch.nn.functional.pixel_unshuffle(truth, 4)  # all pixels of each square, as channels
    found = ridge_reconstruction(latent, truth, mean)
    assert float((found - truth).square().mean()) < 1e-3 * float((mean - truth).square().mean())


def test_the_closed_form_decoder_reads_nothing_from_a_constant_latent_and_has_a_gradient(images: Tensor) -> None:
    truth = to_float(images)
    mean = truth.mean(0)
    nothing = ridge_reconstruction(torch.full((48, 2, 4, 4), 0.5), truth, mean)
    assert float((nothing - truth).square().mean()) > 0.5 * float((mean - truth).square().mean())
    latent = torch.nn.functional.pixel_unshuffle(truth, 4).requires_grad_(True)
    (ridge_reconstruction(latent, truth, mean) - truth).square().mean().backward()
    assert latent.grad is not None
    assert latent.grad.abs().sum() > 0
