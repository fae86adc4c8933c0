"""Which planted leaks does a battery of checks find? ``python -m benchmarks.planted_leaks``.

    python -m benchmarks.planted_leaks                                  # goes on until every cell is measured
    python -m benchmarks.planted_leaks --only bits,watermark --levels 2 --one-in 1 --minutes 30
    python -m benchmarks.planted_leaks --tables                         # of what is measured so far

The identity of the input is planted in honest releases of a cached PP-GAN on procedural faces (``benchmarks.planted``),
in all images or in 1 of 2, 5 and 10, and judged by a battery. A leak counts as found where a check of privacy says
"violation": its limits, corrected for the number of adversaries, lie beyond its bound. Clean releases, two honest ones
of the same inputs, give the rate of false alarms. Encrypted bits are there for what nobody can find.

Every finished cell is a line of ``--results``; what is there is not measured again, so the benchmark can be stopped at
any moment and run in pieces. The whole has 117 cells a seed, 1,170 for 10 seeds: with ``--battery cheap``, at 12 CPU
seconds a cell, 3.9 hours of one core; with the others as long as the tables tell, times as many.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from benchmarks.planted import LEVELS, PLANTS
from benchmarks.planted_bench import (
    BATTERIES,
    SHARES,
    Bench,
    Cell,
    Record,
    battery_setting,
    design,
    measure,
    read_records,
)
from benchmarks.planted_tables import found_table, judged, power_table, seconds_table, would_have_found
from study.compose import ConfigError
from study.trial_run import limit_threads

RESULTS = Path(__file__).with_name("planted_leaks.jsonl")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what is asked for and not measured yet, then print the tables."""
    options = _parser().parse_args(arguments)
    problems = [f"--only {name}: permitted are {', '.join(PLANTS)}" for name in options.only if name not in PLANTS]
    problems += [f"--levels {one}: permitted are {_listed(LEVELS)}" for one in options.levels if one not in LEVELS]
    problems += [f"--one-in {one}: must be a whole number >= 1" for one in options.one_in if one < 1]
    problems += [f"--seeds {options.seeds}: must be a whole number >= 1"] if options.seeds < 1 else []
    if problems:
        print("\n".join(problems), file=sys.stderr)
        return 2
    if not options.tables:
        limit_threads(1)
        try:
            left = _measure(options)
        except ConfigError as error:
            print(error, file=sys.stderr)
            return 2
        print(f"{left} cells are still to be measured" if left else "every cell asked for is measured")
    print_tables(read_records(options.results), options.overrides, options.cache)
    return 0


def print_tables(records: Sequence[Record], overrides: Sequence[str], cache: Path) -> None:
    """Print the tables of every battery that has records."""
    for battery in BATTERIES:
        own = [record for record in records if record.cell.battery == battery]
        if not own:
            continue
        setting = battery_setting(battery, overrides, cache)
        whole = battery_setting("thorough", overrides, cache).adversaries
        members = {"strong_identity": len(whole["strong"])}
        items = judged(own, setting.objective.bounds, members=members if battery == "cheap" else None)
        images = ", ".join(f"{count} {name}" for name, count in own[0].images.items())
        print(f"\nBattery {battery}, {len(own)} cells, {images} images\n")
        if battery == "cheap":
            print(f"Limits allow for the adversaries of the whole thorough battery: {members}\n")
        print("All images carry; verdicts as violation / too little data or training / pass:\n")
        print("\n".join(found_table(items)))
        print("\nFound, by share of the images that carry:\n")
        print("\n".join(power_table(items)))
        print("\nWould have found with 95 % probability (median):\n")
        print("\n".join(would_have_found(items)))
        print("\nSeconds a release:\n")
        print("\n".join(seconds_table(items)))
        measured = {
            bound.check for bound in setting.objective.bounds if any(bound.check in one.results for one in items)
        }
        failed = {name for record in own for name in record.failed_controls}
        silent = sorted(name for name in failed if name.partition(".")[0] in measured)
        print(f"\nFailed controls: {', '.join(silent) or 'none'}")


def _measure(options: argparse.Namespace) -> int:
    cells = list(
        design(
            plants=options.only,
            levels=options.levels,
            one_in=options.one_in,
            seeds=options.seeds,
            battery=options.battery,
        )
    )
    bench = lru_cache(lambda battery: _bench(battery, options))
    until = time.monotonic() + (60 * options.minutes if options.minutes else math.inf)
    return measure(cells, bench, options.results, until=until, report=_report)


def _bench(battery: str, options: argparse.Namespace) -> Bench:
    print(f"honest sanitiser and battery {battery} ...", flush=True)
    bench = Bench(battery, options.overrides, options.cache)
    print(f"honest side: {bench.honest_seconds['all']:.0f} s", flush=True)
    return bench


def _report(record: Record) -> None:
    cell: Cell = record.cell
    what = f"{cell.plant} {cell.levels} levels, 1 in {cell.one_in}, seed {cell.seed}"
    print(f"{what}: {record.seconds:.0f} s {record.parts}", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.planted_leaks", description=__doc__.partition("\n")[0])
    parser.add_argument("--only", type=_names, default=tuple(PLANTS), help="plants, separated by commas")
    parser.add_argument("--levels", type=_numbers, default=LEVELS, help="grey levels, separated by commas")
    parser.add_argument("--one-in", type=_numbers, default=SHARES, help="one image in so many carries")
    parser.add_argument("--seeds", type=int, default=10, help="repetitions")
    parser.add_argument("--battery", choices=BATTERIES, default="thorough")
    parser.add_argument("--minutes", type=float, help="begin no cell after so many")
    parser.add_argument("--results", type=Path, default=RESULTS, help="file of the records, a line each")
    parser.add_argument("--cache", type=Path, default=Path("cache"), help="folder of the sanitiser and the baselines")
    parser.add_argument("--tables", action="store_true", help="measure nothing, print the tables")
    parser.add_argument("overrides", nargs="*", help="as of python -m study, such as data.images=6000")
    return parser


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(",")))


def _listed(values: Sequence[int]) -> str:
    return ", ".join(map(str, values))


if __name__ == "__main__":
    sys.exit(main())
