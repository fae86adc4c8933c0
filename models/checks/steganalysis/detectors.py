"""Every steganalyser by name: what it learns from pairs of cover and stego image, and how it then scores an image."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from models.checks.config import CheckConfig
from models.checks.fitting import fit_steganalyser, predict_logits
from models.checks.material import Release
from models.checks.steganalysis.ensemble import fit_ensemble
from models.checks.steganalysis.lowest_bits import chi_square_score, sample_pair_rate
from models.checks.steganalysis.positions import fit_cover_model
from models.checks.steganalysis.spam import spam_features
from models.randomness import derive_seed

Score = Callable[[Tensor], Tensor]
"""From images (n, 3, size, size) uint8 to (n,) scores on the CPU; higher means stego."""


class Detector(NamedTuple):
    """A fitted steganalyser."""

    score: Score
    converged: bool = True
    """Whether a trained one had nothing left to learn when its training ended."""


NETWORKS = {"high_pass": "steganalyser", "srnet": "steganalyser_srnet"}
"""Steganalysers that are trained step by step, with their entry of ``fits``."""

UNTRAINED: dict[str, Score] = {"chi_square": chi_square_score, "sample_pairs": sample_pair_rate}
"""Steganalysers of replaced lowest bits, which look at one image by itself."""


def fit_detector(
    name: str, covers: Release, stego: Release, config: CheckConfig, *, seed: int, device: str | torch.device
) -> Detector:
    """Fit a steganalyser on train pairs, where it learns at all; networks stop on validation pairs.

    Args:
        name: One of ``models.checks.config.STEGANALYSERS``.
        covers: Honest images. Test images are not touched.
        stego: Row i of each split comes from the same input as row i of ``covers``.
        config: Budgets of the networks.
        seed: Of the training.
        device: Where networks are trained; all others run on the CPU.

    Raises:
        ValueError: If the name is unknown, or the images do not suit the detector.
        FloatingPointError: If a training diverges.
    """
    if name in UNTRAINED:
        return Detector(UNTRAINED[name])
    if name in NETWORKS:
        return _network(name, covers, stego, config, seed, device)
    if name == "spam":
        return Detector(_spam(covers, stego, seed))
    if name == "positions":
        return Detector(_positions(covers, stego, seed))
    raise ValueError(f"steganalyser {name!r} is unknown")


def _network(
    name: str, covers: Release, stego: Release, config: CheckConfig, seed: int, device: str | torch.device
) -> Detector:
    fit = config.fits[NETWORKS[name]]
    splits = (covers.train, stego.train, covers.validation, stego.validation)
    fitted = fit_steganalyser(*splits, config=fit, seed=seed, device=device, name=NETWORKS[name])
    return Detector(
        lambda images: predict_logits(fitted.network, images, precision=fit.precision).squeeze(1), fitted.converged
    )


def _spam(covers: Release, stego: Release, seed: int) -> Score:
    ensemble = fit_ensemble(spam_features(covers.train), spam_features(stego.train), seed=seed)
    return lambda images: ensemble.score(spam_features(images))


def _positions(covers: Release, stego: Release, seed: int) -> Score:
    """Model covers on one half of the train inputs and weigh the features on the other, both ways round.

    Images behind a covariance fit it better than others do; weights learnt on them would expect that of test images.
    """
    halves = torch.arange(len(covers.train)).tensor_split(2)
    parts = []
    for number, (own, other) in enumerate((halves, halves[::-1])):
        model = fit_cover_model(covers.train[own])
        features = [model.features(images[other]) for images in (covers.train, stego.train)]
        parts.append((model, fit_ensemble(*features, seed=derive_seed(seed, "positions", number))))
    return lambda images: torch.stack([ensemble.score(model.features(images)) for model, ensemble in parts]).mean(0)
