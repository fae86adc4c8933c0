"""The experiment ``adversarial_representation``: what it is called with, what it measures, what it costs.

An honest supplier trains an encoder against reconstruction; the judges say what its representation still shows. The
work of a trial is in ``study.representation_trial``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

from models.data import attributes_in, identities_in
from models.representation.config import PerceptualConfig, RepresentationConfig
from models.representation.judging_config import DECODERS, JUDGES, JudgeConfig
from models.representation.partition import people_problems
from study.evaluation import Context, Evaluation, MetricInfo
from study.nested import near_misses

METRICS: dict[str, MetricInfo] = {
    "task_accuracy": MetricInfo("1", "accuracy of the tasks on the representation, mean over tasks, unseen people"),
    "task_mcc": MetricInfo("1", "Matthews correlation, mean over tasks"),
    "inversion_ssim": MetricInfo("1", "SSIM of each judge's reconstruction against the input", JUDGES),
    "identity_similarity": MetricInfo(
        "1", "cosine of input and reconstruction in an identity embedding of public people", JUDGES
    ),
    "inversion_psnr": MetricInfo("dB", "PSNR of each judge's reconstruction", JUDGES),
    "feature_distance": MetricInfo(
        "1", "distance of input and reconstruction in the perceptual network, which the encoder saw in training", JUDGES
    ),
}

SECONDS_PER_IMAGE = {
    "training": 0.5e-3,
    "decoder": 1.2e-3,
    "closed_form": 0.6e-3,
    "small": 0.6e-3,
    "large": 1.3e-3,
    "white_box": 0.3e-3,
    "instruments": 0.5e-3,
}
"""Forecast: seconds an image takes at 32 x 32 with default widths on one thread of a server CPU of 2023."""

PLATEAU_SHARE = 0.5
"""Forecast: assumed share of its most steps that a judge takes to its plateau."""

GPU_SPEED = 10.0
"""Forecast: assumed speed of a GPU against one CPU thread. Assumed, not measured."""


def read_trial(trial: Mapping[str, Any]) -> RepresentationConfig:
    """Build the settings of a trial from its nested configuration.

    Raises:
        ValueError: If a key is unknown or a value is not permitted; the message has a line for every problem.
    """
    values = dict(trial)
    inner = values.pop("perceptual", {})
    problems: list[str] = []
    perceptual = PerceptualConfig(**_known(PerceptualConfig, inner, "perceptual.", problems))
    config = RepresentationConfig(**_known(RepresentationConfig, values, "", problems), perceptual=perceptual)
    problems += config.problems()
    if problems:
        raise ValueError("\n".join(problems))
    return config


def _known(kind: type, values: Mapping[str, Any], where: str, problems: list[str]) -> dict[str, Any]:
    names = [field.name for field in fields(kind)]
    problems += [f"{where}{name}: unknown{near_misses(name, names)}" for name in values if name not in names]
    return {name: value for name, value in values.items() if name in names}


class AdversarialRepresentation:
    """See the module's docstring."""

    name = "adversarial_representation"
    metrics: Mapping[str, MetricInfo] = METRICS
    signals: Mapping[str, str] = {}  # none foretells what a judge will read: terms in the loop are dodged

    def metrics_of(self, data: Mapping[str, Any], checks: Mapping[str, Any]) -> Mapping[str, MetricInfo]:
        """Return the metrics on these data: those of every study, and accuracy and correlation of each label column."""
        columns = _columns(data)
        return METRICS | {
            "attribute_accuracy": MetricInfo("1", "accuracy of each task; absent where it is no task", columns),
            "attribute_mcc": MetricInfo("1", "Matthews correlation of each task; absent where it is no task", columns),
        }

    def defaults(self) -> dict[str, Any]:
        """Return the nested trial configuration."""
        return asdict(RepresentationConfig())

    def problems(self, trial: Mapping[str, Any], data: Mapping[str, Any]) -> list[str]:
        """Return what is wrong with a trial configuration, a line each."""
        try:
            config = read_trial(trial)
        except ValueError as error:
            return [f"trial.{line}" for line in str(error).splitlines()]
        size = data.get("size")
        if not isinstance(size, int) or size < 8:
            return []  # reported as a problem of the data
        return [f"trial.{line}" for line in config.refusals(size, _columns(data))]

    def config_problems(self, data: Mapping[str, Any], checks: Mapping[str, Any]) -> list[str]:
        """Return what is wrong with the settings of the judges, or with too few people, a line each."""
        try:
            settings = JudgeConfig.from_mapping(checks)
        except ValueError as error:
            return [f"checks.{line}" for line in str(error).splitlines()]
        identities = _identities(data)
        return [] if identities is None else people_problems(identities, settings.people)

    def forecast_seconds(
        self, trials: Sequence[Mapping[str, Any]], data: Mapping[str, Any], checks: Mapping[str, Any], device: str
    ) -> float:
        """Return the expected seconds of the trials: training and judges of each, the instruments once."""
        settings = JudgeConfig.from_mapping(checks)
        images = dict.fromkeys(SECONDS_PER_IMAGE, 0.0)
        images["instruments"] = 64.0 * (settings.embedding_steps + settings.perceptual_steps)
        for config in map(read_trial, trials):
            seen = config.epochs * config.steps_per_epoch * config.batch_size
            images["training"] += seen
            if config.adversarial:
                against = seen * (1 - config.warm_up)
                images["decoder"] += seen * config.adversary_steps if config.adversary != "closed_form" else 0.0
                images["closed_form"] += against if config.adversary != "plain" else 0.0
            most = PLATEAU_SHARE * settings.steps * settings.batch_size
            for judge in set(settings.judges) & set(DECODERS):
                images["small" if judge == "small" else "large"] += most
            if "white_box" in settings.judges:
                images["white_box"] += settings.white_box_steps * (settings.white_box_images + 3 * 48)
        seconds = sum(count * SECONDS_PER_IMAGE[name] for name, count in images.items())
        seconds *= (data.get("size", 32) / 32) ** 2
        return seconds / GPU_SPEED if device == "cuda" else seconds

    def start(self, trial: Mapping[str, Any], seed: int, context: Context) -> Evaluation:
        """Begin to evaluate one configuration."""
        from study.representation_trial import RepresentationTrial

        return RepresentationTrial(read_trial(trial), seed, context)


def _columns(data: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the label columns that may be tasks."""
    return (*attributes_in(data), "expression")


def _identities(data: Mapping[str, Any]) -> int | None:
    """Return how many people the data show; None where that is not known, which is a problem of the data."""
    found = data.get("identities") if data.get("kind") == "procedural" else identities_in(data)
    return found if isinstance(found, int) else None


EXPERIMENT = AdversarialRepresentation()
