"""The inversion check: what a fresh decoder, trained without the key, shows of the inputs of released images.

The same decoder on what the honest sanitiser releases is the baseline, since expression, pose and light come through
every sanitiser that is worth its money. Two controls decide whether the check votes: a decoder has to find an input
that was blended visibly into the covers before they were published, and honest images have to pass.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from models.checkpoints import Saved, with_prefix
from models.checks import inversion_controls
from models.checks.fitting import predict_logits
from models.checks.inversion_config import InversionConfig
from models.checks.inverter import fit_inverter, invert
from models.checks.judging import NOT_MEASURED, attempt
from models.checks.material import LabelSplits, Release
from models.checks.statistics import Estimate, accuracy, majority_share, mean_accuracy
from models.hiding.reconstruction import mean_measurement
from models.image_quality import psnr, ssim, to_float, to_uint8
from models.measurement import Control, Measurement
from models.randomness import derive_seed
from models.representation.instruments import Perceptual, fit_perceptual, frozen, perceptual_network

SSIM, ACCURACY = "inversion_ssim", "inversion_identity_accuracy"
METRICS = (SSIM, "inversion_psnr", "inversion_feature_distance", ACCURACY)
"""What is measured of the reconstructions."""

_EQUAL_PSNR = 99.0  # decibels given to equal images, whose PSNR is infinite
_AT_ONCE = 256


@dataclass(frozen=True)
class Subject:
    """What is to be reconstructed, and the instruments that say how well."""

    inputs: Release
    identity: LabelSplits
    reader: nn.Module | None
    """Names the person on an image; trained on originals. None where its training crashed."""


@dataclass(frozen=True)
class Reading:
    """What one decoder reached on the test images; all NaN where it crashed or did not converge."""

    values: Mapping[str, Tensor]
    """Metric -> (n,) float32, one a test image; of the accuracy 1 where the person was named. Empty if not measured."""

    def estimate(self, metric: str) -> Estimate:
        """Return the mean with its 95 % interval over test images."""
        if metric not in self.values:
            return NOT_MEASURED
        if metric == ACCURACY:
            return accuracy(self.values[metric].numpy() > 0)
        found = mean_measurement(self.values[metric])
        return Estimate(found.value, found.low, found.high)


@dataclass(frozen=True)
class InversionBaseline:
    """What the decoder makes of the honest sanitiser's images, and how its controls came out."""

    honest: Mapping[str, Estimate]
    """Metric -> mean over the honest seeds; NaN where one of them was not measured."""
    guess: Mapping[str, float]
    """Metric -> value of the mean face, which needs no image."""
    controls: tuple[Control, ...]
    features: Mapping[str, Tensor]
    """Weights of the classifier in whose features images are compared."""

    @property
    def votes(self) -> bool:
        """Whether every control came out as it must."""
        return all(control.passed for control in self.controls)

    def to_saved(self) -> Saved:
        """Return tensors and note, for a cache."""
        note = {
            "honest": {metric: asdict(found) for metric, found in self.honest.items()},
            "guess": dict(self.guess),
            "controls": [control.to_dict() for control in self.controls],
        }
        return Saved(with_prefix("features", self.features), note)

    @classmethod
    def from_saved(cls, saved: Saved) -> "InversionBaseline":
        """Rebuild what :meth:`to_saved` returned.

        Raises:
            KeyError: If the note lacks an entry.
        """
        honest = {metric: Estimate(**found) for metric, found in saved.note["honest"].items()}
        controls = tuple(map(Control.from_dict, saved.note["controls"]))
        return cls(honest, saved.note["guess"], controls, saved.part("features"))


def invert_honest(
    honest: Release,
    planted: Release,
    subject: Subject,
    config: InversionConfig,
    *,
    honest_seeds: int,
    seed: int,
    device: str | torch.device,
) -> InversionBaseline:
    """Measure the baseline and run the controls.

    Args:
        honest: What the honest sanitiser publishes.
        planted: The covers of :func:`blended`, published in the same way.
        subject: Inputs and instruments.
        config: Settings of the check.
        honest_seeds: Trainings whose mean is the baseline, >= 2.
        seed: Of the trainings.
        device: Where to train.
    """
    train, truth = subject.inputs.train.to(device), subject.identity
    classifier = fit_perceptual(train, truth.train.to(device), truth.classes, steps=config.feature_steps, seed=seed)
    perceptual = Perceptual(classifier)

    def read(release: Release, name: str | int) -> Reading:
        own_seed = derive_seed(seed, "inversion", name)
        return _read(release, subject, perceptual, config, seed=own_seed, device=device)

    readings = [read(honest, number) for number in range(honest_seeds)]
    baseline = {metric: _mean(readings, metric, len(honest.test)) for metric in METRICS}
    mean_face = to_float(subject.inputs.train).mean(0).expand(len(honest.test), -1, -1, -1)
    guess = Reading(_values(mean_face, subject, perceptual))
    controls = (
        inversion_controls.planted_input(read(planted, "planted").estimate(SSIM), baseline[SSIM], config),
        inversion_controls.strength_zero([reading.estimate(SSIM).value for reading in readings], config),
    )
    state = {name: tensor.cpu() for name, tensor in classifier.state_dict().items()}
    return InversionBaseline(baseline, {name: guess.estimate(name).value for name in METRICS}, controls, state)


