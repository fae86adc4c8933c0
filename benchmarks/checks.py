"""What the fast and the thorough battery cost, and what only the thorough one finds: ``python -m benchmarks.checks``.

    python -m benchmarks.checks --releases 2     # judges two clean releases by each battery, then prints the tables
    python -m benchmarks.checks --releases 0     # prints the tables of what is measured already

Seconds are those of one thread, a release, by adversary; the honest side (its baselines and controls), which a study
pays once for each sanitiser, comes apart. What is missed is read from the records of ``benchmarks.planted_leaks``: the
fast battery stands for the same measurements with only its own adversaries voting against its own bounds, which is
exact where both batteries train these alike, and is said where not.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from benchmarks.planted import PLANTS
from benchmarks.planted_bench import Bench, Record, battery_setting, design, measure, read_records
from benchmarks.planted_leaks import RESULTS
from benchmarks.planted_tables import judged, markdown, share
from benchmarks.space_setting import Setting
from models.checks.config import CheckConfig
from study.compose import ConfigError
from study.trial_run import limit_threads

FAST, THOROUGH = "fast", "thorough"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what is asked for and not measured yet, then print the tables."""
    options = _parser().parse_args(arguments)
    try:
        if options.releases > 0:
            limit_threads(1)
            _measure(options)
        records = read_records(options.results)
        print("\n".join(seconds_tables(records)))
        print("\n".join(missed_table(records, options.overrides, options.cache)))
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def seconds_tables(records: Sequence[Record]) -> list[str]:
    """Return the seconds of every adversary in both batteries, medians over releases."""
    by_battery = {name: [one for one in records if one.cell.battery == name] for name in (FAST, THOROUGH)}
    parts = {part for own in by_battery.values() for one in own for part in one.parts}

    def seconds(battery: str, part: str | None) -> float:
        own = by_battery[battery]
        found = [one.seconds if part is None else one.parts[part] for one in own if part is None or part in one.parts]
        return statistics.median(found) if found else math.nan

    def row(label: str, part: str | None) -> list[str]:
        return [label, *(_number(seconds(battery, part)) for battery in by_battery)]

    ordered = sorted(parts, key=lambda part: -max(x for b in by_battery if not math.isnan(x := seconds(b, part))))
    counts = [f"{battery}, {len(own)} releases" for battery, own in by_battery.items()]
    rows = [*(row(part, part) for part in ordered), row("whole release", None)]
    return ["", "Seconds a release:", "", *markdown(["adversary", *counts], rows)]


def missed_table(records: Sequence[Record], overrides: Sequence[str], cache: Path) -> list[str]:
    """Return how often each battery finds a leak, by plant, levels and share of the images that carry."""
    own = [one for one in records if one.cell.battery == THOROUGH]
    fast = next((one for one in records if one.cell.battery == FAST), None)
    if not own or fast is None:
        return ["", "What the fast battery misses: needs releases judged by both batteries."]
    settings = {name: battery_setting(name, overrides, cache) for name in (FAST, THOROUGH)}
    whole = judged(own, settings[THOROUGH].objective.bounds)
    part = judged(own, settings[FAST].objective.bounds, only=set(fast.metrics))
    groups = sorted({(one.cell.plant, one.cell.levels, one.cell.one_in) for one in own}, key=_order)
    rows = []
    for group in groups:
        pairs = [
            (thorough.found, quick.found)
            for thorough, quick in zip(whole, part, strict=True)
            if (thorough.record.cell.plant, thorough.record.cell.levels, thorough.record.cell.one_in) == group
        ]
        count = len(pairs)
        missed = sum(thorough and not quick for thorough, quick in pairs)
        found = [share(sum(side), count) for side in zip(*pairs, strict=True)]
        plant, levels, one_in = group
        rows.append([PLANTS[plant].label, str(levels or "-"), f"1 in {one_in}", *found, str(missed)])
    header = ["plant", "levels", "images", "thorough finds", "fast finds", "missed by the fast one"]
    return ["", "What the fast battery misses:", "", *markdown(header, rows), *_unlike(settings)]


def _unlike(settings: Mapping[str, Setting]) -> list[str]:
    """Say which adversaries the batteries share without training them alike."""
    fast, thorough = (CheckConfig.from_mapping(settings[name].adversaries) for name in (FAST, THOROUGH))
    unlike = [
        name for name in fast.strong if name in thorough.strong and fast.fits.get(name) != thorough.fits.get(name)
    ]
    return ["", f"Trained otherwise in the fast battery: {', '.join(unlike)}"] if unlike else []


def _measure(options: argparse.Namespace) -> None:
    @lru_cache
    def bench(battery: str) -> Bench:
        made = Bench(battery, options.overrides, options.cache)
        parts = ", ".join(f"{part} {seconds:.0f} s" for part, seconds in made.honest_seconds.items())
        print(f"honest side of {battery} (next to nothing where cached): {parts}", flush=True)
        return made

    def report(record: Record) -> None:
        print(f"{record.cell.battery}, seed {record.cell.seed}: {record.seconds:.0f} s", flush=True)

    for battery in (FAST, THOROUGH):
        cells = list(design(plants=("clean",), levels=(2,), one_in=(1,), seeds=options.releases, battery=battery))
        measure(cells, bench, options.results, until=math.inf, report=report)


def _order(group: tuple[str, int, int]) -> tuple[int, int, int]:
    return list(PLANTS).index(group[0]), group[2], group[1]


def _number(seconds: float) -> str:
    return "" if math.isnan(seconds) else f"{seconds:.1f}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.checks", description=__doc__.partition("\n")[0])
    parser.add_argument("--releases", type=int, default=2, help="clean releases to judge by each battery")
    parser.add_argument("--results", type=Path, default=RESULTS, help="file of the records, a line each")
    parser.add_argument("--cache", type=Path, default=Path("cache"), help="folder of the sanitiser and the baselines")
    parser.add_argument("overrides", nargs="*", help="as of python -m study, such as data.images=6000")
    return parser


if __name__ == "__main__":
    sys.exit(main())
