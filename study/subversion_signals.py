"""What a trial of ``subverted_ppgan`` tells of its end before the checks: the secret's quality and quick checks.

Measured on validation images as published, the quick adversaries fitted on train images, so that nothing is learnt of
the test images on which the trial will be judged. Random numbers have names of their own: what a trial ends with does
not depend on whether its signals were measured.
"""

from __future__ import annotations

import math
from dataclasses import fields

import numpy as np
import torch
from torch import Tensor

from models.channel import Channel
from models.checks.material import Release
from models.checks.quick import Sample, quick_accuracies, quick_steganalysis
from models.hiding.carriers import Sanitised
from models.hiding.reconstruction import bit_errors, cover_quality
from models.hiding.subverter import Subverter
from models.honest import Material
from models.image_quality import ssim, to_float
from models.randomness import numpy_generator

TRAIN, VALIDATION = "train", "validation"

MOST = {TRAIN: 512, VALIDATION: 256}
"""Images of a split that signals are measured on, at most."""


class SignalProbe:
    """Measures the signals of one trial."""

    def __init__(self, material: Material, channel: Channel, *, family: str, seed: int) -> None:
        """Choose the images, spread over their splits: folders are often sorted by person."""
        self._channel, self._family, self._seed = channel, family, seed
        self._rows = {name: _spread(len(getattr(material.inputs, name)), most) for name, most in MOST.items()}
        self._sanitised = {name: self._some(material, name) for name in MOST}
        labels = material.labels
        self._questions = {
            "quick_identity": (self._sample(labels.identity), labels.identity.classes),
            "quick_expression": (self._sample(labels.expression), labels.expression.classes),
        }
        self._honest = quick_accuracies(self._sample(material.published), self._questions)

    def in_training(self, subverter: Subverter) -> dict[str, float]:
        """Return the signals of a subverter as it is now; hides, publishes and reads the chosen images for it."""
        own = subverter.sanitised(self._sanitised)
        covers = Sample(**{name: self._publish(part.covers, "honest", name) for name, part in own.items()})
        handed = {name: subverter.embed(part, name=f"signals/{name}") for name, part in own.items()}
        released = Sample(**{name: self._publish(part.images, "released", name) for name, part in handed.items()})
        return self._signals(subverter, covers, released, handed[VALIDATION].bits)

    def of_release(
        self, subverter: Subverter, covers: Release, released: Release, bits: np.ndarray | None
    ) -> dict[str, float]:
        """Return the signals of what is about to be judged.

        Args:
            subverter: Reads the secret.
            covers: What would have been published without a secret.
            released: What is published.
            bits: Payload of the validation images; None where it is an image.
        """
        own = None if bits is None else bits[self._rows[VALIDATION].numpy()]
        return self._signals(subverter, self._sample(covers), self._sample(released), own)

    def _signals(
        self, subverter: Subverter, covers: Sample, released: Sample, bits: np.ndarray | None
    ) -> dict[str, float]:
        random = numpy_generator(self._seed, "transit", "signals")
        read = subverter.reveal(self._channel.transit.apply(released.validation, random))
        inputs = to_float(self._sanitised[VALIDATION].inputs)
        found = {"ssim": float(ssim(read.revealed.images.cpu(), inputs).mean())}
        found |= {"bit_error_rate": math.nan, "cover_psnr": math.nan}
        if bits is not None and read.probabilities is not None:
            found["bit_error_rate"] = bit_errors(read.probabilities, bits)["bit_error_rate"].value
        if self._family != "sampled":  # another draw, not a change of the cover
            found["cover_psnr"] = cover_quality(released.validation, covers.validation)["cover_psnr"].value
        found["quick_steganalysis"] = quick_steganalysis(covers, released)
        for name, value in quick_accuracies(released, self._questions).items():
            found |= {name: value, f"{name}_excess": value - self._honest[name]}
        return found

    def _publish(self, images: Tensor, what: str, split: str) -> Tensor:
        return self._channel.published.apply(images, numpy_generator(self._seed, "publish", "signals", what, split))

    def _sample(self, splits: object) -> Sample:
        return Sample(**{name: getattr(splits, name)[rows] for name, rows in self._rows.items()})

    def _some(self, material: Material, split: str) -> Sanitised:
        rows, whole = self._rows[split], sanitised(material, split)
        return Sanitised(**{field.name: getattr(whole, field.name)[rows] for field in fields(Sanitised)})


def sanitised(material: Material, split: str) -> Sanitised:
    """Return the images of a split, and what the honest sanitiser made of them."""
    return Sanitised(
        inputs=getattr(material.inputs, split),
        identity=getattr(material.labels.identity, split),
        target=material.stage.targets[split],
        covers=getattr(material.covers, split),
    )


def _spread(count: int, most: int) -> Tensor:
    return torch.linspace(0, count - 1, min(count, most)).long()
