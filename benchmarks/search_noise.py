"""Who reports what is truly feasible, when every measurement has noise.

    python -m benchmarks.search_noise                                   print the tables of what was measured
    python -m benchmarks.search_noise --run [--methods study_tpe ax] [--problems srn] [--seeds 0 1] [--minutes 30]

On the problems of ``benchmarks/search_problems.py``, with Gaussian noise on every objective and constraint, standard
deviation 5 % of the output's range (over 10,000 uniform points). A study has 100 evaluations, asked for 4 at a time; an
evaluation is one measurement whose standard error is known. The searchers see estimates only. A method whose name ends
in ``+racing`` gives promising points up to 3 evaluations each, as ``replicates=3`` does (``study.racing``), and so has
fewer points for the same 100 evaluations; its intervals are those of ``study.replicates``.

*Reported* are the trials that nothing reported dominates, by estimate, among those that count as feasible. Peers take
the estimate for it. This project's verdict demands that the upper 95 % limit of every constraint, the estimate plus
1.96 standard errors, is inside the bound: ``study.bounds``. Every run is judged by both rules and by a stricter one, so
that what the rule does and what the searcher does can be told apart. Against the truth without noise:

- *precision*: share of the reported trials that are truly feasible, over all runs (95 % limits by redrawing runs);
- *recall*: share of the truly best (feasible and dominated by no other feasible one) among the trials evaluated that is
  reported, over all runs;
- *hypervolume*: of the reported trials that are truly feasible, by their true values, over the reference front's.

The same evaluation has the same noise whichever the searcher, by seed and order. Results are kept in
``benchmarks/search_noise_results.json``, as those of ``benchmarks/search.py``, whose packages this needs.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from benchmarks.search_runs import TUNED_ON, ResultFile, row_names
from models.measurement import Measurement
from study.bounds import CLIP, PASS, check_bound, parse_bound
from study.racing import Seeds, promising
from study.racing import deviations as racing_deviations
from study.replicates import aggregate

if TYPE_CHECKING:
    from benchmarks.search_problems import Problem

Array = NDArray[np.float64]

RESULTS = ResultFile(Path(__file__).with_name("search_noise_results.json"))
EVALUATIONS, BATCH, REPLICATES = 100, 4, 3
NOISE = 0.05
"""Standard deviation of the noise over the range of an output."""
RANGE_POINTS, REDRAWN = 10_000, 2000
RULES = {"estimate": 0.0, "verdict": 1.96, "strict": 3.0}
"""Standard errors by which a constraint's estimate must be inside its bound for a trial to count as feasible."""


@cache
def deviations(problem_name: str) -> tuple[Array, Array]:
    """Return the standard deviation of the noise on objectives (objectives,) and constraints (constraints,)."""
    from benchmarks.search_problems import load_problem

    problem = load_problem(problem_name)
    points = np.random.default_rng(0).uniform(problem.low, problem.high, (RANGE_POINTS, len(problem.low)))
    values = [problem.evaluate(point) for point in points]
    objectives, constraints = (np.array([value[index] for value in values]) for index in (0, 1))
    return NOISE * np.ptp(objectives, axis=0), NOISE * np.ptp(constraints, axis=0)


@dataclass(frozen=True)
class Trials:
    """What is known of evaluated points, and the truth."""

    objectives: Sequence[Array]
    """Of each point its estimates, (evaluations, objectives), minimised."""
    constraints: Sequence[Array]
    """Of each point its estimates, (evaluations, constraints), feasible where <= 0."""
    errors: Array
    """Standard errors of one evaluation of the constraints, (constraints,)."""
    true_objectives: Array
    """(points, objectives)."""
    true_constraints: Array
    """(points, constraints)."""


