"""Laundering steps: what each does to images, and that what they learn from is released images alone."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.signal import medfilt2d
from torch import Tensor

from models.channel import Channel
from models.image_quality import psnr, to_float
from models.laundering import rendering
from models.laundering.steps import LEVELS, NONE, STEPS, launderers, median, requantise


def faces(n: int = 40, seed: int = 0) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    coarse = torch.rand((n, 3, 4, 4), generator=random)
    return (F.interpolate(coarse, size=16, mode="bilinear") * 255).round().to(torch.uint8)


@pytest.fixture
def few_updates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "STEPS", 6)


def test_there_is_a_step_for_every_name_and_each_keeps_shape_and_type(few_updates: None) -> None:
    images, before = faces(6), faces(6)
    known = launderers(lambda: faces(20, seed=1), seed=0, device="cpu")
    assert tuple(known) == STEPS
    for name, launder in known.items():
        laundered = launder(images, np.random.default_rng(0))
        assert laundered.shape == images.shape, name
        assert laundered.dtype == torch.uint8, name
        assert torch.equal(laundered, images) == (name == NONE), name
        assert torch.equal(images, before), name  # the release itself stays
        again = launder(images, np.random.default_rng(0))
        assert torch.equal(laundered, again), name


def test_requantisation_erases_lowest_bits_and_moves_no_value_further_than_half_a_step() -> None:
    images = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).expand(1, 3, 16, 16)
    for levels in LEVELS:
        left = requantise(images, levels)
        assert len(left.unique()) == levels
        assert int((left.int() - images.int()).abs().max()) <= 128 // levels
        assert torch.equal(requantise(left, levels), left)
    flipped = images ^ 1
    assert torch.equal(requantise(images, 128), requantise(flipped, 128))


def test_the_median_is_that_of_every_window() -> None:
    images = faces(1)
    expected = medfilt2d(images[0, 1].numpy().astype(float), 3)[1:-1, 1:-1]
    assert np.array_equal(median(images, 3)[0, 1].numpy()[1:-1, 1:-1], expected)


def test_steps_that_are_channels_are_those_channels() -> None:
    images, known = faces(4), launderers(faces, seed=0, device="cpu")
    for name in ("jpeg50", "blur1", "resize50", "noise4"):
        expected = Channel.parse(name).apply(images, np.random.default_rng(5))
        assert torch.equal(known[name](images, np.random.default_rng(5)), expected)


def test_what_a_step_learns_from_is_asked_for_once_and_only_if_it_is_used(few_updates: None) -> None:
    asked = []

    def held() -> Tensor:
        asked.append(1)
        return faces(20, seed=1)

    known = launderers(held, seed=0, device="cpu")
    known["jpeg75"](faces(2), np.random.default_rng(0))
    assert not asked
    for _ in range(2):
        known["autoencoder"](faces(2), np.random.default_rng(0))
    assert len(asked) == 1


def test_the_denoiser_brings_noisy_images_nearer_to_what_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "STEPS", 100)
    images, held = faces(40, seed=2), faces(120, seed=1)
    noisy = Channel.parse("noise20").apply(images, np.random.default_rng(0))
    network = rendering.fit_denoiser(held, sigma=20.0, seed=0, device="cpu")
    before = psnr(to_float(noisy), to_float(images)).mean()
    after = psnr(to_float(rendering.render(network, noisy)), to_float(images)).mean()
    assert after > before + 3  # decibels


def test_the_autoencoder_renders_faces_but_not_what_cannot_be_predicted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "STEPS", 150)
    held, images = faces(120, seed=1), faces(40, seed=2)
    random = torch.Generator().manual_seed(3)
    hidden = torch.randint(0, 2, images.shape, generator=random, dtype=torch.uint8)
    network = rendering.fit_autoencoder(held, seed=0, device="cpu")
    rendered = rendering.render(network, (images & 254) | hidden)
    assert psnr(to_float(rendered), to_float(images)).mean() > 20
    agreement = ((rendered & 1) == hidden).double().mean()
    assert abs(float(agreement) - 0.5) < 3.3 * 0.5 / hidden.numel() ** 0.5 + 0.01


def test_the_same_seed_renders_the_same_and_another_does_not(few_updates: None) -> None:
    one, again, other = (rendering.fit_autoencoder(faces(20), seed=seed, device="cpu") for seed in (0, 0, 1))
    images = faces(3, seed=4)
    assert torch.equal(rendering.render(one, images), rendering.render(again, images))
    assert not torch.equal(rendering.render(one, images), rendering.render(other, images))
