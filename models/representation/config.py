"""Settings of one representation: encoder, task, adversary in the loop, and how they are trained."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

ADVERSARIES = ("none", "plain", "closed_form", "both")
NETWORKS = ("trained", "vgg16")
LAYERS = ("1", "2", "3")
SMALLEST_MAP = 4
"""Side of the last feature map of a classifier, pixels."""


@dataclass(frozen=True)
class PerceptualConfig:
    """The network whose features images are compared by. One for a whole study, or trials cannot be compared."""

    network: str = "trained"
    """"trained": a classifier of the public people's expressions; "vgg16": VGG-16 from a file."""
    weights: str = ""
    """File of torchvision's state dict of VGG-16, for ``network="vgg16"``."""
    layers: str = "1+2+3"
    """Feature layers that count, from fine to coarse, joined by "+"."""

    def problems(self, where: str) -> list[str]:
        """Return what is wrong, a line each, naming the field, the value and what is permitted."""
        found = _one_of(where, "network", self.network, NETWORKS)
        names = str(self.layers).split("+")
        if not set(names) <= set(LAYERS) or len(set(names)) < len(names):
            found.append(f"{where}.layers={self.layers!r}; must join some of {', '.join(LAYERS)} by +, each once")
        if self.network == "vgg16" and not Path(self.weights).expanduser().is_file():
            found.append(
                f"{where}.weights={self.weights!r} is no file; {where}.network='vgg16' needs the state dict of "
                "torchvision.models.vgg16, or take network='trained'"
            )
        if self.network == "trained" and self.weights:
            found.append(f"{where}.weights={self.weights!r} is used with {where}.network='vgg16' only; leave it out")
        return found


@dataclass(frozen=True)
class RepresentationConfig:
    """One configuration of encoder, classifier and adversary."""

    tasks: str = "mouth_open+smiling+frowning+eyes_wide+glasses"
    """What must still be told from the representation: columns of labels, joined by "+"."""
    cut: int = 2
    """Halvings of the image before the latent leaves the encoder, >= 1; the classifier does the rest."""
    latent_channels: int = 16
    """Channels of the latent, >= 1; its values lie in (-1, 1), noise not counted."""
    width: int = 32
    """Channels of the encoder's first convolution, >= 4."""
    noise: float = 0.3
    """Standard deviation of the Gaussian noise on every released latent, in training and use, >= 0."""
    adversary: str = "both"
    """What the encoder is trained against: "none" (the task alone), "plain" (a trained decoder), "closed_form" (the
    best linear decoder on random features, new in each step) or "both" (the mean of the two)."""
    pixel_weight: float = 3.0
    """Of the reconstruction's pixel error, >= 0."""
    perceptual_weight: float = 1.0
    """Of the reconstruction's distance in features, >= 0."""
    adversary_width: int = 12
    """Capacity of the decoder in the loop: channels at the image's size, >= 4."""
    adversary_steps: int = 1
    """Updates of the decoder for one of the encoder, >= 1."""
    reset_every: int = 0
    """Epochs after which the decoder in the loop starts anew; 0: never."""
    public_share: float = 1.0
    """Share of the public people whose images the adversary and the judges have, in (0, 1]."""
    epochs: int = 8
    """Reports and possible checkpoints of the training, >= 1."""
    steps_per_epoch: int = 40
    """Updates of the encoder an epoch, >= 1."""
    warm_up: float = 0.2
    """Share of the training that is the task alone, in [0, 1)."""
    ramp: float = 0.2
    """Share of the training over which the weights then rise to their full size, in [0, 1)."""
    batch_size: int = 64
    """Images a step, >= 8."""
    learning_rate: float = 0.002
    """Of Adam, in (0, 1); falls to a tenth over the second half."""
    perceptual: PerceptualConfig = field(default_factory=PerceptualConfig)

    @property
    def adversarial(self) -> bool:
        """Whether the encoder is trained against anything."""
        return self.adversary != "none" and self.pixel_weight + self.perceptual_weight > 0

    def problems(self) -> list[str]:
        """Return what is wrong in itself, a line each, naming the field, the value and what is permitted."""
        least = {"cut": 1, "latent_channels": 1, "width": 4, "adversary_width": 4, "adversary_steps": 1}
        least |= {"reset_every": 0, "epochs": 1, "steps_per_epoch": 1, "batch_size": 8}
        found = whole_numbers(self, "", least)
        for name in ("noise", "pixel_weight", "perceptual_weight"):
            found += inside(self, "", name, 0, math.inf, "must be a number >= 0", low_included=True)
        for name in ("warm_up", "ramp"):
            found += inside(self, "", name, 0, 1, "must lie in [0, 1)", low_included=True)
        found += inside(self, "", "learning_rate", 0, 1, "must lie in (0, 1)")
        if not number(self.public_share) or not 0 < self.public_share <= 1:
            found.append(f"public_share={self.public_share!r}; must lie in (0, 1]")
        found += _one_of("", "adversary", self.adversary, ADVERSARIES)
        names = task_names(self.tasks)
        if not all(names) or len(set(names)) < len(names):
            found.append(
                f"tasks={self.tasks!r}; must name at least one column of labels, several joined by +, each once"
            )
        return found + self.perceptual.problems("perceptual")

    def refusals(self, size: int, columns: Sequence[str]) -> list[str]:
        """Return what images of ``size`` pixels with these label columns make impossible, a line each."""
        found = []
        deepest = depth(size)
        if isinstance(self.cut, int) and self.cut > deepest:
            found.append(
                f"cut={self.cut}; images of {size} pixels can be halved {deepest} times; permitted: 1..{deepest}"
            )
        missing = [name for name in task_names(self.tasks) if name and name not in columns]
        if missing:
            found.append(
                f"tasks={self.tasks!r}: the data have no column {', '.join(missing)}; permitted: {', '.join(columns)}"
            )
        return found


def task_names(tasks: str) -> list[str]:
    """Return the label columns that ``tasks`` joins."""
    return [name.strip() for name in str(tasks).split("+")]


def depth(size: int) -> int:
    """Return how often images of ``size`` pixels are halved down to the smallest map."""
    return max(1, round(math.log2(size / SMALLEST_MAP)))


def whole_numbers(settings: object, where: str, least: dict[str, int]) -> list[str]:
    """Return a line for each field of ``settings`` that is no whole number of at least ``least[field]``."""
    values = {name: getattr(settings, name) for name in least}
    return [
        f"{where}{name}={value!r}; must be a whole number >= {least[name]}"
        for name, value in values.items()
        if not isinstance(value, int) or isinstance(value, bool) or value < least[name]
    ]


def inside(
    settings: object, where: str, name: str, low: float, high: float, words: str, *, low_included: bool = False
) -> list[str]:
    """Return a line if a field of ``settings`` is no number between ``low`` and ``high``, the upper end excluded."""
    value = getattr(settings, name)
    if number(value) and (low < value < high or (low_included and value == low)):
        return []
    return [f"{where}{name}={value!r}; {words}"]


def number(value: object) -> bool:
    """Say whether ``value`` is a number and neither true nor false."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _one_of(where: str, name: str, value: object, permitted: Sequence[str]) -> list[str]:
    field_name = f"{where}.{name}" if where else name
    return [] if value in permitted else [f"{field_name}={value!r} is unknown; permitted: {', '.join(permitted)}"]
