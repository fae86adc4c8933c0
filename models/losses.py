"""What the trainings have in common: guarding losses, updating one side only, and hiding a label from an adversary."""

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from models.parallel import WHOLE, BatchShare


def require_finite(losses: Mapping[str, float], where: str) -> None:
    """Raise a FloatingPointError that names the losses which are NaN or infinite, if any."""
    bad = [f"{name}={value}" for name, value in losses.items() if not math.isfinite(value)]
    if bad:
        raise FloatingPointError(f"{where}: training diverged: {', '.join(bad)}")


def update(optimiser: torch.optim.Optimizer, loss: Tensor, share: BatchShare = WHOLE) -> None:
    """Step ``optimiser``; gradients are computed for its own parameters only, so the opponent's stay untouched."""
    optimiser.zero_grad(set_to_none=True)
    weights = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    loss.backward(inputs=weights)
    share.average_gradients(weights)
    optimiser.step()


def distance_to_uniform(logits: Tensor) -> Tensor:
    """Return the cross-entropy of the uniform distribution against ``softmax(logits)``, (n, classes), in nats.

    Least, at log(classes), where the adversary knows nothing; unlike the negated loss of the adversary it is not
    improved by making the adversary wrong with certainty, which would itself carry the secret.
    """
    return -F.log_softmax(logits.float(), dim=1).mean()
