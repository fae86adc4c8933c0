"""What depends on the data alone: adversaries trained on originals, kept for every sanitiser and every trial."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.checkpoints import Saved, with_prefix
from models.checks.adversaries import build_adversary
from models.checks.config import CheckConfig
from models.checks.judging import fit_and_read, transferred_accuracy
from models.checks.material import Labels, Release
from models.checks.statistics import Estimate
from models.randomness import derive_seed

WEAK = "weak_identity_accuracy.plain"
EXPRESSION_ORIGINALS = "expression_accuracy_originals"

_KEPT = {"identity": "plain", "expression": "expression"}  # label that is read -> entry of CheckConfig.fits


@dataclass(frozen=True)
class OriginalsBattery:
    """Adversaries trained on originals, with what they read there."""

    networks: Mapping[str, nn.Module]
    """"identity" and "expression", plain networks in evaluation mode; one that crashed is absent."""
    accuracies: Mapping[str, Estimate]
    """On original test images: "plain" and "high_pass" (identity) and "expression"; NaN where crashed."""
    shapes: Mapping[str, Mapping[str, int]]
    """Of each network: ``classes``, ``size`` and ``width``, enough to build it again."""

    def to_saved(self) -> Saved:
        """Return tensors and note, for a file or a cache."""
        tensors: dict[str, Tensor] = {}
        for name, network in self.networks.items():
            tensors |= with_prefix(name, network.state_dict())
        accuracies = {name: [found.value, found.low, found.high] for name, found in self.accuracies.items()}
        return Saved(tensors, {"accuracies": accuracies, "shapes": {k: dict(v) for k, v in self.shapes.items()}})

    @classmethod
    def from_saved(cls, saved: Saved, device: str | torch.device) -> "OriginalsBattery":
        """Rebuild what ``to_saved`` returned, with the networks on ``device``.

        Raises:
            KeyError: If the note lacks an entry.
            RuntimeError: If the tensors are not those of the networks in the note.
        """
        networks = {}
        for name, shape in saved.note["shapes"].items():
            if state := saved.part(name):
                network = build_adversary("plain", **shape)
                network.load_state_dict(state)
                networks[name] = network.to(device).eval()
        accuracies = {name: Estimate(*values) for name, values in saved.note["accuracies"].items()}
        return cls(networks, accuracies, saved.note["shapes"])


def fit_on_originals(
    originals: Release, labels: Labels, config: CheckConfig, *, seed: int, device: str | torch.device
) -> OriginalsBattery:
    """Train what depends on the data alone: the weak adversary, the expression classifier, the pass-through controls.

    Args:
        originals: Input images.
        labels: Their true labels.
        config: Settings of the battery.
        seed: Of the trainings.
        device: Where to train.

    Raises:
        ValueError: If images and labels do not match in number.
    """
    labels.require_match(originals)
    networks, accuracies, shapes = {}, {}, {}
    for name, fit_name in _KEPT.items():
        truth, fit = getattr(labels, name), config.fits[fit_name]
        shapes[name] = {"classes": truth.classes, "size": originals.train.shape[-1], "width": fit.width}
        own_seed = derive_seed(seed, "originals", name)
        network, accuracies[fit_name] = fit_and_read("plain", fit, originals, truth, seed=own_seed, device=device)
        if network is not None:
            networks[name] = network
    if "high_pass" in config.strong:
        own_seed = derive_seed(seed, "originals", "high_pass")
        fit = config.fits["high_pass"]
        _, accuracies["high_pass"] = fit_and_read(
            "high_pass", fit, originals, labels.identity, seed=own_seed, device=device
        )
    return OriginalsBattery(networks, accuracies, shapes)


def read_by_originals(
    release: Release, labels: Labels, originals: OriginalsBattery, config: CheckConfig
) -> dict[str, Estimate]:
    """Return what the networks trained on originals read from ``release``."""
    found = {}
    for metric, name in ((WEAK, "identity"), (EXPRESSION_ORIGINALS, "expression")):
        fit, network = config.fits[_KEPT[name]], originals.networks.get(name)
        found[metric] = transferred_accuracy(metric, network, fit, release, getattr(labels, name))
    return found
