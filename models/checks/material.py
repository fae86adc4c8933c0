"""What a battery judges: images by split, their true labels, and what else an adversary may hold."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from models.checks.fitting import require_images

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Release:
    """Images that a checker holds: originals, honest covers or what a subverter released. Row i is the same input in
    all."""

    train: Tensor
    """(n, 3, size, size), uint8. Adversaries are trained on these."""
    validation: Tensor
    """(m, 3, size, size), uint8. Training stops and thresholds are chosen on these."""
    test: Tensor
    """(k, 3, size, size), uint8. Verdicts come from these and nothing else does."""

    def __post_init__(self) -> None:
        """Refuse what is not 8-bit.

        Raises:
            ValueError: If a split is not (n >= 1, 3, size, size) uint8.
        """
        require_images(self.train, self.validation, self.test)

    def equals(self, other: "Release") -> bool:
        """Whether every pixel of every split is the same."""
        return all(torch.equal(getattr(self, split), getattr(other, split).to(self.train.device)) for split in SPLITS)


@dataclass(frozen=True)
class Codes:
    """Latent codes of the inputs, from which a sanitiser draws its images. Row i is the same input as everywhere."""

    train: Tensor
    """(n, dimensions), float32."""
    validation: Tensor
    """(m, dimensions)."""
    test: Tensor
    """(k, dimensions)."""

    def __post_init__(self) -> None:
        """Refuse what is no code.

        Raises:
            ValueError: If a split is not (n >= 1, dimensions) float32, all of as many dimensions.
        """
        parts = [getattr(self, split) for split in SPLITS]
        shapes = [(tuple(part.shape), str(part.dtype)) for part in parts]
        good = all(part.dim() == 2 and len(part) and part.dtype == torch.float32 for part in parts)
        if not good or len({part.shape[1] for part in parts}) > 1:
            raise ValueError(f"codes must be (n >= 1, dimensions) float32, of as many dimensions each; found {shapes}")


class Further(NamedTuple):
    """More honest releases of the sanitiser under judgement, of other inputs or other noise."""

    images: Tensor
    """(n, 3, size, size), uint8, as published."""
    labels: Tensor
    """True identities of their inputs, (n,), int64."""


@dataclass(frozen=True)
class LabelSplits:
    """One true label of each input."""

    train: Tensor
    """(n,), int64 in 0..classes - 1."""
    validation: Tensor
    """(m,), int64."""
    test: Tensor
    """(k,), int64."""
    classes: int
    """Number of possible labels, >= 2."""

    def __post_init__(self) -> None:
        """Refuse what is no label.

        Raises:
            ValueError: If there are fewer than two classes or a label is out of range.
        """
        if self.classes < 2:
            raise ValueError(f"labels need at least 2 classes; found {self.classes}")
        for split in SPLITS:
            labels = getattr(self, split)
            if labels.dtype != torch.int64 or labels.dim() != 1 or len(labels) == 0:
                raise ValueError(f"{split} labels must be (n >= 1,) int64; found {tuple(labels.shape)} {labels.dtype}")
            if int(labels.min()) < 0 or int(labels.max()) >= self.classes:
                raise ValueError(
                    f"{split} labels must lie in 0..{self.classes - 1}; found {int(labels.min())}..{int(labels.max())}"
                )


@dataclass(frozen=True)
class Labels:
    """The true labels of the inputs."""

    identity: LabelSplits
    expression: LabelSplits

    def require_match(self, release: Release) -> None:
        """Raise a ValueError unless there is one label of each kind for every image of ``release``."""
        for kind in ("identity", "expression"):
            for split in SPLITS:
                labels, images = len(getattr(getattr(self, kind), split)), len(getattr(release, split))
                if labels != images:
                    raise ValueError(f"{labels} {kind} labels for {images} {split} images")
