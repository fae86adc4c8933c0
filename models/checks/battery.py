"""The battery of privacy checks, in the order in which it is paid for.

``fit_on_originals``  once a data set: adversaries trained on originals (weak threat model, pass-through controls);
``judge_honest``      once an honest sanitiser: baselines, and controls on its own images;
``judge_release``     once a trial: the released images against that baseline.

Adversaries are trained on train images, stopped on validation images and judged on test images. Metrics are named
"metric.member", one member an adversary; which bound a metric is held against is not known here.
"""

import math
from dataclasses import replace

import torch

from models.checks import controls as rules
from models.checks.adversaries import CLOSED_FORM
from models.checks.calibration import convergence_control, identity_controls, plateau
from models.checks.config import CheckConfig
from models.checks.half_widths import excess_over, pooled_spreads, with_detection_half_widths
from models.checks.honest_battery import HonestBattery
from models.checks.judging import NOT_MEASURED, fit_and_read
from models.checks.material import Codes, Further, Labels, LabelSplits, Release
from models.checks.originals import EXPRESSION_ORIGINALS, WEAK, OriginalsBattery, fit_on_originals, read_by_originals
from models.checks.paired import Spread
from models.checks.planting import Plantation
from models.checks.plants import Publish
from models.checks.reading import Reading
from models.checks.statistics import majority_share
from models.checks.steganalysis.calibration import CHECK as STEGANALYSIS
from models.checks.steganalysis.calibration import steganalysis_controls
from models.checks.steganalysis.detection import detect
from models.checks.steganalysis.detectors import NETWORKS as STEGANALYSIS_NETWORKS
from models.checks.threats import NO_ACCESS, Access, Threat, metric_of, read_threat, same_for_every_seed, threats
from models.checks.threats import STRONG as STRONG_CHECK
from models.measurement import Control, Measurement
from models.randomness import derive_seed

__all__ = [
    "EXPRESSION", "EXPRESSION_ORIGINALS", "STRONG", "WEAK",
    "Access", "CheckConfig", "Codes", "Further", "HonestBattery", "LabelSplits", "Labels", "OriginalsBattery",
    "Release", "fit_on_originals", "judge_honest", "judge_release",
]  # fmt: skip

STRONG = metric_of(STRONG_CHECK)
EXPRESSION = "expression_accuracy"


def judge_honest(
    covers: Release,
    labels: Labels,
    originals: OriginalsBattery,
    config: CheckConfig,
    *,
    seed: int,
    device: str | torch.device,
    access: Access = NO_ACCESS,
    unpublished: Release | None = None,
    publish: Publish | None = None,
) -> HonestBattery:
    """Measure the honest baseline of one sanitiser and run the controls on its images.

    Args:
        covers: Sanitised images without anything embedded, as published.
        labels: True labels of their inputs.
        originals: What ``fit_on_originals`` returned for these inputs.
        config: Settings of the battery.
        seed: Of the trainings and of what the controls plant.
        device: Where to train.
        access: What the settings' threat models hold of this sanitiser beside.
        unpublished: The covers before publication, in which controls plant; ``covers`` where publication changes
            nothing.
        publish: What publication makes of images; None where it changes nothing.

    Raises:
        ValueError: If images and labels do not match in number, or a threat model lacks what it holds.
    """
    labels.require_match(covers)
    where = Plantation(unpublished or covers, covers, publish or (lambda images: images))
    asked = threats(covers, covers, config, access)
    transferred = read_by_originals(covers, labels, originals, config)
    accuracies: dict[str, tuple[float, ...]] = {name: (found.value,) for name, found in transferred.items()}
    answers = {name: found.answers for name, found in transferred.items()}
    converged = {WEAK: originals.converged}
    for threat in asked:
        trainings = _honest_readings(threat, labels, config, seed, device)
        for name in threat.names:
            metric = f"{threat.metric}.{name}"
            found = [readings[name] for readings in trainings]
            accuracies[metric] = tuple(reading.estimate.value for reading in found)
            answers[metric] = tuple(bits for reading in found for bits in reading.estimate.answers)
            if name not in CLOSED_FORM:
                converged[metric] = all(reading.converged for reading in found)
    fit, seeds = config.fits["expression"], range(config.honest_seeds)
    utility = [
        fit_and_read(
            "plain", fit, covers, labels.expression, seed=derive_seed(seed, "honest", EXPRESSION, one), device=device
        )[1]
        for one in seeds
    ]
    accuracies[EXPRESSION] = tuple(estimate.value for estimate in utility)
    answers[EXPRESSION] = tuple(bits for estimate in utility for bits in estimate.answers)
    honest = HonestBattery(accuracies, len(covers.test), (), answers, converged)
    known = identity_controls(asked, labels, where, originals, honest, config, seed, device)
    known += _utility_controls(labels, originals, honest, config)
    known += steganalysis_controls(where, labels.identity, config, seed=seed, device=device)
    return replace(honest, controls=tuple(known))


