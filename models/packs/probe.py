"""Whether a pack pays where this runs: epochs of the same trainings, one after the other and stacked, in turns."""

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from models.hiding.learned.training import LearnedTraining
from models.packs.embedders import run_epoch

LEAST_GAIN = 1.2
"""A pack pays from this many times the speed on: below it, members would wait for each other for nothing."""


@dataclass(frozen=True)
class Probe:
    """What was measured."""

    members: int
    alone: float
    """Seconds of an epoch of all members, one after the other; the fastest round."""
    packed: float
    """Seconds of an epoch of all members as a pack; the fastest round."""

    @property
    def gain(self) -> float:
        """How many times as fast the pack is."""
        return self.alone / self.packed

    @property
    def pays(self) -> bool:
        """Whether to pack; never for a single member."""
        return self.members > 1 and self.gain >= LEAST_GAIN


def probe(trainings: Sequence[LearnedTraining], *, rounds: int = 3, clock: Callable[[], float] | None = None) -> Probe:
    """Measure an epoch of these trainings alone and as a pack.

    Args:
        trainings: The members to be; copies are trained, they themselves stay as they are.
        rounds: How often each way is measured, in turns, >= 1.
        clock: Seconds from any origin, for tests; by default those of the machine once its device is idle.

    Raises:
        ValueError: If they cannot be one pack.
    """
    clock = clock or (lambda: _seconds(trainings[0].data.covers.device))
    copies = [_copy(training) for training in trainings]
    alone, packed = [], []
    run_epoch(copies)  # the first epoch pays for what is made once
    for _ in range(rounds):
        started = clock()
        for training in copies:
            training.run_epoch()
        alone.append(clock() - started)
        started = clock()
        run_epoch(copies)
        packed.append(clock() - started)
    return Probe(len(trainings), min(alone), min(packed))


def _copy(training: LearnedTraining) -> LearnedTraining:
    """Return a training to be spent on measuring; the data are shared."""
    return copy.deepcopy(training, {id(training.data): training.data})


def _seconds(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