def judge_inversion(
    released: Release,
    subject: Subject,
    baseline: InversionBaseline,
    config: InversionConfig,
    *,
    seed: int,
    device: str | torch.device,
) -> dict[str, Measurement]:
    """Judge a release; each of ``METRICS``, NaN where the decoder crashed or did not reach its plateau.

    Args:
        released: Images as published.
        subject: Inputs and instruments.
        baseline: What :func:`invert_honest` returned for the honest sanitiser.
        config: Settings of the check.
        seed: Of the training.
        device: Where to train.

    Returns:
        Measurements with the honest decoder as ``baseline`` and the mean face as ``chance``; of the accuracy, chance
        and majority are a guesser's.
    """
    classifier = perceptual_network(subject.identity.classes)
    classifier.load_state_dict(dict(baseline.features))
    perceptual = Perceptual(frozen(classifier).to(device))
    reading = _read(released, subject, perceptual, config, seed=derive_seed(seed, "inversion"), device=device)
    return {metric: _measurement(metric, reading.estimate(metric), subject, baseline) for metric in METRICS}


def _measurement(metric: str, found: Estimate, subject: Subject, baseline: InversionBaseline) -> Measurement:
    honest, guesser = baseline.honest[metric], metric == ACCURACY
    return Measurement(
        found.value,
        found.low,
        found.high,
        baseline=honest.value,
        baseline_low=honest.low,
        baseline_high=honest.high,
        chance=1 / subject.identity.classes if guesser else baseline.guess[metric],
        majority=majority_share(subject.identity.test.numpy()) if guesser else None,
        votes=baseline.votes,
    )


def _read(
    release: Release,
    subject: Subject,
    perceptual: Perceptual,
    config: InversionConfig,
    *,
    seed: int,
    device: str | torch.device,
) -> Reading:
    """Train a decoder and measure its reconstructions of the test images."""

    def ask() -> Reading:
        fitted = fit_inverter(release, subject.inputs, config, seed=seed, device=device)
        if not fitted.converged:
            raise FloatingPointError(
                f"it was still gaining SSIM after checks.adversaries.inversion.steps={config.steps}; raise them"
            )
        return Reading(_values(invert(fitted.decoder, release.test), subject, perceptual))

    return attempt("inversion decoder", ask, Reading({}))


@torch.no_grad()
def _values(estimates: Tensor, subject: Subject, perceptual: Perceptual) -> dict[str, Tensor]:
    reference = to_float(subject.inputs.test)
    device = next(perceptual.network.parameters()).device  # type: ignore[attr-defined]
    pairs = list(zip(estimates.split(_AT_ONCE), reference.split(_AT_ONCE), strict=True))
    found = {
        SSIM: torch.cat([ssim(a, b) for a, b in pairs]),
        "inversion_psnr": torch.cat([psnr(a, b) for a, b in pairs]).clamp(max=_EQUAL_PSNR),
        "inversion_feature_distance": torch.cat(
            [perceptual.distance(a.to(device), b.to(device)).cpu() for a, b in pairs]
        ),
    }
    if subject.reader is not None:
        named = predict_logits(subject.reader, to_uint8(estimates)).argmax(1)
        found[ACCURACY] = (named == subject.identity.test.cpu()).float()
    return found


def _mean(readings: Sequence[Reading], metric: str, images: int) -> Estimate:
    """Return the mean over seeds; its interval is over the test images, which are the same for every seed."""
    if any(metric not in reading.values for reading in readings):
        return NOT_MEASURED
    if metric == ACCURACY:
        return mean_accuracy([reading.estimate(metric).value for reading in readings], images)
    return Reading({metric: torch.stack([reading.values[metric] for reading in readings]).mean(0)}).estimate(metric)
