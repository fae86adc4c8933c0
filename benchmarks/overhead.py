"""Wall time that the study itself adds to a trial: 40 empty trials through the real driver, searcher, storage, records.

    python benchmarks/overhead.py [--trials 40] [--rounds 3]

Ray is started before the clock; starting the workers and merging the records are inside. Prints each round and the
best, which is the figure of the machine when nobody else uses it.

    python -m benchmarks.overhead --real [SETTING...]

The share of a real study's wall time that is neither training nor checking, from the command to its end: 8 trials of
experiment=smoke with the settings given. What trials share is computed before, by a study of one trial. Slots that are
idle because no trial is left to begin are no overhead of the study, but of a short one, and told apart.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray

from study.cli import resolve
from study.driver import run_study, start_ray
from study.progress import Progress
from study.records import read_parts

LIMIT = 0.3
"""Seconds a trial may cost on two CPU cores."""

SHARE_LIMIT = 0.05
"""Share of the time of a study of trials of 30 s that may be neither training nor checking."""


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


@dataclass(frozen=True)
class Share:
    """Where the time of a study's slots went, in slot seconds."""

    trials: int
    busy: float
    """Training and checking."""
    waiting: float
    """After the last trial had begun: slots that had nothing left to do."""
    rest: float
    """Everything else: starting Ray and workers, imports, searching, records."""

    @property
    def of_total(self) -> float:
        """The rest, as a share of the study's time without ``waiting``."""
        return self.rest / (self.busy + self.rest)

    def of_trials_of(self, seconds: float) -> float:
        """The same if each trial took so many seconds and the rest of it stayed what it is."""
        return self.rest / (self.rest + self.trials * seconds)


def share(rows: Sequence[Mapping[str, Any]], slots: int, start: float, end: float) -> Share:
    """Return where the time of a study went.

    Args:
        rows: Its records: ``seconds`` that a trial took, and ``finished``, the Unix time of its end.
        slots: Trials side by side.
        start: Unix time of the command.
        end: Unix time of its end.
    """
    busy = sum(row["seconds"] for row in rows)
    ended = sorted(row["finished"] for row in rows)[-slots:]
    waiting = sum(ended[-1] - moment for moment in ended)
    return Share(len(rows), busy, waiting, slots * (end - start) - busy - waiting)


def measure_real(settings: Sequence[str]) -> Share:
    """Run a real study twice, the first time for what its trials share, and return where the second one's time went."""
    with tempfile.TemporaryDirectory() as folder:
        for name, trials in (("first", 1), ("study", 8)):
            given = [f"output={folder}/{name}", f"cache={folder}/cache", f"budget.trials={trials}", *settings]
            start = time.time()
            subprocess.run([sys.executable, "-m", "study", "experiment=smoke", *given], check=True)
            end = time.time()
        slots = json.loads((Path(folder) / "study" / "environment.json").read_text())["trials"]["concurrent"]
        return share(read_parts(Path(folder) / "study"), slots, start, end)


def main() -> int:
    """Measure, print, and return 0 if the limit is kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--real", nargs="*", metavar="SETTING", help="measure a real study")
    options = parser.parse_args()
    if options.real is not None:
        real = measure_real(options.real)
        each = real.busy / real.trials
        print(
            f"{real.trials} trials of {each:.1f} s: {real.rest:.1f} slot seconds are neither training "
            f"nor checking, {real.of_total:.1%} of the study; of trials of 30 s it were {real.of_trials_of(30):.1%} "
            f"(slots idle at the end: {real.waiting:.1f} s; load {os.getloadavg()[0]:.1f})"
        )
        return 0 if real.of_trials_of(30) <= SHARE_LIMIT else 1
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
