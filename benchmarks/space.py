"""A fixed design over every family, secret and channel, measured by the experiment's own evaluation. No search.

    python -m benchmarks.space FOLDER [--only TEXT] [--seeds N] [--budget-minutes M] [--list | --summary] [OVERRIDE ...]

Runs what has no record in FOLDER yet, the most informative first, two processes of one thread each; may be stopped and
started again at any moment. A configuration that cannot work is refused with its reason before anything starts; one
that fails is recorded with how. Overrides are those of ``python -m study`` (``data.images=420 experiment=smoke``).

Prints a line for each finished configuration, then, as with ``--summary``, a table for each channel, slice and
discriminator, and writes ``results.parquet`` (a row a configuration and seed) and ``space.html`` beside the records.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from benchmarks.space_design import Point, Run, design, runs
from benchmarks.space_figures import write_figures
from benchmarks.space_records import REFUSED, Record, flat_row, write_table
from benchmarks.space_run import Bench
from benchmarks.space_setting import read_setting
from benchmarks.space_summary import results, worst
from benchmarks.space_tables import print_tables
from study.config import ConfigError

INTERRUPTED, WORKER_LOST, BAD_CONFIGURATION = 130, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run or show the design; return the exit code."""
    options = _parser().parse_intermixed_args(arguments)
    points = [point for point in design() if options.only.lower() in f"{point.group}/{point.name}".lower()]
    if not points:
        print(f"--only {options.only!r} matches none of the design; --list shows all", file=sys.stderr)
        return BAD_CONFIGURATION
    try:
        setting = read_setting(options.overrides, options.cache)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return BAD_CONFIGURATION
    bench = Bench(setting, options.folder)
    planned = runs(points, options.seeds)
    if options.list:
        _list(bench, planned)
        return 0
    code = 0
    if not options.summary:
        code = _measure(bench, planned, options.workers, options.budget_minutes)
    _summarise(bench, points, options.seeds)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="records and results; made if missing")
    parser.add_argument("overrides", nargs="*", help="overrides of search_spaces/, as python -m study takes them")
    parser.add_argument("--only", default="", help="part of 'group/name' of the points to take")
    parser.add_argument("--seeds", type=int, help="replications of each point; by default two in slices, else one")
    parser.add_argument("--budget-minutes", type=float, default=float("inf"), help="start nothing after this time")
    parser.add_argument("--workers", type=int, default=2, help="processes, one thread each")
    parser.add_argument("--cache", type=Path, default=Path("cache"), help="what trials share, as in a study")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--list", action="store_true", help="print the design with what is recorded; run nothing")
    what.add_argument("--summary", action="store_true", help="print tables and write results; run nothing")
    return parser


def _list(bench: Bench, planned: Sequence[Run]) -> None:
    known = bench.file.read()
    for run in planned:
        record, reason = known.get(bench.key(run)), bench.refusal(run)
        state = f"refused: {reason}" if reason else "to run" if record is None else record.outcome
        print(f"seed {run.seed}  {' = '.join(f'{p.group}/{p.name}' for p in run.points)}: {state}")


def _measure(bench: Bench, planned: Sequence[Run], workers: int, minutes: float) -> int:
    pending = bench.pending(planned)
    print(f"{len(planned)} configurations, {len(pending)} to run", flush=True)
    start = time.monotonic()
    done = 0

    def report(run: Run, record: Record) -> None:
        nonlocal done
        done += 1
        elapsed = (time.monotonic() - start) / 60
        print(f"[{done}/{len(pending)}, {elapsed:.1f} min] {_outcome_line(run, record)}", flush=True)

    try:
        bench.run(pending, workers=workers, until=start + 60 * minutes, report=report)
    except KeyboardInterrupt:
        print("interrupted; what was finished is recorded, the same command goes on")
        return INTERRUPTED
    except BrokenProcessPool:
        print("a process was killed, perhaps for want of memory; the same command goes on", file=sys.stderr)
        return WORKER_LOST
    return 0


def _outcome_line(run: Run, record: Record) -> str:
    named = f"{run.points[0].group}/{run.points[0].name}, seed {run.seed}: {record.outcome}, {record.seconds:.0f} s"
    if record.reason is not None:
        return f"{named}: {record.reason}"
    shown = ("reconstruction_ssim", "secret_accuracy", "steganalysis_auc")
    found = {name: item for name in shown if (item := worst(record, name)) is not None}
    return named + "".join(f", {name} {item.value:.3f}" for name, item in found.items())


def _summarise(bench: Bench, points: Sequence[Point], seeds: int | None) -> None:
    """Print the tables of ``points``; write the table file and the figures, which are of the whole design."""
    known, planned = bench.file.read(), runs(design(), seeds)
    of_points: dict[tuple[str, str], list[Record]] = {}
    rows = []
    for run in planned:
        record = known.get(bench.key(run))
        if record is None:
            continue
        for point in run.points:
            of_points.setdefault((point.group, point.name), []).append(record)
        rows.append(flat_row(record, (point.group for point in run.points), (point.name for point in run.points)))
    if not rows:
        print("nothing is recorded yet")
        return
    refused = sum(row["outcome"] == REFUSED for row in rows)
    versions = sorted({row["code"] for row in rows if row["outcome"] != REFUSED})
    print(
        f"\n{len(rows)} of {len(planned)} configurations recorded, {refused} of them refused; "
        f"measured by {len(versions)} version{'' if len(versions) == 1 else 's'} of the models. "
        "Intervals (95 %) are those of the test images; in round brackets the least and largest of several seeds.\n"
    )
    print(print_tables(results(points, of_points)))
    write_table(bench.folder / "results.parquet", rows)
    write_figures(results(design(), of_points), bench.setting.objective.bounds, bench.folder / "space.html")


if __name__ == "__main__":
    sys.exit(main())
