"""What a check hands to the rest of the system: one measured quantity, and one calibration result.

Both are plain frozen values without tensors, so that studies can store them and analysis can read them without torch.
The sign and NaN rules that turn a ``Measurement`` into a margin live where bounds are known, not here; here a quantity
that could not be measured is NaN and keeps its name, so that nothing downstream can mistake it for "not asked".
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

NAN = float("nan")


@dataclass(frozen=True)
class Measurement:
    """One estimate with its 95 % interval, next to what an honest sanitiser and a guesser reach."""

    value: float
    """Estimate, in the metric's own unit; NaN if it could not be measured."""
    low: float
    """Lower end of the 95 % interval of ``value``; NaN if not measured."""
    high: float
    """Upper end of the 95 % interval of ``value``; NaN if not measured."""
    baseline: float | None = None
    """The same quantity on the honest baseline (mean over its seeds); None where the metric has no baseline."""
    baseline_low: float | None = None
    """Lower end of the 95 % interval of ``baseline``."""
    baseline_high: float | None = None
    """Upper end of the 95 % interval of ``baseline``."""
    chance: float | None = None
    """Value of a uniform guess, for accuracies 1 / classes."""
    majority: float | None = None
    """Value of always naming the most frequent class of the test images."""
    excess_low: float | None = None
    """Lower end of the 95 % interval of ``value - baseline``, both measured on the same test images; None where they
    were not compared image by image."""
    excess_high: float | None = None
    """Upper end of it."""
    half_width: float | None = None
    """Half the width of the interval that a verdict would rest on if ``value`` were near its bound: of ``value -
    baseline``, or of ``value`` where there is no baseline. What could have been found follows from it; None where not
    known."""
    votes: bool = True
    """False where a control of the adversary behind it failed: such a value can take part in no verdict."""
    converged: bool = True
    """False where the adversary behind it, or behind its baseline, was still learning when its budget ended: such a
    value can violate a bound, but not pass it."""

    @property
    def measured(self) -> bool:
        """Whether ``value`` is a finite number."""
        return math.isfinite(self.value)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as a plain mapping that JSON can hold (NaN as Python's ``json`` writes it)."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "Measurement":
        """Rebuild what ``to_dict`` returned.

        Raises:
            TypeError: If a field is unknown or a required one is missing.
        """
        return cls(**fields)

    @classmethod
    def not_measured(
        cls, *, baseline: float | None = None, chance: float | None = None, majority: float | None = None
    ) -> "Measurement":
        """Return the measurement of something that crashed or diverged: NaN, which every bound counts as violated."""
        return cls(NAN, NAN, NAN, baseline=baseline, chance=chance, majority=majority)


@dataclass(frozen=True)
class Control:
    """Result of judging material whose right answer is known beforehand."""

    check: str
    """Check that was calibrated, by the name of its bound: "strong_identity", "steganalysis", ..."""
    adversary: str
    """Member of the check: "plain", "high_pass", "linear_dct", ..."""
    control: str
    """Known material: "pass_through", "least_significant_bit", "watermark", "frequency", "channel_mean", "code",
    "noise" or "strength_0"; or "convergence", for which ``value`` is 1 or 0."""
    value: float
    """What the adversary read from it, in the unit of the check's metric; NaN if the control itself crashed."""
    low: float
    """Lower end of the 95 % interval of ``value``."""
    high: float
    """Upper end of the 95 % interval of ``value``."""
    required: str
    """What ``value`` had to reach, for people, such as ">= 0.79"."""
    passed: bool
    """Whether it did."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as a plain mapping that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "Control":
        """Rebuild what ``to_dict`` returned.

        Raises:
            TypeError: If a field is unknown or missing.
        """
        return cls(**fields)
