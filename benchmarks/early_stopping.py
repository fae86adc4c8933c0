"""What early stopping saves and loses on synthetic learning curves, by how well the signal foretells the end.

    python benchmarks/early_stopping.py [--trials 243] [--workers 64] [--seeds 20]

Curves of 27 epochs fall to their final objectives at different speeds, with noise in every epoch; every check fails at
first, and half of the trials pass at the end. Rungs at epochs 3 and 9, one in three goes on. Printed are the mean
share of worker time saved and the mean hypervolume kept, for one and two objectives; "shuffled" signals belong to
other trials and so say nothing. Synthetic: what a real signal is worth is to be measured on recorded curves.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from study.schedulers import Signal, SuccessiveHalving
from study.simulator import Curve
from study.simulator import replay as run

EPOCHS, FIRST, REDUCTION = 27, 3, 3


def curves(count: int, objectives: int, seed: int, noise: float) -> list[Curve]:
    """Return synthetic curves whose objectives end uniformly in [0, 1], reported with ``noise`` added."""
    rng, found = np.random.default_rng(seed), []
    fall = np.exp(-np.arange(1, EPOCHS + 1) / 6.0)
    for _ in range(count):
        final, speed, margin = rng.random(objectives), rng.uniform(0.5, 1.5), rng.uniform(-1.0, 1.0)
        losses = final + np.outer(speed * fall, np.ones(objectives)) + noise * rng.standard_normal((EPOCHS, objectives))
        violations = np.maximum(margin + 3.0 * fall + noise * rng.standard_normal(EPOCHS), 0.0)
        signals = tuple(Signal(tuple(loss), float(v)) for loss, v in zip(losses.tolist(), violations, strict=True))
        found.append(Curve(signals, float(rng.uniform(1.0, 3.0)), tuple(final), feasible=margin <= 0))
    return found


def hypervolume(trials: Sequence[Curve]) -> float:
    """Return the share of [0, 1] or of the unit square that the feasible trials dominate."""
    area, lowest = 0.0, 1.0
    for point in sorted(one.losses for one in trials if one.feasible):
        if len(point) == 1:
            return 1.0 - point[0]
        if point[1] < lowest:
            area, lowest = area + (1.0 - point[0]) * (lowest - point[1]), point[1]
    return area


def shuffled(trials: Sequence[Curve], seed: int) -> list[Curve]:
    """Return the trials with each other's signals."""
    order = np.random.default_rng(seed).permutation(len(trials))
    return [replace(one, signals=trials[other].signals) for one, other in zip(trials, order, strict=True)]


def measure(trials: Sequence[Curve], workers: int) -> tuple[float, float, float]:
    """Return share of worker time saved, share of hypervolume kept, and real milliseconds of the replay."""
    whole = run(trials, workers)
    start = time.perf_counter()
    early = run(trials, workers, SuccessiveHalving(FIRST, REDUCTION))
    milliseconds = 1000 * (time.perf_counter() - start)
    kept = hypervolume([trials[index] for index in early.finished]) / hypervolume(trials)
    return 1.0 - early.worker_seconds / whole.worker_seconds, kept, milliseconds


def main() -> int:
    """Measure and print a markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=243)
    parser.add_argument("--workers", type=int, default=64)
    parser.add_argument("--seeds", type=int, default=20)
    options = parser.parse_args()
    print(
        "| objectives | signal | time saved | hypervolume kept (worst) | ms a replay |\n| --- | --- | --- | --- | --- |"
    )
    for objectives in (1, 2):
        for name, noise in (("noise 0.05", 0.05), ("noise 0.2", 0.2), ("noise 0.5", 0.5), ("shuffled", 0.05)):
            sets = [curves(options.trials, objectives, seed, noise) for seed in range(options.seeds)]
            if name == "shuffled":
                sets = [shuffled(trials, seed) for seed, trials in enumerate(sets)]
            saved, kept, took = np.array([measure(trials, options.workers) for trials in sets]).T
            share = f"{kept.mean():.3f} ({kept.min():.3f})"
            print(f"| {objectives} | {name} | {saved.mean():.0%} | {share} | {np.median(took):.0f} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
