"""Data parallelism inside a training step: every worker takes its part of the same batch, gradients are averaged.

All workers draw the same batches from the same random numbers and keep equal weights. A loss that is a mean over a
batch has the mean of its parts' gradients, so k workers do what one does, up to what a part cannot know of the whole:
batch normalisation takes its statistics from a worker's part, and noise and dropout draw other numbers. One worker does
exactly what a training without a share does, bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn

_SEEDS = 2**62


@dataclass(frozen=True)
class BatchShare:
    """The part of one worker; with several, ``torch.distributed`` is initialised (gloo on CPUs, NCCL on GPUs)."""

    rank: int = 0
    """Number of this worker, 0..workers - 1."""
    workers: int = 1

    def of(self, batch: Tensor) -> Tensor:
        """Return every ``workers``-th row of a batch whose length is a multiple of it; the order stays."""
        return batch if self.workers == 1 else batch[self.rank :: self.workers]

    @contextmanager
    def own_random(self) -> Iterator[None]:
        """Draw other random numbers than the other workers do inside the block, and the same again after it."""
        if self.workers == 1:
            yield
            return
        seed = int(torch.randint(_SEEDS, (1,)))  # the same everywhere
        devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(seed + self.rank)
            yield

    def average_gradients(self, weights: Iterable[Tensor]) -> None:
        """Replace every gradient by its mean over the workers; weights without one are left alone."""
        if self.workers > 1:
            self._average([weight.grad for weight in weights if weight.grad is not None])

    def average_statistics(self, network: nn.Module) -> None:
        """Replace running statistics, such as those of batch normalisation, by their means over the workers."""
        if self.workers > 1:
            self._average([buffer for buffer in network.buffers() if buffer.is_floating_point()])

    def agree(self, flag: bool) -> bool:
        """Return what the first worker says."""
        if self.workers == 1:
            return flag
        said = [flag]
        dist.broadcast_object_list(said, src=0)
        return said[0]

    def wait(self) -> None:
        """Return once every worker is here."""
        if self.workers > 1:
            dist.barrier()

    def _average(self, tensors: list[Tensor]) -> None:
        if not tensors:
            return
        together = torch.cat([tensor.detach().reshape(-1).float() for tensor in tensors])
        dist.all_reduce(together)
        together /= self.workers
        for tensor, mean in zip(tensors, together.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(mean.view_as(tensor))


WHOLE = BatchShare()
"""A worker that does all of every batch."""
