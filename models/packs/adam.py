"""Adam for stacked parameters: each member has its own learning rate and its own count of steps.

Kingma, Ba. "Adam: A Method for Stochastic Optimization". ICLR 2015.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


class StackedAdam:
    """The states of several :class:`torch.optim.Adam` as one; taken from them and handed back to them."""

    def __init__(self, optimisers: Sequence[torch.optim.Optimizer], weights: Sequence[Tensor]) -> None:
        """Stack the states.

        Args:
            optimisers: One a member, each with one group, without weight decay.
            weights: The members' parameters stacked, (members, ...), in the order of the optimisers' own; updated in
                place.
        """
        self._optimisers, self._weights = optimisers, list(weights)
        groups = [optimiser.param_groups[0] for optimiser in optimisers]
        (self._decay, self._decay_of_squares), self._epsilon = groups[0]["betas"], groups[0]["eps"]
        self._rates = torch.tensor([group["lr"] for group in groups], device=self._weights[0].device)
        self._own = [group["params"] for group in groups]
        self._steps = torch.tensor([self._steps_of(member) for member in range(len(groups))], device=self._rates.device)
        self._means = [self._stacked("exp_avg", index) for index in range(len(self._weights))]
        self._squares = [self._stacked("exp_avg_sq", index) for index in range(len(self._weights))]
        # Weights that no loss depends on have neither gradient nor state, in Adam as here.
        self._used = {index for index, own in enumerate(self._own[0]) if own in optimisers[0].state}

    def _steps_of(self, member: int) -> float:
        return max((float(state["step"]) for state in self._optimisers[member].state.values()), default=0.0)

    def _stacked(self, name: str, index: int) -> Tensor:
        states = [optimiser.state.get(own[index]) for optimiser, own in zip(self._optimisers, self._own, strict=True)]
        weight = self._weights[index]
        return torch.stack([state[name] if state else torch.zeros_like(weight[0]) for state in states]).contiguous()

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor | None]) -> None:
        """Update the weights; ``gradients`` has their shapes and order, None where the loss does not depend on one."""
        given = {index: gradient for index, gradient in enumerate(gradients) if gradient is not None}
        self._used |= given.keys()
        means, squares = ([states[index] for index in given] for states in (self._means, self._squares))
        self._steps += 1
        sizes = self._rates / (1.0 - self._decay**self._steps)
        corrections = (1.0 - self._decay_of_squares**self._steps).sqrt()
        found = list(given.values())
        torch._foreach_lerp_(means, found, 1.0 - self._decay)
        torch._foreach_mul_(squares, self._decay_of_squares)
        torch._foreach_addcmul_(squares, found, found, 1.0 - self._decay_of_squares)
        for index, mean, square in zip(given, means, squares, strict=True):
            weight = self._weights[index]
            member = (-1, *[1] * (weight.dim() - 1))
            denominator = (square.sqrt() / corrections.view(member)).add_(self._epsilon)
            weight.sub_(sizes.view(member) * mean / denominator)

    def hand_back(self) -> None:
        """Give each optimiser its state as it is now; the weights themselves are not its business."""
        for member, (optimiser, own) in enumerate(zip(self._optimisers, self._own, strict=True)):
            for index, parameter in ((index, own[index]) for index in sorted(self._used)):
                state = optimiser.state[parameter]
                state["step"] = self._steps[member].clone()
                for name, values in (("exp_avg", self._means), ("exp_avg_sq", self._squares)):
                    state[name] = torch.empty_like(parameter).copy_(values[index][member])
