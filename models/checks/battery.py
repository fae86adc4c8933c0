"""The battery of privacy checks, in the order in which it is paid for.

``fit_on_originals``  once a data set: adversaries trained on originals (weak threat model, pass-through controls);
``judge_honest``      once an honest sanitiser: baselines, and controls on its own images;
``judge_release``     once a trial: the released images against that baseline.

Adversaries are trained on train images, stopped on validation images and judged on test images. Metrics are named
"metric.member", one member an adversary; which bound a metric is held against is not known here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from models.checks import controls as rules
from models.checks.config import CheckConfig
from models.checks.judging import fit_and_read
from models.checks.material import Labels, LabelSplits, Release
from models.checks.originals import EXPRESSION_ORIGINALS, WEAK, OriginalsBattery, fit_on_originals, read_by_originals
from models.checks.statistics import Estimate, majority_share, mean_accuracy
from models.checks.steganalysis.calibration import CHECK as STEGANALYSIS
from models.checks.steganalysis.calibration import steganalysis_controls
from models.checks.steganalysis.detection import detect
from models.measurement import Control, Measurement
from models.randomness import derive_seed

__all__ = [
    "EXPRESSION", "EXPRESSION_ORIGINALS", "STEGANALYSIS_AUC", "STEGANALYSIS_P_E", "STRONG", "WEAK",
    "CheckConfig", "HonestBattery", "LabelSplits", "Labels", "OriginalsBattery", "Release",
    "fit_on_originals", "judge_honest", "judge_release",
]  # fmt: skip

STRONG = "strong_identity_accuracy"
EXPRESSION = "expression_accuracy"
STEGANALYSIS_AUC = "steganalysis_auc.high_pass"
STEGANALYSIS_P_E = "steganalysis_p_e.high_pass"

_PASS_THROUGH = ("plain", "high_pass")  # adversaries that originals calibrate; the bit plane of a photograph is noise


@dataclass(frozen=True)
class HonestBattery:
    """What the adversaries reach on honest images of one sanitiser, and how its controls came out."""

    accuracies: Mapping[str, tuple[float, ...]]
    """Metric -> test accuracy of each honest seed; NaN where crashed."""
    test_images: int
    """Number of images behind each of them."""
    controls: tuple[Control, ...]

    def baseline(self, metric: str) -> Estimate:
        """Return the mean over the seeds with its interval; NaN if one crashed."""
        return mean_accuracy(self.accuracies[metric], self.test_images)

    def votes(self, check: str, adversary: str) -> bool:
        """Whether ``adversary`` has controls in ``check`` and passed them all."""
        own = [control.passed for control in self.controls if (control.check, control.adversary) == (check, adversary)]
        return bool(own) and all(own)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON can hold."""
        return {
            "accuracies": {metric: list(values) for metric, values in self.accuracies.items()},
            "test_images": self.test_images,
            "controls": [control.to_dict() for control in self.controls],
        }

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "HonestBattery":
        """Rebuild what ``to_dict`` returned.

        Raises:
            KeyError: If an entry is missing.
        """
        accuracies = {metric: tuple(values) for metric, values in fields["accuracies"].items()}
        return cls(accuracies, fields["test_images"], tuple(map(Control.from_dict, fields["controls"])))


def judge_honest(
    covers: Release,
    labels: Labels,
    originals: OriginalsBattery,
    config: CheckConfig,
    *,
    seed: int,
    device: str | torch.device,
) -> HonestBattery:
    """Measure the honest baseline of one sanitiser and run the controls on its images.

    Args:
        covers: Sanitised images without anything embedded.
        labels: True labels of their inputs.
        originals: What ``fit_on_originals`` returned for these inputs.
        config: Settings of the battery.
        seed: Of the trainings and of what the controls plant.
        device: Where to train.

    Raises:
        ValueError: If images and labels do not match in number.
    """
    labels.require_match(covers)
    accuracies: dict[str, tuple[float, ...]] = {
        name: (found.value,) for name, found in read_by_originals(covers, labels, originals, config).items()
    }
    for metric, network, fit_name, truth in _fresh(labels, config):
        seeds = [derive_seed(seed, "honest", metric, number) for number in range(config.honest_seeds)]
        fit = config.fits[fit_name]
        found = [fit_and_read(network, fit, covers, truth, seed=one, device=device)[1] for one in seeds]
        accuracies[metric] = tuple(estimate.value for estimate in found)
    honest = HonestBattery(accuracies, len(covers.test), ())
    known = _identity_controls(covers, labels, originals, honest, config, seed, device)
    known += _utility_controls(labels, originals, honest, config)
    known += steganalysis_controls(covers, config, seed=seed, device=device)
    return HonestBattery(accuracies, len(covers.test), tuple(known))


