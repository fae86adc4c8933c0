"""Seeds and generators, handed on explicitly: the same seed gives the same result in any process."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def derive_seed(seed: int, *names: str | int) -> int:
    """Derive an independent 63-bit seed from ``seed`` and a path of names, equal in every process."""
    text = "/".join([str(seed), *map(str, names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def torch_generator(seed: int, *names: str | int) -> torch.Generator:
    """Return a CPU generator seeded with :func:`derive_seed`."""
    return torch.Generator().manual_seed(derive_seed(seed, *names))


def numpy_generator(seed: int, *names: str | int) -> np.random.Generator:
    """Return a numpy generator seeded with :func:`derive_seed`."""
    return np.random.default_rng(derive_seed(seed, *names))


@contextmanager
def seeded(seed: int, *names: str | int) -> Iterator[None]:
    """Seed torch's global generators and ask cuDNN for repeatable algorithms inside the block; restore both after it.

    For what torch cannot be handed a generator for: the initial weights of layers, and dropout.
    """
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    deterministic = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True)
    with torch.random.fork_rng(devices=devices), deterministic:
        torch.manual_seed(derive_seed(seed, *names))
        yield
