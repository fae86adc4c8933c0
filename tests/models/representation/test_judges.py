"""Judges: the plateau decides whether one counts, and each reads the latents it should."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from models.image_quality import ssim, to_float
from models.randomness import seeded, torch_generator
from models.representation.config import RepresentationConfig
from models.representation.instruments import Perceptual, frozen
from models.representation.judges import PublicMaterial, decode, fit_judge, latents_of, to_plateau
from models.representation.judging_config import JudgeConfig
from models.representation.networks import Encoder, build_decoder
from models.representation.white_box import choose_weight, invert

SETTINGS = JudgeConfig(steps=60, batch_size=8, evaluate_every=5, patience=2, tolerance=0.01)


def new_encoder(config: RepresentationConfig) -> Encoder:
    with seeded(0, "encoder"):
        return frozen(Encoder(config))


def run_with(config: RepresentationConfig, scores: list[float], settings: JudgeConfig) -> tuple[bool, float, int]:
    """Train a decoder whose looks give ``scores`` in turn, the last one again and again."""
    decoder = build_decoder(config, "small")
    latent = torch.zeros(2, config.latent_channels, 8, 8)
    told = iter(scores)
    last = [scores[0]]

    def score() -> float:
        last[0] = next(told, last[0])
        return last[0]

    found = to_plateau(decoder, lambda: decoder(latent).square().mean(), score, settings)
    return found.converged, found.gain, found.steps


def test_a_plateau_at_two_learning_rates_is_convergence(small: RepresentationConfig) -> None:
    converged, gain, steps = run_with(small, [0.1, 0.2, 0.3], SETTINGS)
    assert converged
    assert gain == pytest.approx(0.0)
    assert steps == 5 * (3 + 2 + 2)  # three looks with gains, then two without at each rate


def test_a_judge_that_still_gains_has_not_converged(small: RepresentationConfig) -> None:
    converged, gain, steps = run_with(small, [0.02 * look for look in range(20)], SETTINGS)
    assert not converged
    assert gain == pytest.approx(0.04)
    assert steps == 60


def test_running_out_of_steps_before_the_last_plateau_is_no_convergence(small: RepresentationConfig) -> None:
    converged, _, steps = run_with(small, [0.5], replace(SETTINGS, steps=20))
    assert not converged
    assert steps == 20


def test_a_score_that_is_nan_is_an_error(small: RepresentationConfig) -> None:
    with pytest.raises(FloatingPointError, match="judge, step 5"):
        run_with(small, [float("nan")], SETTINGS)


def test_what_has_not_converged_is_told_by_its_control(small: RepresentationConfig) -> None:
    decoder = build_decoder(small, "small")
    latent = torch.zeros(2, 4, 8, 8)
    fitted = to_plateau(decoder, lambda: decoder(latent).mean(), lambda: 0.5, replace(SETTINGS, steps=5))
    control = fitted.control("small", 0.01)
    assert (control.check, control.adversary, control.control, control.passed) == (
        "inversion",
        "small",
        "plateau",
        False,
    )


def test_a_judge_learns_to_invert_and_repeats(
    small: RepresentationConfig, images: Tensor, perceptual: Perceptual
) -> None:
    config = replace(small, latent_channels=8)
    encoder = new_encoder(config)
    material = PublicMaterial(images[:24], images[24:36])
    settings = replace(SETTINGS, steps=120, evaluate_every=20)
    test, truth = images[36:], to_float(images[36:])
    found = []
    for _ in range(2):
        fitted = fit_judge("large", encoder, config, material, perceptual, settings, seed=0)
        found.append(decode(fitted.decoder, latents_of(encoder, test, encoder.noise, torch_generator(0))))
    assert torch.equal(found[0], found[1])
    mean = to_float(images[:24]).mean(0).expand_as(truth)
    assert float(ssim(found[0], truth).mean()) > float(ssim(mean, truth).mean()) + 0.1


def test_only_the_noise_free_judge_reads_latents_without_noise(small: RepresentationConfig, images: Tensor) -> None:
    encoder = new_encoder(replace(small, noise=0.4))
    clean = latents_of(encoder, images, 0.0, torch_generator(0))
    noisy = latents_of(encoder, images, encoder.noise, torch_generator(0))
    assert torch.equal(clean, latents_of(encoder, images, 0.0, torch_generator(1)))
    assert float((noisy - clean).std()) == pytest.approx(0.4, rel=0.1)


def test_white_box_inversion_improves_on_its_start(small: RepresentationConfig, images: Tensor) -> None:
    encoder = new_encoder(replace(small, noise=0.0, latent_channels=12))
    truth = to_float(images[:16])
    latents = latents_of(encoder, images[:16], 0.0, torch_generator(0))
    start = to_float(images).mean(0).expand_as(truth).clone()
    found = invert(encoder, latents, start, 0.001, steps=200)
    before, after = ((encoder(x) - latents).square().mean() for x in (start, found.images))
    assert after < 0.3 * before
    assert (found.images - truth).square().mean() < (start - truth).square().mean()
    assert found.images.abs().max() <= 1.0


def test_the_prior_keeps_an_inversion_at_its_start_and_is_chosen_on_public_people(
    small: RepresentationConfig, images: Tensor
) -> None:
    encoder = new_encoder(replace(small, noise=0.0))
    truth = to_float(images[:8])
    unrelated = latents_of(encoder, images[8:16], 0.0, torch_generator(0))  # the latents mislead
    near, far = (invert(encoder, unrelated, truth, weight, steps=60).images for weight in (3.0, 0.03))
    assert (near - truth).square().mean() < (far - truth).square().mean()
    assert choose_weight(encoder, unrelated, truth, images[:8], steps=60) == 3.0


def test_an_inversion_that_is_cut_short_has_not_converged(small: RepresentationConfig, images: Tensor) -> None:
    encoder = new_encoder(small)
    latents = latents_of(encoder, images[:4], 0.0, torch_generator(0))
    start = torch.zeros(4, 3, 16, 16)
    assert not invert(encoder, latents, start, 0.01, steps=10).control().passed
