"""What the battery reads from honest images of one sanitiser: baselines, and who votes."""

from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from models.checks.statistics import Estimate, mean_accuracy
from models.measurement import Control


@dataclass(frozen=True)
class HonestBattery:
    """What the adversaries reach on honest images of one sanitiser, and how its controls came out."""

    accuracies: Mapping[str, tuple[float, ...]]
    """Metric -> test accuracy of each honest seed; NaN where crashed."""
    test_images: int
    """Number of images behind each of them."""
    controls: tuple[Control, ...]
    answers: Mapping[str, tuple[bytes, ...]] = field(default_factory=dict)
    """Metric -> of each honest seed which test images were read correctly (``pack_answers``)."""
    converged: Mapping[str, bool] = field(default_factory=dict)
    """Metric -> whether all trainings of a trained identity adversary converged; those in closed form are absent."""

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
            "answers": {name: [b64encode(bits).decode() for bits in packed] for name, packed in self.answers.items()},
            "converged": dict(self.converged),
        }

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "HonestBattery":
        """Rebuild what ``to_dict`` returned.

        Raises:
            KeyError: If an entry is missing.
        """
        accuracies = {metric: tuple(values) for metric, values in fields["accuracies"].items()}
        answers = {name: tuple(map(b64decode, packed)) for name, packed in fields["answers"].items()}
        controls = tuple(map(Control.from_dict, fields["controls"]))
        return cls(accuracies, fields["test_images"], controls, answers, fields["converged"])
