"""Trials an hour of the learned embedder's training against the size of a pack, beside one process of the same machine.

    python -m benchmarks.packs [--sizes 1,2,4] [--threads 1] [--rounds 3] [--steps 5] [--size 32] [--architecture cells]

Every size is measured in turns with the same members trained one after the other, on random images; a trial is the
default number of steps (``LearnedConfig``: 5 epochs of 40). On a GPU sizes go to 32 by default; that has not been run
yet. On a processor packs do not pay: EXPERIMENTS.md, "Packs".
"""

from __future__ import annotations

import argparse
import os

import torch

from models.hiding.learned.config import ARCHITECTURES, LearnedConfig
from models.hiding.learned.training import LearnedData, LearnedTraining
from models.packs import probe
from models.runtime import keep_freed_memory

BITS, IDENTITIES, IMAGES = 1280, 6, 512


def members(count: int, options: argparse.Namespace) -> list[LearnedTraining]:
    """Return trainings that differ in seed, learning rate, weights and strength."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    random = torch.Generator().manual_seed(0)
    shape = (IMAGES, 3, options.size, options.size)
    covers = torch.randint(0, 256, shape, generator=random, dtype=torch.uint8).to(device)
    data = LearnedData(covers, (torch.arange(IMAGES) % IDENTITIES).to(device), IDENTITIES)
    return [
        LearnedTraining(
            LearnedConfig(
                architecture=options.architecture, steps_per_epoch=options.steps,
                learning_rate=1e-3 * (1 + number % 4), identity_weight=0.1 * (1 + number % 3), steganalysis_weight=0.1,
            ),
            data, bits=BITS, strength=1 + number % 4, seed=number,
        )
        for number in range(count)
    ]  # fmt: skip


def main() -> None:
    """Measure and print a line a size."""
    gpu = torch.cuda.is_available()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="1,2,4,8,16,32" if gpu else "1,2,4")
    for name, value in (("threads", 1), ("rounds", 3), ("steps", 40 if gpu else 5), ("size", 32)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--architecture", choices=ARCHITECTURES, default="cells")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    defaults = LearnedConfig()
    epochs = defaults.epochs * defaults.steps_per_epoch / options.steps
    print(f"{torch.cuda.get_device_name() if gpu else 'cpu'}, {options.threads} threads, load {os.getloadavg()[0]:.1f}")
    print(f"{options.architecture}, {options.size} x {options.size}, batches of {defaults.batch_size}")
    print(" size  trials/hour alone  packed  gain  pays")
    for size in map(int, options.sizes.split(",")):
        found = probe(members(size, options), rounds=options.rounds)
        alone, packed = (3600 * size / (seconds * epochs) for seconds in (found.alone, found.packed))
        print(
            f"{size:5d}  {alone:17.0f}  {packed:6.0f}  {found.gain:4.2f}  {'yes' if found.pays else 'no'}", flush=True
        )


if __name__ == "__main__":
    main()
