"""What is left of a secret after laundering, and what is left of the images for those who bought them."""

from dataclasses import dataclass
from functools import cached_property

from torch import Tensor, nn

from models.checks.fitting import predict_logits
from models.checks.material import Labels, LabelSplits, Release
from models.checks.originals import OriginalsBattery
from models.checks.statistics import accuracy, majority_share
from models.hiding.carriers import Sanitised
from models.hiding.finished import FinishedSubverter, Handed
from models.hiding.reconstruction import (
    EQUAL_PSNR,
    bit_errors,
    mean_measurement,
    reconstruction_quality,
    secret_accuracy,
)
from models.image_quality import psnr, ssim, to_float
from models.measurement import Measurement
from models.ppgan.release import honest_release, sanitise
from models.randomness import numpy_generator, torch_generator

MOST_HELD = 1000
"""Released images of the train split that a buyer is given to learn from."""


@dataclass(frozen=True)
class Trial:
    """A subverter and the images of its study."""

    subverter: FinishedSubverter
    inputs: Release
    labels: Labels
    originals: OriginalsBattery
    """Adversaries trained on originals: one names the person of a recovered image, the other the expression."""
    shared_seed: int
    """Of what the study's trials share."""

    @cached_property
    def handed(self) -> Handed:
        """What the subverter hands out for the test images."""
        return self.subverter.embed(self._sanitised("test", len(self.inputs.test)), name="test")

    @cached_property
    def published(self) -> Tensor:
        """The test images as published, as in the trial itself."""
        return self._publish(self.handed.images, "test")

    def held(self) -> Tensor:
        """Return published images of the train split, at most ``MOST_HELD``."""
        handed = self.subverter.embed(self._sanitised("train", MOST_HELD), name="held")
        return self._publish(handed.images, "held")

    def _publish(self, images: Tensor, name: str) -> Tensor:
        random = numpy_generator(self.subverter.seed, "publish", "released", name)
        return self.subverter.channel.published.apply(images, random)

    def _sanitised(self, split: str, most: int) -> Sanitised:
        """Return what the subverter's sanitiser makes of the first images of a split, as in the trial."""
        subverter, images = self.subverter, getattr(self.inputs, split)
        target, covers = honest_release(subverter.generator, images, seed=self.shared_seed, name=split)
        if subverter.config.learned.fine_tune_epochs and subverter.config.family == "learned":
            random = torch_generator(subverter.seed, "fine_tuning", "release", split)
            covers = sanitise(subverter.generator, images, target, random)
        identity = getattr(self.labels.identity, split)
        return Sanitised(images[:most], identity[:most], target[:most], covers[:most])


def survival(laundered: Tensor, trial: Trial) -> dict[str, Measurement]:
    """Measure what a subverter reads from laundered images, and what they are still good for.

    Args:
        laundered: The published test images after a laundering step, (n, 3, size, size) uint8.
        trial: Whose images they are.

    Returns:
        ``bit_error_rate`` (not measured where an image is carried as an image), ``reconstruction_ssim`` (its baseline
        is the mean face's), ``secret_accuracy``, ``expression_accuracy`` (of a classifier trained on originals),
        ``released_psnr`` in decibels and ``released_ssim`` (both against the published images).

    Notes:
        What lies between publication and the subverter happens after the laundering.
    """
    subverter, inputs, originals = trial.subverter, trial.inputs, trial.originals.networks
    transit = subverter.channel.transit
    read = subverter.reveal(transit.apply(laundered, numpy_generator(subverter.seed, "transit")))
    found = {"bit_error_rate": Measurement.not_measured(chance=0.5)}
    if trial.handed.bits is not None and read.probabilities is not None:
        found |= bit_errors(read.probabilities, trial.handed.bits)
    mean_face = to_float(inputs.train).mean(0)
    quality = reconstruction_quality(read.revealed.images.cpu(), inputs.test, mean_face)
    found["reconstruction_ssim"] = quality["reconstruction_ssim"]
    found["secret_accuracy"] = secret_accuracy(read.revealed, trial.labels.identity, originals.get("identity"))
    found["expression_accuracy"] = _expression(laundered, trial.labels.expression, originals.get("expression"))
    images, reference = to_float(laundered), to_float(trial.published)
    found["released_psnr"] = mean_measurement(psnr(images, reference).clamp(max=EQUAL_PSNR))
    found["released_ssim"] = mean_measurement(ssim(images, reference))
    return found


def _expression(images: Tensor, truth: LabelSplits, network: nn.Module | None) -> Measurement:
    if network is None:
        return Measurement.not_measured(chance=1 / truth.classes)
    named = predict_logits(network, images).argmax(1)
    found = accuracy((named == truth.test).numpy())
    majority = majority_share(truth.test.numpy())
    return Measurement(found.value, found.low, found.high, chance=1 / truth.classes, majority=majority)