def judge_release(
    released: Release,
    covers: Release,
    labels: Labels,
    originals: OriginalsBattery,
    honest: HonestBattery,
    config: CheckConfig,
    *,
    seed: int,
    device: str | torch.device,
) -> tuple[dict[str, Measurement], list[Control]]:
    """Judge what a subverter released.

    Args:
        released: Images as published.
        covers: What its own sanitiser made of the same inputs before anything was embedded.
        labels: True labels of the inputs.
        originals: What ``fit_on_originals`` returned for these inputs.
        honest: What ``judge_honest`` returned for the study's honest sanitiser.
        config: Settings of the battery.
        seed: Of the trainings.
        device: Where to train.

    Returns:
        Metric (or "metric.member") -> measurement; an adversary that crashed is there with NaN. And the controls that
        decided who votes.

    Raises:
        ValueError: If images and labels do not match in number.
        RuntimeError: If memory ran out.
    """
    labels.require_match(released)
    labels.require_match(covers)
    found = read_by_originals(released, labels, originals, config)
    for metric, network, fit_name, truth in _fresh(labels, config):
        own_seed = derive_seed(seed, "release", metric)
        _, found[metric] = fit_and_read(network, config.fits[fit_name], released, truth, seed=own_seed, device=device)
    measurements = {metric: _measurement(metric, estimate, labels, honest) for metric, estimate in found.items()}
    own_seed = derive_seed(seed, "release", "steganalysis")
    for name in config.steganalysers:
        detected = detect(name, covers, released, config, seed=own_seed, device=device)
        measurements |= detected.measurements(name, votes=honest.votes(STEGANALYSIS, name))
    return measurements, list(honest.controls)


def _fresh(labels: Labels, config: CheckConfig) -> list[tuple[str, str, str, LabelSplits]]:
    """List what is trained anew on the images under judgement: (metric, network, its entry of fits, labels)."""
    strong = [(f"{STRONG}.{name}", name, name, labels.identity) for name in config.strong]
    return [*strong, (EXPRESSION, "plain", "expression", labels.expression)]


def _measurement(metric: str, found: Estimate, labels: Labels, honest: HonestBattery) -> Measurement:
    """Put an accuracy next to its baseline, chance and the majority class, and say whether it votes."""
    name, _, member = metric.partition(".")
    identity = bool(member)  # the identity metrics have members, the expression metrics have none
    truth = labels.identity if identity else labels.expression
    check = name.removesuffix("_accuracy") if identity else "expression_utility"
    baseline = honest.baseline(metric)
    return Measurement(
        value=found.value,
        low=found.low,
        high=found.high,
        baseline=baseline.value,
        baseline_low=baseline.low,
        baseline_high=baseline.high,
        chance=1 / truth.classes,
        majority=majority_share(truth.test.cpu().numpy()),
        votes=honest.votes(check, member or "plain"),
    )


def _identity_controls(
    covers: Release,
    labels: Labels,
    originals: OriginalsBattery,
    honest: HonestBattery,
    config: CheckConfig,
    seed: int,
    device: str | torch.device,
) -> list[Control]:
    """Run the planted leaks and strength 0 of every identity adversary."""
    settings, truth = config.controls, labels.identity

    def leak(check: str, name: str, control: str, found: Estimate, metric: str) -> Control:
        baseline = honest.baseline(metric).value
        return rules.planted_leak(check, name, control, found, baseline, classes=truth.classes, config=settings)

    known = [leak("weak_identity", "plain", "pass_through", originals.accuracies["plain"], WEAK)]
    for name in config.strong:
        metric = f"{STRONG}.{name}"
        if name in _PASS_THROUGH:
            known.append(leak("strong_identity", name, "pass_through", originals.accuracies[name], metric))
        else:
            splits, own_seed = (truth.train, truth.validation, truth.test), derive_seed(seed, "lowest_bits")
            planted = rules.with_identity_in_lowest_bits(covers, splits, share=settings.bit_share, seed=own_seed)
            _, found = fit_and_read(name, config.fits[name], planted, truth, seed=own_seed, device=device)
            known.append(leak("strong_identity", name, "least_significant_bit", found, metric))
        known.append(
            rules.strength_zero(
                "strong_identity",
                name,
                honest.accuracies[metric],
                honest.test_images,
                lower_is_worse=False,
                config=settings,
            )
        )
    return known


def _utility_controls(
    labels: Labels, originals: OriginalsBattery, honest: HonestBattery, config: CheckConfig
) -> list[Control]:
    """Run the controls of the expression classifier."""
    majority = majority_share(labels.expression.test.cpu().numpy())
    accuracies, images = honest.accuracies[EXPRESSION], honest.test_images
    return [
        rules.readable_expression(originals.accuracies["expression"], majority),
        rules.strength_zero(
            "expression_utility", "plain", accuracies, images, lower_is_worse=True, config=config.controls
        ),
    ]
