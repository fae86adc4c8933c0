"""One steganalyser's answer: AUC, P_E and detection at 1 % false alarms, of one image and of many."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch

from models.checks.config import CheckConfig
from models.checks.judging import NOT_MEASURED, attempt
from models.checks.material import SPLITS, Release
from models.checks.statistics import Estimate, auc_interval, best_threshold, error_probability, pooled_auc
from models.checks.steganalysis.detectors import Score, fit_detector
from models.checks.steganalysis.pooling import (
    FALSE_ALARMS,
    detection_threshold,
    normal_scores,
    pooled_reading,
    share_above,
)
from models.measurement import Measurement

POOLS = (100, 1000)
"""Numbers of released images that an auditor may hold."""

AUC, P_E, DETECTION, FALSE_ALARM = (
    "steganalysis_auc", "steganalysis_p_e", "steganalysis_detection", "steganalysis_false_alarms",
)  # fmt: skip

CHANCE = {
    FALSE_ALARM: FALSE_ALARMS,
    **{
        f"{metric}{suffix}": chance
        for suffix in ("", *(f"_{pool}" for pool in POOLS))
        for metric, chance in ((AUC, 0.5), (P_E, 0.5), (DETECTION, FALSE_ALARMS))
    },
}
"""Every metric of a steganalyser, with the value of one who guesses."""


@dataclass(frozen=True)
class Detection:
    """What a steganalyser tells apart."""

    readings: Mapping[str, Estimate]
    """Of every metric of ``CHANCE``."""
    converged: bool = True
    """Whether the steganalyser had nothing left to learn when its training ended."""

    @property
    def auc(self) -> Estimate:
        """Of a single image."""
        return self.readings[AUC]

    def measurements(self, name: str, *, votes: bool, require_convergence: bool = False) -> dict[str, Measurement]:
        """Return the readings by ``metric.name``; NaN where convergence is required and has not been reached."""
        readings = self.readings if self.converged or not require_convergence else NOT_DETECTED.readings
        return {
            f"{metric}.{name}": Measurement(
                found.value, found.low, found.high, chance=CHANCE[metric], votes=votes, converged=self.converged
            )
            for metric, found in readings.items()
        }


NOT_DETECTED = Detection(dict.fromkeys(CHANCE, NOT_MEASURED))
"""Of a steganalyser that crashed; every bound counts it as violated."""

NO_DIFFERENCE = Detection({metric: Estimate(chance, chance, chance) for metric, chance in CHANCE.items()})
"""Of a release that is the covers, pixel by pixel."""


def detect(
    name: str, covers: Release, stego: Release, config: CheckConfig, *, seed: int, device: str | torch.device
) -> Detection:
    """Fit a steganalyser on train pairs and read it on test pairs; NaN if it crashed.

    Args:
        name: One of ``models.checks.config.STEGANALYSERS``.
        covers: Honest images of the sanitiser under judgement.
        stego: Row i of each split comes from the same input as row i of ``covers``, so that both images of an input
            are in the same split.
        config: Budgets of the networks.
        seed: Of its training.
        device: Where networks are trained.

    Raises:
        ValueError: If a split has not as many stego images as covers.
        RuntimeError: If memory ran out.

    Notes:
        Where no pixel differs, every detector scores a cover and its stego image alike; nothing is fitted then.
        Thresholds and the calibration of scores come from validation images. Pools take the direction of the scores as
        it is: the training decided it.
    """
    require_pairs(covers, stego)
    if covers.equals(stego):
        return NO_DIFFERENCE

    def ask() -> Detection:
        score, converged = fit_detector(name, covers, stego, config, seed=seed, device=device)
        found = read_scores(
            (_scores(score, covers, "validation"), _scores(score, stego, "validation")),
            (_scores(score, covers, "test"), _scores(score, stego, "test")),
        )
        return replace(found, converged=converged)

    return attempt(f"steganalyser {name}", ask, NOT_DETECTED)


def require_pairs(covers: Release, stego: Release) -> None:
    """Raise a ValueError unless each cover has its stego image in the same split, so that no input is in two."""
    sizes = {split: (len(getattr(covers, split)), len(getattr(stego, split))) for split in SPLITS}
    if wrong := {split: size for split, size in sizes.items() if size[0] != size[1]}:
        found = ", ".join(f"{split} {size[0]} covers and {size[1]} stego images" for split, size in wrong.items())
        raise ValueError(f"every cover needs its own stego image in the same split; found {found}")


def read_scores(validation: tuple[np.ndarray, np.ndarray], test: tuple[np.ndarray, np.ndarray]) -> Detection:
    """Turn scores of covers and stego images into readings.

    Args:
        validation: (m,) scores each of covers and stego images; thresholds and calibration come from these.
        test: (n,) scores each; row i of both comes from the same input.

    Raises:
        FloatingPointError: If a score is not finite or every test image has the same: that is no reading.
    """
    below, above = test
    if not np.isfinite(np.concatenate([*validation, *test])).all():
        raise FloatingPointError("a score is not finite")
    if below.min() == above.max() and below.max() == above.min():
        raise FloatingPointError("it gives every image the same score, which is no reading")
    at_false_alarms = detection_threshold(validation[0])
    readings = {
        AUC: auc_interval(below, above, paired=True),
        P_E: error_probability(below, above, best_threshold(*validation)),
        DETECTION: share_above(above, at_false_alarms),
        FALSE_ALARM: share_above(below, at_false_alarms),
    }
    reference = np.concatenate(validation)
    calibrated = normal_scores(reference, below), normal_scores(reference, above)
    for pool in POOLS:
        found = pooled_reading(*calibrated, pool, calibration=len(validation[0]))
        readings[f"{AUC}_{pool}"] = pooled_auc(below, above, pool)
        readings[f"{P_E}_{pool}"], readings[f"{DETECTION}_{pool}"] = found.p_e, found.detection
    return Detection(readings)


def _scores(score: Score, release: Release, split: str) -> np.ndarray:
    scores: np.ndarray = score(getattr(release, split)).double().numpy()
    return scores