def best(objectives: Array, feasible: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which feasible trials no other feasible one dominates, (trials,)."""
    found = np.zeros(len(objectives), dtype=bool)
    for index in np.flatnonzero(feasible):
        better = (objectives <= objectives[index]).all(axis=1) & (objectives < objectives[index]).any(axis=1)
        found[index] = not (better & feasible).any()
    return found


def passes(constraints: Sequence[Array], errors: Array, deviations_inside: float) -> NDArray[np.bool_]:
    """Return which points the study's verdict passes on every constraint, (points,).

    Args:
        constraints: Of each point its estimates, (evaluations, constraints).
        errors: Standard errors of one evaluation, (constraints,).
        deviations_inside: Standard errors from an estimate to the limits of its interval; 1.96 of a 95 % interval. With
            0, the mean of the estimates alone counts.
    """
    names = [f"g{index}" for index in range(len(errors))]
    bounds = [parse_bound(name, f"{name} <= 0", 1.0) for name in names]

    def passed(estimates: Array) -> bool:
        if not deviations_inside:
            return bool((estimates.mean(axis=0) <= 0).all())
        lows, highs = estimates - deviations_inside * errors, estimates + deviations_inside * errors
        measured = aggregate(
            [dict(zip(names, map(Measurement, *row), strict=True)) for row in zip(estimates, lows, highs, strict=True)]
        )
        return all(check_bound(bound, {bound.metric: measured[bound.metric]}).verdict == PASS for bound in bounds)

    return np.array([passed(estimates) for estimates in constraints], dtype=bool)


def judge(problem: Problem, trials: Trials) -> dict[str, dict[str, float]]:
    """Return by rule how many trials are reported, how many of them and of the truly best are right, and what they are
    worth."""
    winners = best(trials.true_objectives, (trials.true_constraints <= 0).all(axis=1))
    judged = {}
    for rule, inside in RULES.items():
        means = np.array([estimates.mean(axis=0) for estimates in trials.objectives])
        reported = best(means, passes(trials.constraints, trials.errors, inside))
        feasible = reported & (trials.true_constraints <= 0).all(axis=1)
        worth = problem.hypervolume(trials.true_objectives[feasible], trials.true_constraints[feasible])
        judged[rule] = {
            "reported": int(reported.sum()),
            "feasible": int(feasible.sum()),
            "winners": int(winners.sum()),
            "found": int((winners & reported).sum()),
            "hypervolume": round(worth, 4),
        }
    return judged


def run(method: str, problem_name: str, seed: int) -> dict[str, dict[str, float]]:
    """Run one searcher on one noisy problem and return how its trials are judged."""
    from benchmarks.search_peers import make_searcher
    from benchmarks.search_problems import load_problem

    name, _, races = method.partition("+")
    problem = load_problem(problem_name)
    searcher = make_searcher(name, problem, seed)
    errors = np.concatenate(deviations(problem_name))
    scales = np.append(np.ones(problem.objectives), problem.scales)
    rng = np.random.default_rng((seed, EVALUATIONS))
    told: list[Array] = []
    truths: list[Array] = []
    left = EVALUATIONS
    while left:
        asked = searcher.ask(min(BATCH, left))
        left -= len(asked)
        for token, point in asked:
            truth = np.concatenate(problem.evaluate(point))
            estimates = rng.normal(truth, errors)[None]
            while races and left and len(estimates) < REPLICATES:
                own, *rivals = (_seeds(one / scales, problem.objectives) for one in (estimates, *told))
                if not promising(own, rivals, racing_deviations([*rivals, own], errors / scales)):
                    break
                estimates, left = np.vstack([estimates, rng.normal(truth, errors)]), left - 1
            searcher.tell(token, *np.split(estimates.mean(axis=0), [problem.objectives]))
            told.append(estimates)
            truths.append(truth)
    objectives, constraints = zip(*(np.split(one, [problem.objectives], axis=1) for one in told), strict=True)
    true_objectives, true_constraints = np.split(np.array(truths), [problem.objectives], axis=1)
    of_constraints = errors[problem.objectives :]
    return judge(problem, Trials(objectives, constraints, of_constraints, true_objectives, true_constraints))


def _seeds(estimates: Array, objectives: int) -> Seeds:
    """Return evaluations of one point, (evaluations, outputs) with margins in units of their scales, for racing."""
    return Seeds(estimates[:, :objectives], np.clip(estimates[:, objectives:], -CLIP, CLIP))


def table(results: Mapping[str, Mapping[str, Mapping[str, float]]], problems: Iterable[str], rule: str) -> str:
    """Return a markdown table of one rule, a row a method, a cell a problem: precision, recall, median hypervolume."""
    problems = list(problems)
    lines = ["| method | " + " | ".join(problems) + " |", "| --- |" + " --- |" * len(problems)]
    for method in row_names(results):
        cells = []
        for problem in problems:
            runs = [row[rule] for name, row in results.items() if name.startswith(f"{method}/{problem}/")]
            cells.append(_cell(runs))
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(runs: Sequence[Mapping[str, float]]) -> str:
    if not runs:
        return ""
    total = {name: sum(run[name] for run in runs) for name in ("reported", "feasible", "winners", "found")}
    precision = "none reported"
    if total["reported"]:
        low, high = _limits(runs)
        precision = f"{total['feasible'] / total['reported']:.3f} ({low:.3f} to {high:.3f})"
    recall = f"{total['found'] / total['winners']:.3f}" if total["winners"] else "none to find"
    count = "" if len(runs) == 10 else f"n={len(runs)}: "
    return f"{count}{precision} / {recall} / {np.median([run['hypervolume'] for run in runs]):.3f}"


def _limits(runs: Sequence[Mapping[str, float]]) -> tuple[float, float]:
    """Return 95 % limits of the precision by drawing whole runs again: trials of one run are not independent."""
    counts = np.array([(run["feasible"], run["reported"]) for run in runs])
    drawn = counts[np.random.default_rng(0).integers(len(counts), size=(REDRAWN, len(counts)))].sum(axis=1)
    shares = drawn[drawn[:, 1] > 0]
    low, high = np.quantile(shares[:, 0] / shares[:, 1], (0.025, 0.975))
    return float(low), float(high)


def main() -> int:
    """Run what is asked for, then print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", action="store_true")
    parser.add_argument("--methods", nargs="+", default=["study_tpe", "optuna_tpe", "optuna_nsgaii", "random"])
    parser.add_argument("--problems", nargs="+", default=["bnh", "srn", "c2dtlz2"])
    parser.add_argument("--seeds", type=int, nargs="+", default=list(TUNED_ON))
    parser.add_argument("--minutes", type=float, default=30.0)
    options = parser.parse_args()
    if options.run:
        os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported
        RESULTS.complete(run, options.methods, options.problems, options.seeds, options.minutes)
    for rule, inside in RULES.items():
        print(f"\n{rule} (inside by {inside:g} standard errors): precision / recall / hypervolume\n")
        print(table(RESULTS.load(), options.problems, rule))
    return 0


if __name__ == "__main__":
    sys.exit(main())
