"""Time that a suggestion takes, by sampler and number of finished trials.

    python benchmarks/asking.py [--samplers bayesian tpe] [--trials 100 1000 5000] [--seconds 120]

A study of two objectives and two constraints, eight parameters of all kinds, one of them conditional, in memory.
Prints the median of up to 5 suggestions in milliseconds, wall and processor time; a sampler that has used its seconds
is left out at larger numbers. Set OMP_NUM_THREADS=1 and OPENBLAS_NUM_THREADS=1, as it does for itself: on a busy
machine, threads that wait for each other made the matrices of a Gaussian process a hundred times slower.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import warnings
from statistics import median
from typing import Any

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # before numpy is imported

import numpy as np
import optuna

from study.parameter import CATEGORICAL, FLOAT, INT, Parameter, Value
from study.samplers import SAMPLERS, SearcherConfig, build_sampler
from study.space import Space


def _choice(name: str, *values: Value, when: dict[str, tuple[Value, ...]] | None = None) -> Parameter:
    return Parameter(name, CATEGORICAL, "scientific", "1", "", values=values, when=when or {})


def _number(name: str, kind: str, low: float, high: float, *, log: bool = False, **settings: Any) -> Parameter:
    return Parameter(name, kind, "scientific", "1", "", low=low, high=high, log=log, **settings)


SPACE = Space(
    parameters=(
        _choice("family", "keyed", "learned"),
        _choice("critic", "three_headed", "patch", "spectral_hinge"),
        _choice("strength", 1, 2, 4, 8),
        _number("bits", INT, 16, 2560, log=True),
        _number("rate", FLOAT, 0.0, 1.0),
        _number("kl_weight", FLOAT, 1e-3, 1e-1, log=True),
        _number("share", FLOAT, 0.0, 1.0),
        _number("residual_weight", FLOAT, 1e-2, 1.0, log=True, when={"family": ("learned",)}),
    ),
    starting_points=(),
    strata=(),
)


def study_of(count: int, sampler: optuna.samplers.BaseSampler) -> optuna.Study:
    """Return a study with ``count`` finished random trials."""
    random = np.random.default_rng(0)
    source = optuna.create_study(directions=["maximize", "minimize"], sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(count):
        trial = source.ask()
        values = SPACE.suggest(trial, {})
        quality = values["rate"] - 0.3 * values["share"] + 0.1 * random.standard_normal()
        trial.set_constraint("identity", float(values["rate"] - 0.7 + 0.1 * random.standard_normal()))
        trial.set_constraint("utility", float(values["share"] - 0.8))
        source.tell(trial, [float(quality), float(values["share"] * values["rate"])])
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
    study.add_trials(source.trials)
    return study


def measure(name: str, count: int, seconds: float) -> tuple[float, float]:
    """Return the median wall and processor time of a suggestion in milliseconds."""
    study = study_of(count, build_sampler(SearcherConfig(name), 0))
    wall, processor, start = [], [], time.perf_counter()
    while len(wall) < 5 and time.perf_counter() - start < seconds:
        clocks = time.perf_counter(), time.process_time()
        SPACE.suggest(study.ask(), {})
        wall.append(1000 * (time.perf_counter() - clocks[0]))
        processor.append(1000 * (time.process_time() - clocks[1]))
    return median(wall), median(processor)


def main() -> int:
    """Measure and print a markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samplers", nargs="+", default=SAMPLERS, choices=SAMPLERS)
    parser.add_argument("--trials", nargs="+", type=int, default=[100, 1000, 5000])
    parser.add_argument("--seconds", type=float, default=60.0, help="for one sampler at one number of trials")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    print("| sampler | " + " | ".join(f"{count:,} trials" for count in options.trials) + " |")
    print("| --- |" + " --- |" * len(options.trials))
    for name in options.samplers:
        cells: list[str] = []
        for count in options.trials:
            start = time.perf_counter()
            wall, processor = measure(name, count, options.seconds)
            cells.append(f"{wall:.0f} ({processor:.0f})")
            if time.perf_counter() - start > options.seconds:
                break
        print(f"| {name} | " + " | ".join(cells + [""] * (len(options.trials) - len(cells))) + " |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
