"""Wall time that the study itself adds to a trial: 40 empty trials through the real driver, searcher, storage, records.

    python benchmarks/overhead.py [--trials 40] [--rounds 3]

Ray is started before the clock; starting the workers and merging the records are inside. Prints each round and the
best, which is the figure of the machine when nobody else uses it.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import tempfile
import time
from pathlib import Path

import ray

from study.cli import resolve
from study.driver import run_study, start_ray
from study.progress import Progress

LIMIT = 0.3
"""Seconds a trial may cost on two CPU cores."""


def measure(trials: int) -> float:
    """Return the seconds per trial of one study of empty trials."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "study"
        config = resolve(["experiment=empty", f"budget.trials={trials}", f"output={output}", f"cache={folder}/cache"])
        progress = Progress(config.objective, trials, stream=io.StringIO())
        start = time.perf_counter()
        run_study(config, progress=progress)
        seconds = time.perf_counter() - start
        recorded = len(list((output / "parts").glob("*.parquet")))
        assert recorded == trials, f"{recorded} records for {trials} trials"
    return seconds / trials


def main() -> int:
    """Measure, print, and return 0 if the limit is kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    start_ray()
    try:
        figures = []
        for round_ in range(options.rounds):
            figures.append(measure(options.trials))
            print(f"round {round_ + 1}: {figures[-1]:.3f} s a trial (load {os.getloadavg()[0]:.1f})", flush=True)
    finally:
        ray.shutdown()
    print(f"best: {min(figures):.3f} s a trial of {options.trials}; at most {LIMIT} s permitted")
    return 0 if min(figures) <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
