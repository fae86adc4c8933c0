"""How much of the inputs a reconstruction shows, beside what a constant image and the mean face would show."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models.checks.statistics import auc_interval
from models.image_quality import psnr, ssim, to_float
from models.measurement import Control, Measurement
from models.randomness import numpy_generator
from models.representation.instruments import Embedding, Perceptual, embed, same_and_other
from models.representation.people_mean import mean_over_people

METRICS = ("inversion_ssim", "inversion_psnr", "feature_distance", "identity_similarity")
"""What is measured of each judge's reconstructions."""
_EQUAL_PSNR = 99.0  # decibels given to equal images, whose PSNR is infinite
_AT_ONCE = 256
_MOST_PAIRS = 20_000


class Yardstick:
    """Measures reconstructions; instruments and floors are prepared once."""

    def __init__(self, perceptual: Perceptual, embedding: Embedding, public_mean: Tensor, *, trusted: bool) -> None:
        """Keep the instruments.

        Args:
            perceptual: Distance in features.
            embedding: Identity embedding.
            public_mean: Mean public image, (3, size, size) in [-1, 1]: the best guess without a latent. Its own mean
                colour is the constant image.
            trusted: Whether the embedding passed its control; otherwise identity similarity has no vote.
        """
        self._perceptual, self._embedding, self._trusted = perceptual, embedding, trusted
        self._mean = public_mean
        self._constant = public_mean.mean((1, 2), keepdim=True).expand_as(public_mean)

    def measure(self, estimates: Tensor, inputs: Tensor, identity: np.ndarray) -> dict[str, Measurement]:
        """Return every one of ``METRICS``; ``baseline`` is the mean face's value, ``chance`` the constant image's.

        Args:
            estimates: Reconstructions, (n, 3, size, size), float32 in [-1, 1].
            inputs: Same shape, uint8.
            identity: (n,), who is on each image; intervals are over people.
        """
        reference = to_float(inputs)
        own = self._values(estimates, reference)
        mean = self._values(self._mean.expand_as(reference), reference)
        constant = self._values(self._constant.expand_as(reference), reference)
        found = {}
        for name in METRICS:
            value, low, high = mean_over_people(own[name], identity)
            floor, floor_low, floor_high = mean_over_people(mean[name], identity)
            found[name] = Measurement(
                value, low, high, floor, floor_low, floor_high, chance=float(constant[name].mean())
            )
        if not self._trusted:
            found["identity_similarity"] = replace(found["identity_similarity"], votes=False)
        return found

    @torch.no_grad()
    def _values(self, estimates: Tensor, reference: Tensor) -> dict[str, np.ndarray]:
        pairs = list(zip(estimates.split(_AT_ONCE), reference.split(_AT_ONCE), strict=True))
        ours, theirs = embed(self._embedding, estimates), embed(self._embedding, reference)
        found = {
            "inversion_ssim": torch.cat([ssim(a, b).cpu() for a, b in pairs]),
            "inversion_psnr": torch.cat([psnr(a, b).cpu() for a, b in pairs]).clamp(max=_EQUAL_PSNR),
            "feature_distance": torch.cat([self._perceptual.distance(a, b).cpu() for a, b in pairs]),
            "identity_similarity": F.cosine_similarity(ours, theirs),
        }
        return {name: values.double().numpy() for name, values in found.items()}


def not_measured(judge: str, *, votes: bool = True) -> dict[str, Measurement]:
    """Return the measurements of a judge that gave none: violated under every bound, unless it was not asked at all."""
    absent = replace(Measurement.not_measured(), votes=votes)
    return {f"{name}.{judge}": absent for name in METRICS}


def under(judge: str, measured: Mapping[str, Measurement]) -> dict[str, Measurement]:
    """Return measurements under the name of their judge."""
    return {f"{name}.{judge}": value for name, value in measured.items()}


def embedding_control(
    embedding: Embedding, images: Tensor, identity: np.ndarray, *, least: float, seed: int
) -> Control:
    """Say whether the embedding tells people apart whom it was not trained on.

    Args:
        embedding: Trained on other people.
        images: Originals of test people, (n, 3, size, size), uint8.
        identity: (n,), who they are.
        least: AUC that must be reached, the same person's pairs against others'.
        seed: Of the pairs that are looked at.
    """
    other, same = same_and_other(embed(embedding, to_float(images)), torch.from_numpy(identity))
    required = f"AUC >= {least:g}"
    if len(same) < 2 or len(other) < 2:
        nan = float("nan")
        return Control("identity", "embedding", "unseen_people", nan, nan, nan, required, passed=False)
    random = numpy_generator(seed, "pairs")
    apart, together = (_some(values.double().numpy(), random) for values in (other, same))
    found = auc_interval(apart, together)
    return Control(
        "identity", "embedding", "unseen_people", found.value, found.low, found.high, required, found.value >= least
    )


def _some(values: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return values if len(values) <= _MOST_PAIRS else random.choice(values, _MOST_PAIRS, replace=False)
