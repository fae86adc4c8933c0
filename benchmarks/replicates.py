"""What racing saves: seeds used and worth of the reported front, side by side with one seed and with all for all.

    python -m benchmarks.replicates [--repeats 200]

BNH and SRN (Binh and Korn 1997; Srinivas and Deb 1994) with Gaussian noise of 5 % of each range on objectives and
constraints, configurations drawn uniformly. Reported are the configurations that are feasible by their means and
dominated by no other such; what they are worth is told without the noise: the share of them that is truly feasible, and
the hypervolume of those over that of all truly feasible configurations drawn. The three ways see the same
configurations and the same noise; a fourth gives all seeds to so few configurations that it costs what racing costs.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from study.bounds import CLIP
from study.racing import Seeds, deviations, promising

Floats = NDArray[np.float64]
NOISE = 0.05
"""Standard deviation of the noise, as a share of each output's range over random points."""


def bnh(x: Floats) -> tuple[Floats, Floats]:
    """Return objectives and constraints of Binh and Korn's problem for points (n, 2) in the unit square."""
    a, b = 5 * x[:, 0], 3 * x[:, 1]
    objectives = np.stack([4 * a**2 + 4 * b**2, (a - 5) ** 2 + (b - 5) ** 2], axis=1)
    return objectives, np.stack([(a - 5) ** 2 + b**2 - 25, 7.7 - (a - 8) ** 2 - (b + 3) ** 2], axis=1)


def srn(x: Floats) -> tuple[Floats, Floats]:
    """Return objectives and constraints of Srinivas and Deb's problem for points (n, 2) in the unit square."""
    a, b = 40 * x[:, 0] - 20, 40 * x[:, 1] - 20
    objectives = np.stack([(a - 2) ** 2 + (b - 1) ** 2 + 2, 9 * a - (b - 1) ** 2], axis=1)
    return objectives, np.stack([a**2 + b**2 - 225, a - 3 * b + 10], axis=1)


PROBLEMS: dict[str, Callable[[Floats], tuple[Floats, Floats]]] = {"BNH": bnh, "SRN": srn}


@dataclass(frozen=True)
class Drawn:
    """Configurations with what their seeds would measure, every output divided by its range."""

    truth: Seeds
    """Without noise, (configurations, outputs)."""
    noisy: tuple[Seeds, ...]
    """Of each configuration, a row a seed."""


def draw(problem: str, configurations: int, seeds: int, seed: int) -> Drawn:
    """Draw configurations uniformly, and the noise of their seeds."""
    random = np.random.default_rng(seed)
    objectives, margins = PROBLEMS[problem](random.random((10_000, 2)))
    objectives, margins = objectives / np.ptp(objectives, axis=0), margins / np.ptp(margins, axis=0)

    def noise(values: Floats) -> Floats:
        return values[:configurations, None] + random.normal(0, NOISE, (configurations, seeds, values.shape[1]))

    pairs = zip(noise(objectives), np.clip(noise(margins), -CLIP, CLIP), strict=True)
    truth = Seeds(objectives[:configurations], margins[:configurations])
    return Drawn(truth, tuple(Seeds(one, other) for one, other in pairs))


def first(seeds: Seeds, count: int) -> Seeds:
    """Return the first seeds of a configuration."""
    return Seeds(seeds.objectives[:count], seeds.margins[:count])


def race(drawn: Drawn) -> list[Seeds]:
    """Return of each configuration, in order, the seeds that racing gives it."""
    told: list[Seeds] = []
    stated = np.full(drawn.truth.columns.shape[1], NOISE)
    for seeds in drawn.noisy:
        own = first(seeds, 1)
        while len(own.objectives) < len(seeds.objectives):
            if not promising(own, told, deviations(told, stated)):
                break
            own = first(seeds, len(own.objectives) + 1)
        told.append(own)
    return told


@dataclass(frozen=True)
class Result:
    """What one way of giving seeds cost and found."""

    evaluations: int
    truly_feasible: float
    """Share of what is reported; NaN if nothing is."""
    hypervolume: float
    """Of what is reported and truly feasible, over that of everything drawn that is."""


def judge(drawn: Drawn, told: Sequence[Seeds]) -> Result:
    """Return what a way of giving seeds is worth."""
    means = np.array([seeds.objectives.mean(axis=0) for seeds in told])
    feasible = np.flatnonzero([seeds.feasible for seeds in told])
    reported = [row for row in feasible if not _dominated(means[row], means[feasible])]
    true = drawn.truth.objectives
    truly = (drawn.truth.margins <= 0).all(axis=1)
    right = [row for row in reported if truly[row]]
    share = len(right) / len(reported) if reported else float("nan")
    whole = _hypervolume(true[truly], true)
    return Result(sum(len(seeds.objectives) for seeds in told), share, _hypervolume(true[right], true) / whole)


def _dominated(point: Floats, others: Floats) -> bool:
    return bool(((others <= point).all(axis=1) & (others < point).any(axis=1)).any())


def _hypervolume(points: Floats, all_points: Floats) -> float:
    """Return the area that points (n, 2) dominate below the worst of all points drawn."""
    reference, area = all_points.max(axis=0), 0.0
    lowest = reference[1]
    for one, other in sorted(map(tuple, points)):
        if other < lowest:
            area, lowest = area + (reference[0] - one) * (lowest - other), other
    return float(area)


def compare(problem: str, configurations: int, seeds: int, seed: int) -> dict[str, Result]:
    """Return the result of each way on the same configurations and noise."""
    drawn = draw(problem, configurations, seeds, seed)
    raced = race(drawn)
    affordable = sum(len(one.objectives) for one in raced) // seeds
    few = Drawn(drawn.truth, drawn.noisy[:affordable])
    return {
        "one seed": judge(drawn, [first(one, 1) for one in drawn.noisy]),
        "racing": judge(drawn, raced),
        "all seeds": judge(drawn, drawn.noisy),
        "all seeds, fewer configurations": judge(few, few.noisy),
    }


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--configurations", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    print(f"{given.configurations} configurations, {given.seeds} seeds, means over {given.repeats} repeats")
    for problem in PROBLEMS:
        runs = [compare(problem, given.configurations, given.seeds, seed) for seed in range(given.repeats)]
        for way in runs[0]:
            rows = np.array([list(vars(run[way]).values()) for run in runs])
            used, right, volume = np.nanmean(rows, axis=0)
            error = rows[:, 2].std(ddof=1) / np.sqrt(len(rows))
            print(
                f"{problem}  {way:<32} {used:6.1f} evaluations  truly feasible {right:.3f}  "
                f"hypervolume {volume:.4f} (standard error {error:.4f})"
            )


if __name__ == "__main__":
    main()