def _honest_readings(
    threat: Threat, labels: Labels, config: CheckConfig, seed: int, device: str | torch.device
) -> list[dict[str, Reading]]:
    """Return what the adversaries of a threat model read from honest images, by name, for each honest seed."""
    trainings: list[dict[str, Reading]] = []
    for number in range(config.honest_seeds):

        def seeds(name: str, number: int = number) -> list[int]:
            return [derive_seed(seed, "honest", f"{threat.metric}.{name}", number)]

        known = same_for_every_seed(trainings[0]) if trainings else {}
        trainings.append(read_threat(threat, labels.identity, config, seeds=seeds, device=device, known=known))
    return trainings


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
    access: Access = NO_ACCESS,
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
        access: What the settings' threat models hold of the trial's own sanitiser beside.

    Returns:
        Metric (or "metric.member") -> measurement; an adversary that crashed is there with NaN. And the controls that
        decided who votes, with whether each trained adversary has converged on this release.

    Raises:
        ValueError: If images and labels do not match in number, or a threat model lacks what it holds.
        RuntimeError: If memory ran out.
    """
    labels.require_match(released)
    labels.require_match(covers)
    found = {name: Reading(item) for name, item in read_by_originals(released, labels, originals, config).items()}
    found[WEAK] = found[WEAK]._replace(converged=originals.converged)
    for threat in threats(released, covers, config, access):

        def seeds(name: str, metric: str = threat.metric) -> list[int]:
            first = derive_seed(seed, "release", f"{metric}.{name}")
            more = config.fits[name].seeds - 1 if name in config.fits else 0
            return [first, *(derive_seed(first, number) for number in range(more))]

        readings = read_threat(threat, labels.identity, config, seeds=seeds, device=device)
        found |= {f"{threat.metric}.{name}": reading for name, reading in readings.items()}
    fit, own_seed = config.fits["expression"], derive_seed(seed, "release", EXPRESSION)
    _, utility = fit_and_read("plain", fit, released, labels.expression, seed=own_seed, device=device)
    found[EXPRESSION] = Reading(utility)
    spreads = pooled_spreads(
        {metric: reading.estimate for metric, reading in found.items()}, honest.answers, honest.test_images
    )
    measurements = {
        metric: _measurement(metric, reading, labels, honest, config, spreads.get(metric))
        for metric, reading in found.items()
    }
    own_seed = derive_seed(seed, "release", "steganalysis")
    plateaus = [convergence_control(name, measurements[name].converged, config) for name in honest.converged]
    for name in config.steganalysers:
        detected = detect(name, covers, released, config, seed=own_seed, device=device)
        measurements |= detected.measurements(
            name, votes=honest.votes(STEGANALYSIS, name), require_convergence=config.require_convergence
        )
        if name in STEGANALYSIS_NETWORKS:
            steps = config.fits[STEGANALYSIS_NETWORKS[name]].steps
            plateaus.append(plateau(STEGANALYSIS, name, detected.converged, steps))
    return with_detection_half_widths(measurements, honest.test_images, config.controls), [*honest.controls, *plateaus]


def _measurement(
    metric: str, reading: Reading, labels: Labels, honest: HonestBattery, config: CheckConfig, pooled: Spread | None
) -> Measurement:
    """Put an accuracy next to its baseline, chance and the majority class, and say whether it votes."""
    name, _, member = metric.partition(".")
    identity = bool(member)  # the identity metrics have members, the expression metrics have none
    truth = labels.identity if identity else labels.expression
    check = name.removesuffix("_accuracy") if identity else "expression_utility"
    baseline = honest.baseline(metric)
    # Without a baseline, or with one of an adversary that was still learning, nothing is known: that is a violation,
    # and not a vote less.
    converged = reading.converged and honest.converged.get(metric, True)
    known = math.isfinite(baseline.value) and (converged or not config.require_convergence)
    found = reading.estimate if known else NOT_MEASURED
    answers = honest.answers.get(metric, ())
    excess = excess_over(found, answers, honest.test_images, config.controls.tolerance, pooled)
    return Measurement(
        value=found.value,
        low=found.low,
        high=found.high,
        baseline=baseline.value,
        baseline_low=baseline.low,
        baseline_high=baseline.high,
        chance=1 / truth.classes,
        majority=majority_share(truth.test.cpu().numpy()),
        excess_low=None if excess is None else excess.estimate.low,
        excess_high=None if excess is None else excess.estimate.high,
        half_width=None if excess is None else excess.half_width,
        votes=honest.votes(check, member or "plain") or not known,
        converged=converged,
    )


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
