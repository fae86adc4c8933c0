"""The honest side of a trial: inputs, labels, the sanitiser's releases, and what every check reads from them.

All trials with the same settings share it, through the cache.
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.checkpoints import Saved, cached
from models.checks.battery import HonestBattery, OriginalsBattery, fit_on_originals, judge_honest
from models.checks.config import CheckConfig
from models.checks.material import Labels, LabelSplits, Release
from models.data import SPLITS, FaceData, Splits
from models.ppgan.config import PPGANConfig
from models.ppgan.release import StageOne, stage_one


@dataclass(frozen=True)
class Material:
    """Data, honest sanitiser and what checks read from both."""

    inputs: Release
    labels: Labels
    stage: StageOne
    covers: Release
    """Honest releases of the inputs."""
    originals: OriginalsBattery
    honest: HonestBattery
    fingerprint: Mapping[str, Any]
    """What determined the inputs and their split, for keys of the cache."""


def honest_material(
    ppgan: PPGANConfig,
    faces: FaceData,
    splits: Splits,
    checks: CheckConfig,
    *,
    split_settings: Mapping[str, Any],
    seed: int,
    device: str,
    cache: Path,
) -> Material:
    """Return the honest side of these settings, from the cache or computed now.

    Args:
        ppgan: Settings of the sanitiser.
        faces: The data.
        splits: Positions of the images of each split.
        checks: Settings of the battery.
        split_settings: What determined ``splits``.
        seed: Seed of everything in it.
        device: "cpu" or "cuda".
        cache: Folder of the cache.

    Raises:
        FloatingPointError: If the PP-GAN's training diverges.
    """
    rows = {name: torch.tensor(getattr(splits, name)) for name in SPLITS}
    images = torch.tensor(faces.images)
    inputs = Release(**{name: images[rows[name]] for name in SPLITS})
    labels = Labels(
        _label_splits(torch.tensor(faces.identity), rows, len(faces.identity_names)),
        _label_splits(torch.tensor(faces.expression), rows, len(faces.expression_names)),
    )
    fingerprint = {"data": faces.fingerprint, "split": dict(split_settings)}
    stage = stage_one(ppgan, faces, splits, fingerprint=fingerprint, seed=seed, device=device, cache=cache)
    covers = Release(**stage.covers)
    settings = {"checks": asdict(checks), "seed": seed, "device": device, **fingerprint}

    def originals() -> Saved:
        return fit_on_originals(inputs, labels, checks, seed=seed, device=device).to_saved()

    def originals_whole(saved: Saved) -> bool:
        return all(math.isfinite(value) for found in saved.note["accuracies"].values() for value in found)

    on_originals = OriginalsBattery.from_saved(
        cached(cache, "originals", settings, originals, keep=originals_whole), device
    )

    def honest() -> Saved:
        battery = judge_honest(covers, labels, on_originals, checks, seed=seed, device=device)
        return Saved({}, battery.to_dict())

    def honest_whole(saved: Saved) -> bool:
        read = [value for values in saved.note["accuracies"].values() for value in values]
        return all(map(math.isfinite, read)) and all(math.isfinite(item["value"]) for item in saved.note["controls"])

    # Keyed by the covers themselves: trained again, the same sanitiser can differ by a rounding.
    key = {**settings, "covers": _digest(covers)}
    battery = HonestBattery.from_dict(cached(cache, "honest", key, honest, keep=honest_whole).note)
    return Material(inputs, labels, stage, covers, on_originals, battery, fingerprint)


def _label_splits(labels: Tensor, rows: Mapping[str, Tensor], classes: int) -> LabelSplits:
    return LabelSplits(**{name: labels[rows[name]] for name in SPLITS}, classes=classes)


def _digest(release: Release) -> str:
    digest = hashlib.sha256()
    for name in SPLITS:
        digest.update(getattr(release, name).cpu().numpy().tobytes())
    return digest.hexdigest()
