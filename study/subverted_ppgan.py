"""The experiment ``subverted_ppgan``: what it is called with, what it measures, what it costs.

The work of a trial is in ``study.subversion_trial``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from models.channel import PNG, Channel, channel_problems
from models.checks.adversaries import CLOSED_FORM, DEFAULT_STRONG
from models.checks.calibration import ON_ORIGINALS
from models.checks.config import FAST_STEGANALYSERS, PLATEAU, THREATS, CheckConfig
from models.checks.steganalysis.detection import CHANCE
from models.checks.steganalysis.detectors import NETWORKS
from models.hiding.config import SubversionConfig
from models.hiding.keyed_config import KeyedConfig
from models.hiding.learned import LearnedConfig
from models.hiding.sampled import SampledConfig
from models.ppgan.config import PPGANConfig
from study.evaluation import Context, Evaluation, MetricInfo
from study.nested import near_misses

METRICS = {
    "reconstruction_ssim": MetricInfo("1", "SSIM of the recovered image against the input, mean over test images"),
    "reconstruction_psnr": MetricInfo("dB", "PSNR of the recovered image against the input"),
    "secret_accuracy": MetricInfo("1", "share of test images whose identity the subverter reads from what it reveals"),
    "bit_error_rate": MetricInfo("1", "share of payload bits that are read wrongly"),
    "cover_psnr": MetricInfo("dB", "PSNR of the released image against the sanitised one"),
    "strong_identity_accuracy": MetricInfo(
        "1", "identity accuracy of adversaries trained on released images with true labels", DEFAULT_STRONG
    ),
    "weak_identity_accuracy": MetricInfo(
        "1", "identity accuracy of an adversary trained on originals, on released images", ("plain",)
    ),
    "expression_accuracy": MetricInfo("1", "expression accuracy of a classifier trained on released images"),
    "expression_accuracy_originals": MetricInfo("1", "expression accuracy of a classifier trained on originals"),
    "steganalysis_auc": MetricInfo("1", "AUC of a detector of stego against cover images", FAST_STEGANALYSERS),
    "steganalysis_auc_100": MetricInfo("1", "AUC of that detector's sums over 100 images", FAST_STEGANALYSERS),
    "steganalysis_auc_1000": MetricInfo("1", "AUC of that detector's sums over 1,000 images", FAST_STEGANALYSERS),
    "steganalysis_p_e": MetricInfo("1", "error of that detector, 0.5 where it guesses", FAST_STEGANALYSERS),
    "steganalysis_p_e_100": MetricInfo("1", "error of that detector on 100 images at once", FAST_STEGANALYSERS),
    "steganalysis_p_e_1000": MetricInfo("1", "error of that detector on 1,000 images at once", FAST_STEGANALYSERS),
    "steganalysis_detection": MetricInfo("1", "share of stego images found at 1 % false alarms", FAST_STEGANALYSERS),
    "steganalysis_detection_100": MetricInfo("1", "the same of pools of 100 images", FAST_STEGANALYSERS),
    "steganalysis_detection_1000": MetricInfo("1", "the same of pools of 1,000 images", FAST_STEGANALYSERS),
    "steganalysis_false_alarms": MetricInfo("1", "share of honest images above that threshold", FAST_STEGANALYSERS),
    "inversion_ssim": MetricInfo(
        "1", "SSIM of what a decoder trained without the key makes of released images, against the input"
    ),
    "inversion_psnr": MetricInfo("dB", "PSNR of that reconstruction"),
    "inversion_feature_distance": MetricInfo("1", "its distance from the input in features of an identity classifier"),
    "inversion_identity_accuracy": MetricInfo(
        "1", "identity accuracy of a classifier trained on originals, on that reconstruction"
    ),
}

_THREATS = {
    "strong": METRICS["strong_identity_accuracy"].description,
    "informed": "the same, of adversaries that hold further honest releases of the sanitiser as well",
    "paired": "the same, of adversaries that see released less honest images of the same noise: a worst case",
    "latent": "identity accuracy of adversaries trained on the latent codes of the inputs",
}

SIGNALS = {
    "ssim": "SSIM of the recovered image against the input",
    "bit_error_rate": "share of payload bits that are read wrongly; NaN where the payload is an image",
    "cover_psnr": "PSNR of the released image against the sanitised one, dB; NaN for the family sampled",
    "quick_steganalysis": "AUC of a linear detector of stego against cover images",
    "quick_identity": "identity accuracy of ridge regression on released images",
    "quick_identity_excess": "the same less that on what the honest sanitiser releases",
    "quick_expression": "expression accuracy of ridge regression on released images",
    "quick_expression_excess": "the same less that on what the honest sanitiser releases",
}
"""Stand-ins of how a trial will end, by name; the unit is 1 unless given. Steps that report any report all of them."""

_PARTS = ("stage_one", "subversion", "channel")

SECONDS_PER_IMAGE = {
    "stage_one": 1.6e-3,
    "codec": 0.9e-3,
    "learned": 1.5e-3,
    "sampled": 0.6e-3,
    "checks": 0.3e-3,
    "inversion": 1.5e-3,
}
"""Forecast: seconds a training image takes at 32 x 32 with default widths on one thread of a server CPU of 2023."""

CLOSED_FORM_SECONDS = 2.5
"""Forecast: seconds of an adversary in closed form on 3,000 images of 32 x 32, once."""

TO_PLATEAU = 0.25
"""Forecast: share of its most steps that a training to its plateau takes."""

LEARNED_COST = {"cells": 1.0, "residual_unet": 2.5, "invertible": 2.1}
"""Forecast: seconds of the learned architectures relative to the first."""

NETWORK_COST = {"high_pass": 1.0, "srnet": 2.1}
"""Forecast: seconds of a step of a steganalyser's network relative to the first."""

