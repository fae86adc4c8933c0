"""An adversary that asks all the others: a weighted mean of their log-probabilities.

Two adversaries that each see half of a leak may together see all of it. The weights minimise the loss on validation
images, which is convex in them, so an adversary that adds nothing gets none.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

ENSEMBLE = "ensemble"
"""Its name among the adversaries."""

_STEPS = 300
_RATE = 0.3


def ensemble_weights(validation: Sequence[Tensor], labels: Tensor) -> Tensor:
    """Return the weights of the members' log-probabilities that make validation labels likeliest.

    Args:
        validation: Logits of each member, (m, classes) float32.
        labels: (m,), int64.

    Returns:
        (members,), float32, >= 0; they need not add up to 1, so that they also set how sure the ensemble is.

    Notes:
        Exponentiated gradient (Kivinen and Warmuth 1997) from equal weights; deterministic.
    """
    said = torch.stack([F.log_softmax(logits.float(), 1) for logits in validation])  # (members, m, classes)
    truth = F.one_hot(labels.cpu(), said.shape[2]).float()
    weights = torch.full((len(said),), 1 / len(said))
    best, least = weights, float("inf")
    for _ in range(_STEPS):
        joint = torch.einsum("k,kmc->mc", weights, said)
        loss = float(F.cross_entropy(joint, labels.cpu()))
        if loss < least:
            best, least = weights, loss
        slope = torch.einsum("mc,kmc->k", joint.softmax(1) - truth, said) / len(labels)
        weights = (weights * torch.exp(-_RATE * slope)).clamp(1e-6, 10)
    return best


def combined(logits: Sequence[Tensor], weights: Tensor) -> Tensor:
    """Return the ensemble's logits, (n, classes), of its members' logits with their weights."""
    said = torch.stack([F.log_softmax(part.float(), 1) for part in logits])
    return torch.einsum("k,kmc->mc", weights, said)
