"""Hypervolume that this project's searchers and their peers reach on constrained problems with known fronts.

    python -m benchmarks.search                                   print the table of what was measured
    python -m benchmarks.search --run [--methods study_gp ax] [--problems srn] [--seeds 10 11] [--minutes 30]

Each run asks 4 points at a time, 100 in all. Printed is the hypervolume of the feasible points over that of the
reference front (coordinates normalised by its ideal and nadir, reference point 1.1 in each), median and quartiles over
paired seeds. ``bayesian`` was tuned on seeds 0 to 9, where its figures are optimistic; later seeds have rows of their
own. A run that is finished is kept in ``benchmarks/search_results.json`` and not repeated; remove its line to measure
it again. Runs go seed by seed, so that whatever time there is gives whole rows.

Needs ``pip install pymoo ax-platform`` in an environment of its own: no other part of the project does.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.search_runs import TUNED_ON, ResultFile, row_names

RESULTS = ResultFile(Path(__file__).with_name("search_results.json"))
TRIALS, BATCH = 100, 4
STAGES = (25, 50, 75, 100)
"""Numbers of trials at which the hypervolume is kept."""


def run(method: str, problem_name: str, seed: int) -> dict[str, Any]:
    """Run one searcher on one problem and return hypervolumes at ``STAGES``, feasible trials and CPU time of asking."""
    from benchmarks.search_peers import make_searcher
    from benchmarks.search_problems import load_problem

    problem = load_problem(problem_name)
    searcher = make_searcher(method, problem, seed)
    objectives, constraints, asking = [], [], 0.0
    while len(objectives) < TRIALS:
        start = time.process_time()
        asked = searcher.ask(min(BATCH, TRIALS - len(objectives)))
        asking += time.process_time() - start
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


def table(results: dict[str, dict[str, Any]], problems: Iterable[str]) -> str:
    """Return a markdown table, a row a method: median (lower to upper quartile) of the final hypervolume.

    Seeds that nothing was tuned on have a row of their own. A number of seeds stands in front where it is not 10; the
    last column is the median CPU time of asking.
    """
    problems = list(problems)
    groups: dict[str, dict[str, dict[str, Any]]] = {}
    for name, row in results.items():
        method, problem, seed = name.split("/")
        group = method if int(seed) in TUNED_ON else f"{method}, fresh seeds"
        groups.setdefault(group, {})[f"{problem}/{seed}"] = row
    lines = ["| method | " + " | ".join(problems) + " | ms a suggestion |", "| --- |" + " --- |" * (len(problems) + 1)]
    for method in row_names(groups):
        cells, times = [], []
        for problem in problems:
            rows = [row for name, row in groups[method].items() if name.startswith(f"{problem}/")]
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
    parser.add_argument("--seeds", type=int, nargs="+", default=list(TUNED_ON))
    parser.add_argument("--minutes", type=float, default=30.0)
    options = parser.parse_args()
    if options.run:
        os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported
        from benchmarks.search_peers import OURS, PEERS

        methods = options.methods or [*OURS, *PEERS]
        if unknown := set(methods) - set(OURS) - set(PEERS):
            parser.error(f"unknown methods {sorted(unknown)}; there are {[*OURS, *PEERS]}")
        RESULTS.complete(run, methods, options.problems, options.seeds, options.minutes)
    print(table(RESULTS.load(), options.problems))
    return 0


if __name__ == "__main__":
    sys.exit(main())
