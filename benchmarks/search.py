"""Hypervolume that this project's searchers and their peers reach on constrained problems with known fronts.

    python benchmarks/search.py                                   print the table of what was measured
    python benchmarks/search.py --run [--methods study_gp ax] [--problems srn] [--seeds 10] [--minutes 30]

Each run asks 4 points at a time, 100 in all. Printed is the hypervolume of the feasible points over that of the
reference front (coordinates normalised by its ideal and nadir, reference point 1.1 in each), median and quartiles over
paired seeds. A run that is finished is kept in ``benchmarks/search_results.json`` and not repeated; remove its line to
measure it again. Runs go seed by seed, so that whatever time there is gives whole rows.

Needs ``pip install pymoo ax-platform`` in an environment of its own: no other part of the project does.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

RESULTS = Path(__file__).with_name("search_results.json")
TRIALS, BATCH = 100, 4
STAGES = (25, 50, 75, 100)
"""Numbers of trials at which the hypervolume is kept."""


def run(method: str, problem_name: str, seed: int) -> dict[str, Any]:
    """Run one searcher on one problem and return its hypervolumes at ``STAGES``, feasible trials and asking time."""
    from search_peers import make_searcher
    from search_problems import load_problem

    problem = load_problem(problem_name)
    searcher = make_searcher(method, problem, seed)
    objectives, constraints, asking = [], [], 0.0
    while len(objectives) < TRIALS:
        start = time.perf_counter()
        asked = searcher.ask(min(BATCH, TRIALS - len(objectives)))
        asking += time.perf_counter() - start
        for token, point in asked:
            values = problem.evaluate(point)
            objectives.append(values[0])
            constraints.append(values[1])
            searcher.tell(token, *values)
    found = [problem.hypervolume(np.array(objectives[:n]), np.array(constraints[:n])) for n in STAGES]
    return {
        "hypervolume": [round(value, 4) for value in found],
        "feasible": int(np.all(np.array(constraints) <= 0, axis=1).sum()),
        "milliseconds_asking": round(1000 * asking / TRIALS, 1),
    }


def load_results() -> dict[str, dict[str, Any]]:
    """Return what was measured, by ``method/problem/seed``."""
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {}


def keep(name: str, result: dict[str, Any]) -> None:
    """Add one result to the file, a line each; several processes may do so at once."""
    with FileLock(Path(tempfile.gettempdir()) / f"{RESULTS.name}.lock"):
        results = load_results() | {name: result}
        lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(results[key])}" for key in sorted(results))
        temporary = RESULTS.with_suffix(".writing")
        temporary.write_text("{\n" + lines + "\n}\n")
        os.replace(temporary, RESULTS)


def run_all(methods: Sequence[str], problems: Sequence[str], seeds: int, minutes: float) -> None:
    """Run whatever is not in the results yet, until the time is used up."""
    end = time.monotonic() + 60 * minutes
    for seed in range(seeds):
        for problem in problems:
            for method in methods:
                name = f"{method}/{problem}/{seed}"
                if name in load_results():
                    continue
                if time.monotonic() > end:
                    print(f"{minutes:g} minutes are over; the same command continues")
                    return
                result = run(method, problem, seed)
                keep(name, result)
                print(f"{name}: {result}", flush=True)


def table(results: dict[str, dict[str, Any]], problems: Iterable[str]) -> str:
    """Return a markdown table, a row a method: median (lower to upper quartile) of the final hypervolume.

    A number of seeds stands in front where it is not 10; the last column is the median time of asking.
    """
    problems = list(problems)
    methods = sorted({name.split("/")[0] for name in results}, key=lambda name: (not name.startswith("study"), name))
    lines = ["| method | " + " | ".join(problems) + " | ms a suggestion |", "| --- |" + " --- |" * (len(problems) + 1)]
    for method in methods:
        cells, times = [], []
        for problem in problems:
            rows = [row for name, row in results.items() if name.startswith(f"{method}/{problem}/")]
            values = [row["hypervolume"][-1] for row in rows]
            times += [row["milliseconds_asking"] for row in rows]
            cells.append(_cell(values))
        lines.append(f"| {method} | " + " | ".join(cells) + f" | {np.median(times):.1f} |")
    return "\n".join(lines)


def _cell(values: Sequence[float]) -> str:
    if not values:
        return ""
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75))
    count = "" if len(values) == 10 else f"n={len(values)}: "
    return f"{count}{middle:.3f} ({low:.3f} to {high:.3f})"


def main() -> int:
    """Run what is asked for, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", action="store_true")
    parser.add_argument("--methods", nargs="+", default=[])
    parser.add_argument("--problems", nargs="+", default=["bnh", "srn", "c2dtlz2", "mw1", "mw2"])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--minutes", type=float, default=30.0)
    options = parser.parse_args()
    if options.run:
        os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported
        from search_peers import OURS, PEERS

        methods = options.methods or [*OURS, *PEERS]
        if unknown := set(methods) - set(OURS) - set(PEERS):
            parser.error(f"unknown methods {sorted(unknown)}; there are {[*OURS, *PEERS]}")
        run_all(methods, options.problems, options.seeds, options.minutes)
    print(table(load_results(), options.problems))
    return 0


if __name__ == "__main__":
    sys.exit(main())
