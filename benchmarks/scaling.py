"""How many workers one driver can feed: studies whose trials sleep instead of training, on 1 to 64 simulated slots.

    python -m benchmarks.scaling [--slots 1 8 16 32 64] [--trials 20] [--seconds 10] [--searcher tpe] [--json FILE]
    python -m benchmarks.scaling --saturate     # the same slots with trials that take no time

Everything is real but the trial: Ray and its workers (a process each, without torch), Tune, searcher, Optuna's storage,
records. A slot is a logical CPU, so more slots than cores measure the driver and not what the machine can compute.
Workers that sleep cost little, but starting 64 processes is work that a cluster would spread over its nodes: a slot
counts from the end of its first trial to the end of its last one.

Efficiency is the time that slots slept of the time that they were there. Cost of a trial in the driver is the processor
time of its process between the first and the last trial, told for the first and the last quarter of the study. From the
rate at which trials end when they take no time follows how many slots a driver can feed: rate times seconds of a trial.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import resource
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pyarrow.parquet as pq
import ray

from study.cli import resolve
from study.driver import run_study, start_ray
from study.progress import Progress
from study.searcher import StudySearcher


@dataclass(frozen=True)
class Scaling:
    """What one study showed."""

    slots: int
    trials: int
    seconds: float
    """That each trial slept."""
    wall: float
    """Seconds of the whole study, starting the workers included."""
    efficiency: float
    """Time that slots slept, of the time from the end of a slot's first trial to that of its last one."""
    rate: float
    """Trials an hour in the same time."""
    first_quarter: float
    last_quarter: float
    """Processor time of the driver a trial, in ms, in the first and in the last quarter of the study's trials."""
    driver_mb: float
    """Growth of the driver's resident memory over the study, in 10**6 bytes."""
    driver_mb_all: float
    """The driver's resident memory at the end."""


class _Ends:
    """Notes when trials begin and end, and what the driver has used by then."""

    def __init__(self) -> None:
        self.begun: list[float] = []
        self.ended: list[tuple[float, float]] = []

    def watch(self) -> None:
        """Let every searcher made from now on tell."""
        suggest, complete = StudySearcher.suggest, StudySearcher.on_trial_complete

        def noted_suggest(searcher: StudySearcher, trial_id: str) -> Any:
            given = suggest(searcher, trial_id)
            if isinstance(given, dict):
                self.begun.append(time.perf_counter())
            return given

        def noted_complete(searcher: StudySearcher, trial_id: str, *arguments: Any, **more: Any) -> None:
            complete(searcher, trial_id, *arguments, **more)
            self.ended.append((time.perf_counter(), time.process_time()))

        StudySearcher.suggest = noted_suggest  # type: ignore[method-assign]
        StudySearcher.on_trial_complete = noted_complete  # type: ignore[method-assign]


def measure(slots: int, trials: int, seconds: float, searcher: str, ends: _Ends) -> Scaling:
    """Run one study of ``trials`` trials on ``slots`` slots and return what it showed."""
    ends.begun.clear()
    ends.ended.clear()
    with tempfile.TemporaryDirectory() as folder:
        config = resolve(
            [
                *("experiment=empty", f"searcher={searcher}", f"budget.trials={trials}", "trial.epochs=1"),
                *(f"trial.seconds={seconds}", f"output={folder}/study", f"cache={folder}/cache", "checkpoint_every=0"),
            ]
        )
        before, start = _resident(), time.perf_counter()
        run_study(config, progress=Progress(config.objective, trials, stream=io.StringIO()))
        wall, after = time.perf_counter() - start, _resident()
        slept = pq.read_table(Path(folder) / "study" / "trials.parquet", columns=["seconds"])["seconds"].to_pylist()
        assert len(slept) == trials
    return summarise(
        slots, seconds, wall, [moment for moment, _ in ends.ended], [used for _, used in ends.ended], before, after
    )


def summarise(
    slots: int, seconds: float, wall: float, ended: list[float], used: list[float], before: float, after: float
) -> Scaling:
    """Return the figures of one study.

    Args:
        slots: Trials side by side.
        seconds: That each trial slept.
        wall: Seconds of the whole study.
        ended: Moment at which each trial ended, in s.
        used: Processor time of the driver at these moments, in s.
        before: Resident memory before, in 10**6 bytes.
        after: Resident memory at the end.
    """
    # Of each slot, from the end of its first trial to that of its last one.
    count, there = len(ended) - slots, sum(ended[-slots:]) - sum(ended[:slots])
    quarter = len(ended) // 4
    return Scaling(
        slots=slots,
        trials=len(ended),
        seconds=seconds,
        wall=wall,
        efficiency=count * seconds / there,
        rate=3600 * count * slots / there,
        first_quarter=1000 * (used[quarter] - used[0]) / quarter,
        last_quarter=1000 * (used[-1] - used[-1 - quarter]) / quarter,
        driver_mb=after - before,
        driver_mb_all=after,
    )


def _resident() -> float:
    """Return the resident memory of this process in 10**6 bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def table(rows: list[Scaling]) -> str:
    """Return the figures as a Markdown table."""
    lines = [
        "| slots | trials | seconds a trial | efficiency | trials an hour | driver, ms a trial: first quarter | last | "
        "memory, MB | of it grown |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        efficiency = f"{row.efficiency:.3f}" if row.seconds else ""
        lines.append(
            f"| {row.slots} | {row.trials} | {row.seconds:g} | {efficiency} | {row.rate:,.0f} | "
            f"{row.first_quarter:.0f} | {row.last_quarter:.0f} | {row.driver_mb_all:.0f} | {row.driver_mb:.0f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slots", type=int, nargs="+", default=[1, 8, 16, 32, 64])
    parser.add_argument("--trials", type=int, default=20, help="trials a slot")
    parser.add_argument("--seconds", type=float, default=10.0, help="that each trial sleeps")
    parser.add_argument("--searcher", default="tpe")
    parser.add_argument("--saturate", action="store_true", help="trials take no time")
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args()
    ends, rows = _Ends(), []
    ends.watch()
    for slots in options.slots:
        # A Ray of its own for each: as many processes as slots, and none left from before.
        with patch("study.driver.detect_cpus", return_value=slots):
            start_ray()
        try:
            seconds = 0.0 if options.saturate else options.seconds
            rows.append(measure(slots, options.trials * slots, seconds, options.searcher, ends))
        finally:
            ray.shutdown()
        print(f"{slots} slots: {rows[-1].wall:.0f} s, load {os.getloadavg()[0]:.1f}", file=sys.stderr, flush=True)
        if options.json:
            options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    print(table(rows))


if __name__ == "__main__":
    main()