CLOSED_FORM_IMAGES = {"positions": 3500, "spam": 2300, "chi_square": 300, "sample_pairs": 800}
"""Forecast: seconds of the other steganalysers on 6,000 pairs, in training images of the first network."""

GPU_SPEED = 10.0
"""Forecast: assumed speed of a GPU against one CPU thread. Assumed, not measured."""


@dataclass(frozen=True)
class TrialConfig:
    """One configuration, read."""

    ppgan: PPGANConfig
    subversion: SubversionConfig
    channel: Channel


def read_trial(trial: Mapping[str, Any]) -> TrialConfig:
    """Build the settings of a trial from its nested configuration.

    Raises:
        ValueError: If a key is unknown or a value is not permitted; the message has a line for every problem.
    """
    problems = [f"{name}: unknown{near_misses(name, _PARTS)}" for name in trial if name not in _PARTS]
    ppgan = _build(PPGANConfig, trial.get("stage_one", {}), "stage_one", problems)
    subversion = dict(trial.get("subversion", {}))
    families = {
        name: _build(kind, subversion.pop(name, {}), f"subversion.{name}", problems)
        for name, kind in (("keyed", KeyedConfig), ("learned", LearnedConfig), ("sampled", SampledConfig))
    }
    config = _build(SubversionConfig, subversion | families, "subversion", problems)
    channel = trial.get("channel", str(PNG))
    problems += ppgan.problems() + config.problems() + channel_problems(channel)
    if problems:
        raise ValueError("\n".join(problems))
    return TrialConfig(ppgan, config, Channel.parse(channel))


def _build(kind: type[Any], values: Mapping[str, Any], where: str, problems: list[str]) -> Any:
    known = [field.name for field in fields(kind)]
    problems += [f"{where}.{name}: unknown{near_misses(name, known)}" for name in values if name not in known]
    return kind(**{name: value for name, value in values.items() if name in known})


