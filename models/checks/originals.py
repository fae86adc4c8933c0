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
    """On original test images: "plain" and "high_pass" (identity) and "expression"; NaN where crashed. Where
    publication changes images, "plain" is what the network trained on originals reads from published ones, and
    "published.plain" and "published.high_pass" are trained and read on published ones."""
    shapes: Mapping[str, Mapping[str, int]]
    """Of each network: ``classes``, ``size`` and ``width``, enough to build it again."""
    converged: bool = True
    """Whether the training of the weak adversary reached its plateau."""

    def to_saved(self) -> Saved:
        """Return tensors and note, for a file or a cache."""
        tensors: dict[str, Tensor] = {}
        for name, network in self.networks.items():
            tensors |= with_prefix(name, network.state_dict())
        accuracies = {name: [found.value, found.low, found.high] for name, found in self.accuracies.items()}
        shapes = {name: dict(shape) for name, shape in self.shapes.items()}
        return Saved(tensors, {"accuracies": accuracies, "shapes": shapes, "converged": self.converged})

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
        return cls(networks, accuracies, saved.note["shapes"], saved.note["converged"])


def fit_on_originals(
    originals: Release,
    labels: Labels,
    config: CheckConfig,
    *,
    seed: int,
    device: str | torch.device,
    published: Release | None = None,
) -> OriginalsBattery:
    """Train what depends on the data alone: the weak adversary, the expression classifier, the pass-through controls.

    Args:
        originals: Input images.
        labels: Their true labels.
        config: Settings of the battery.
        seed: Of the trainings.
        device: Where to train.
        published: The originals as the channel would publish them, for the controls; None where it changes nothing.

    Raises:
        ValueError: If images and labels do not match in number.
    """
    labels.require_match(originals)
    networks, accuracies, shapes, converged = {}, {}, {}, True
    for name, fit_name in _KEPT.items():
        truth, fit = getattr(labels, name), config.fits[fit_name]
        shapes[name] = {"classes": truth.classes, "size": originals.train.shape[-1], "width": fit.width}
        own_seed = derive_seed(seed, "originals", name)
        fitted, accuracies[fit_name] = fit_and_read("plain", fit, originals, truth, seed=own_seed, device=device)
        if fitted is not None:
            networks[name] = fitted.network
            converged = fitted.converged if name == "identity" else converged
    if published is not None:
        labels.require_match(published)
        network, fit = networks.get("identity"), config.fits["plain"]
        accuracies["plain"] = transferred_accuracy("weak", network, fit, published, labels.identity)
    for name in ("plain", "high_pass"):
        if name not in config.strong or (published is None and name == "plain"):
            continue  # "plain" on originals is the weak adversary itself
        own_seed, fit = derive_seed(seed, "originals", name), config.fits[name]
        shown, key = (originals, name) if published is None else (published, f"published.{name}")
        _, accuracies[key] = fit_and_read(name, fit, shown, labels.identity, seed=own_seed, device=device)
    return OriginalsBattery(networks, accuracies, shapes, converged)


def read_by_originals(
    release: Release, labels: Labels, originals: OriginalsBattery, config: CheckConfig
) -> dict[str, Estimate]:
    """Return what the networks trained on originals read from ``release``."""
    found = {}
    for metric, name in ((WEAK, "identity"), (EXPRESSION_ORIGINALS, "expression")):
        fit, network = config.fits[_KEPT[name]], originals.networks.get(name)
        found[metric] = transferred_accuracy(metric, network, fit, release, getattr(labels, name))
    return found
