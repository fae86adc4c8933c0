"""Images a second of our PP-GAN step against a plain PyTorch step of the same networks, losses and batches.

    python -m benchmarks.training [--threads 2] [--batch 64] [--rounds 8] [--steps 2]

Each runs in a process of its own and they take turns, so that another user of the machine slows both alike. Printed
are the best and the median round of each, the operations of a step as torch counts them, and what share that is of the
fastest product of matrices that the same process did between the rounds. Ours is :class:`models.ppgan.training
.PPGANTraining` with ``recipe=paper``; the plain one is in ``benchmarks/training_reference.py``. A GPU is used where
torch finds one: this path has not been run yet.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.training_reference import PlainTraining
from models.image_quality import to_float
from models.ppgan.config import PPGANConfig
from models.ppgan.training import PPGANTraining, TrainingSet
from models.runtime import keep_freed_memory

ROOT = Path(__file__).parents[1]
KINDS = ("ours", "plain")
IDENTITIES, EXPRESSIONS, IMAGES = 6, 7, 1024
LIMIT = {"cpu": 2.0, "cuda": 5.0}
"""Least ratio of images a second, at 64 x 64 and on two cores of a processor."""


def device() -> str:
    """Return where to measure."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def training_set(where: str) -> TrainingSet:
    """Return random images with labels; what they show does not change the time of a step."""
    random = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (IMAGES, 3, 64, 64), generator=random, dtype=torch.uint8)
    identity, expression = torch.arange(IMAGES) % IDENTITIES, torch.arange(IMAGES) % EXPRESSIONS
    return TrainingSet(images.to(where), identity.to(where), expression.to(where), IDENTITIES, EXPRESSIONS)


def step_of(kind: str, batch: int) -> Callable[[], object]:
    """Return the step to measure; for ours with what a trial sets up around it."""
    torch.manual_seed(0)
    data = training_set(device())
    if kind == "ours":
        keep_freed_memory()
        return PPGANTraining(PPGANConfig(recipe="paper", learning_rate=3e-4, batch_size=batch), data).step
    plain = PlainTraining(
        to_float(data.images), data.identity, data.expression, identities=IDENTITIES, expressions=EXPRESSIONS
    )
    return lambda: plain.step(batch)


def operations(step: Callable[[], object]) -> float:
    """Return the floating-point operations of one step: convolutions and products, both ways."""
    with FlopCounterMode(display=False) as counter:
        step()
    return float(counter.get_total_flops())


def seconds(run: Callable[[], object]) -> float:
    """Return how long ``run`` takes, all work on the device included."""
    started = time.perf_counter()
    run()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - started


def worker(kind: str, options: argparse.Namespace) -> None:
    """Print the operations of a step, then, for each line of input, the seconds of some steps and the limit found."""
    torch.set_num_threads(options.threads)
    step = step_of(kind, options.batch)
    step()
    print(operations(step), flush=True)
    side = 8192 if device() == "cuda" else 2048
    matrix = torch.randn(side, side, device=device(), dtype=torch.bfloat16)
    for _ in sys.stdin:
        taken = seconds(lambda: [step() for _ in range(options.steps)])
        fastest = min(seconds(lambda: matrix @ matrix) for _ in range(3))
        print(taken / options.steps, 2 * side**3 / fastest, flush=True)


def measure(options: argparse.Namespace) -> dict[str, tuple[float, list[tuple[float, float]]]]:
    """Return, for each kind, the operations of a step and (seconds a step, operations a second of a product)."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": str(options.threads)}
    given = [f"--{name}={getattr(options, name)}" for name in ("threads", "batch", "steps")]
    running = {
        kind: subprocess.Popen(
            [sys.executable, "-m", "benchmarks.training", "--worker", kind, *given],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT,
        )
        for kind in KINDS
    }  # fmt: skip
    found: dict[str, tuple[float, list[tuple[float, float]]]] = {
        kind: (float(_answer(process)), []) for kind, process in running.items()
    }
    for _ in range(options.rounds):
        for kind, process in running.items():
            taken, limit = _answer(process, "go\n").split()
            found[kind][1].append((float(taken), float(limit)))
    for process in running.values():
        process.communicate()
    return found


def _answer(process: subprocess.Popen[str], line: str = "") -> str:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(line)
    process.stdin.flush()
    answer = process.stdout.readline()
    if not answer:
        raise RuntimeError(f"a measuring process ended with exit code {process.wait()}; its error is above")
    return answer


def main() -> int:
    """Measure, print, and return 0 if ours is as much faster as it has to be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("threads", 2), ("batch", 64), ("rounds", 8), ("steps", 2)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--worker", choices=KINDS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        worker(options.worker, options)
        return 0
    found = measure(options)
    print(f"{device()}, {options.threads} threads, load {os.getloadavg()[0]:.1f}; 64 x 64, batches of {options.batch}")
    for kind, (work, rounds) in found.items():
        best, median = min(rounds)[0], statistics.median(taken for taken, _ in rounds)
        limit = max(limit for _, limit in rounds)
        print(
            f"{kind:>5}: best {options.batch / best:.0f} images/s, median {options.batch / median:.0f}; "
            f"{work / 1e9:.0f} GFLOP a step, best {work / best / 1e9:.0f} GFLOP/s, {work / best / limit:.0%} of the "
            f"{limit / 1e9:.0f} GFLOP/s of a product in bfloat16"
        )
    pairs = zip(found["plain"][1], found["ours"][1], strict=True)
    ratios = [plain / ours for (plain, _), (ours, _) in pairs]
    middle = statistics.median(ratios)
    print(f"ours is faster by {middle:.2f}, the median of the rounds ({min(ratios):.2f} to {max(ratios):.2f})")
    print(f"at least {LIMIT[device()]} is asked for")
    return 0 if middle >= LIMIT[device()] else 1


if __name__ == "__main__":
    sys.exit(main())