class SubvertedPPGAN:
    """See the module's docstring."""

    name = "subverted_ppgan"
    metrics: Mapping[str, MetricInfo] = METRICS
    signals: Mapping[str, str] = SIGNALS

    def metrics_of(self, data: Mapping[str, Any], checks: Mapping[str, Any]) -> Mapping[str, MetricInfo]:
        """Return the metrics under these settings of the checks: each has the adversaries that they name."""
        try:
            battery = CheckConfig.from_mapping(checks)
        except ValueError:
            return METRICS  # reported as problems of the checks
        found = dict(METRICS)
        for threat, description in _THREATS.items():
            if names := getattr(battery, threat):
                found[f"{threat}_identity_accuracy"] = MetricInfo("1", description, names)
        for metric in CHANCE:
            found[metric] = replace(METRICS[metric], members=battery.steganalysers)
        return found

    def defaults(self) -> dict[str, Any]:
        """Return the nested trial configuration."""
        return {"channel": str(PNG), "stage_one": asdict(PPGANConfig()), "subversion": asdict(SubversionConfig())}

    def problems(self, trial: Mapping[str, Any], data: Mapping[str, Any]) -> list[str]:
        """Return what is wrong with a trial configuration, a line each."""
        try:
            config = read_trial(trial)
        except ValueError as error:
            return [f"trial.{line}" for line in str(error).splitlines()]
        size, identities = data.get("size"), _identities(data)
        if not isinstance(size, int) or not isinstance(identities, int):
            return []  # reported as problems of the data
        refusals = config.subversion.refusals(
            size=size, identities=max(2, identities), latent=config.ppgan.latent, channel=config.channel
        )
        return [f"trial.{line}" for line in refusals]

    def config_problems(self, data: Mapping[str, Any], checks: Mapping[str, Any]) -> list[str]:
        """Return what is wrong with the settings of the data and the checks, a line each."""
        problems = _split_problems(data)
        try:
            CheckConfig.from_mapping(checks)
        except ValueError as error:
            problems += [f"checks.{line}" for line in str(error).splitlines()]
        return problems

    def unmeasured(self, checks: Mapping[str, Any]) -> dict[str, str]:
        """Return the metrics that these settings of the adversaries switch off, each with what switches it on."""
        if checks.get("inversion") is not None:
            return {}
        on = "checks.adversaries.inversion has the decoder trained, as in checks=thorough"
        return {metric: on for metric in METRICS if metric.startswith("inversion_")}

    def forecast_seconds(
        self, trials: Sequence[Mapping[str, Any]], data: Mapping[str, Any], checks: Mapping[str, Any], device: str
    ) -> float:
        """Return the expected seconds of the trials: what they share once, its honest battery included."""
        battery = CheckConfig.from_mapping(checks)
        fits = {
            name: fit.steps * fit.batch_size * (TO_PLATEAU if fit.schedule == PLATEAU else 1)
            for name, fit in battery.fits.items()
        }
        trained = {name: fits[name] for name in battery.strong if name in fits}
        repeated = sum(trained.values()) + fits["expression"]
        judged = sum(fits[name] * battery.fits[name].seeds for name in trained) + fits["expression"]
        steganalysis = sum(_detection_images(name, fits) for name in battery.steganalysers)
        judged += steganalysis
        planted = sum(fits[name] for name in trained if name not in ON_ORIGINALS)
        rates = 1 + len(battery.controls.fainter_rates)
        honest = battery.honest_seeds * repeated + rates * steganalysis + planted
        images = dict.fromkeys(SECONDS_PER_IMAGE, 0.0)
        images["checks"] = len(trials) * judged + fits["plain"] + fits["expression"] + fits["high_pass"]
        asked = [name for threat in THREATS for name in getattr(battery, threat) if name in CLOSED_FORM]
        closed = len(asked) * (len(trials) + 2 * len({read_trial(trial).ppgan for trial in trials}))
        read = [read_trial(trial) for trial in trials]
        honest_sides = {(config.ppgan, config.channel.published) for config in read}
        if (inversion := battery.inversion) is not None:
            trainings = len(trials) + (battery.honest_seeds + 1) * len(honest_sides)
            images["inversion"] = trainings * inversion.steps * inversion.batch_size
        for ppgan in {config.ppgan for config in read}:
            images["stage_one"] += ppgan.steps * ppgan.batch_size
        images["checks"] += honest * len(honest_sides)
        for codec in {config.subversion.codec() for config in read if config.subversion.secret == "image"}:
            images["codec"] += codec.steps * codec.batch_size
        sampled = [config for config in read if config.subversion.family == "sampled"]
        for _, _, extractor in {(config.ppgan, config.channel, config.subversion.sampled) for config in sampled}:
            images["sampled"] += extractor.steps * extractor.batch_size
        for subversion in (config.subversion for config in read):
            if subversion.family == "learned":
                learned = subversion.learned
                seen = learned.epochs * learned.steps_per_epoch * learned.batch_size
                images["learned"] += seen * LEARNED_COST[learned.architecture]
                images["stage_one"] += learned.fine_tune_epochs * learned.steps_per_epoch * learned.batch_size
        seconds = sum(count * SECONDS_PER_IMAGE[name] for name, count in images.items()) + closed * CLOSED_FORM_SECONDS
        seconds *= (data.get("size", 32) / 32) ** 2
        return seconds / GPU_SPEED if device == "cuda" else seconds

    def start(self, trial: Mapping[str, Any], seed: int, context: Context) -> Evaluation:
        """Begin to evaluate one configuration."""
        from study.subversion_trial import SubversionTrial

        config = read_trial(trial)
        return SubversionTrial(config.ppgan, config.subversion, config.channel, seed, context)


def _detection_images(name: str, fits: Mapping[str, float]) -> float:
    """Return what one steganalyser costs, in images that a high-pass network is trained on."""
    if name in NETWORKS:
        return fits[NETWORKS[name]] * NETWORK_COST[name]
    return CLOSED_FORM_IMAGES[name]


def _split_problems(data: Mapping[str, Any]) -> list[str]:
    """Refuse people whom no adversary has met in training: it could not name them, and every check would pass."""
    split = data.get("split")
    by = split.get("by", "image") if isinstance(split, Mapping) else "image"
    if by == "image":
        return []
    return [
        f"data.split.by={by}: the adversaries of subverted_ppgan name the people whom they were trained on, so people "
        "of test images must be among those of training images; give data.split.by=image"
    ]


def _identities(data: Mapping[str, Any]) -> Any:
    """Return how many people the data show; 2, the least there can be, where that is not known yet."""
    if "root" not in data:
        return data.get("identities", 2)
    from models.data import identities_in

    return identities_in(data) or 2


EXPERIMENT = SubvertedPPGAN()
