"""Which searcher should be the default: all of them on a surrogate of this project's own recorded trials.

    python -m benchmarks.search_own                                       print the tables of what was measured
    python -m benchmarks.search_own --run [--methods tpe gp] [--objectives constrained] [--seeds 0 1] [--minutes 30]

The searchers are asked as a study asks them (``study.search``), in the space of the recorded study with its conditions
and refusals, 4 configurations at a time, 100 in all; ``benchmarks/own_surrogate.py`` answers. *Reported* are, of the
trials within every bound by estimate, the ``SHORT_LIST`` best where there is one objective, otherwise those that no
other dominates. A run is worth the hypervolume of the reported configurations that are truly within every bound, by
their true values, over that of ``RANDOM`` random configurations. Runs of one seed have the same noise, trial by trial.
*Found* is the same of everything that was tried: what a report without luck in it would be worth. It decides nothing.

The rule by which the default is chosen, written before there were results:

1. A run's score is the mean of its worth after 40 and after 100 trials, under ``objective=constrained``.
2. A challenger replaces ``tpe`` if the 99 % t-interval of the paired differences of scores (one of five, so that all
   five hold together with 95 %) lies above 0: 10 seeds, or at least 5 of one that takes a minute a run.
3. It must not be worse under ``objective=pareto`` (its interval not wholly below 0) and must take less than 2 s of CPU
   a suggestion, since a trial takes about a minute.
4. Of several, the one with the largest mean difference. If there is none, ``tpe`` remains.

Needs scikit-learn, which no other part of the project does.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray
from scipy.stats import t as student

from benchmarks.own_surrogate import Answer, Surrogate
from benchmarks.own_trials import OwnTrials, Trial, load
from benchmarks.search_runs import ResultFile
from study.config import StudyConfig
from study.experiments import load_experiment
from study.nested import with_values
from study.objective import MAXIMISE
from study.parameter import Value
from study.samplers import SAMPLERS
from study.search import Search

Array = NDArray[np.float64]

RESULTS = ResultFile(Path(__file__).with_name("search_own_results.json"))
PRESENT = "tpe"
OBJECTIVES = ("constrained", "pareto")
STAGES = (40, 100)
"""Numbers of trials after which what is reported is judged."""
BATCH = 4
SHORT_LIST = 5
RANDOM = 2000
CONFIDENCE, FEWEST_SEEDS, SLOWEST = 0.99, 5, 2000.0
"""Of the intervals of paired differences; of a challenger; milliseconds a suggestion."""


def hypervolume(losses: Array) -> float:
    """Return the volume that points (points, objectives) dominate below the reference point 1 in every objective.

    All are minimised. By slices along the last objective; fast enough for three objectives and a hundred points.
    """
    inside = losses[(losses < 1.0).all(axis=1)]
    if not len(inside):
        return 0.0
    if inside.shape[1] == 1:
        return 1.0 - float(inside.min())
    inside = inside[np.argsort(inside[:, -1], kind="stable")]
    depths = np.diff(np.append(inside[:, -1], 1.0))
    return sum(float(depth) * hypervolume(inside[: n + 1, :-1]) for n, depth in enumerate(depths) if depth)


def dominated(losses: Array) -> NDArray[np.bool_]:
    """Return which points another dominates, (points,)."""
    return np.array([((losses <= row).all(axis=1) & (losses < row).any(axis=1)).any() for row in losses], dtype=bool)


class Judge:
    """Judges what a study reports by what the surrogate knows."""

    def __init__(self, config: StudyConfig, trials: Sequence[Trial], surrogate: Surrogate, count: int = RANDOM) -> None:
        """Scale the objectives so that the worst recorded value is 1 and the best one 0.

        Args:
            config: The study.
            trials: The recorded trials.
            surrogate: Fitted to them.
            count: Random configurations whose front is worth 1.
        """
        self._config = config.objective
        recorded = [trial.values for trial in trials if trial.values]
        values = np.array([[one[objective.name] for objective in self._config.searched] for one in recorded])
        self._signs = np.array([-1.0 if one.direction == MAXIMISE else 1.0 for one in self._config.searched])
        losses = values * self._signs
        self._low, self._high = losses.min(axis=0), losses.max(axis=0)
        self._whole = 1.0
        self._whole = self.worth(surrogate.truth(draw_random(config, count)))

    def report(self, measured: Sequence[Answer], truth: Sequence[Answer]) -> float:
        """Return what the reported ones of the trials measured are truly worth."""
        chosen = self.reported(measured)
        return self.worth([truth[index] for index in chosen])

    def reported(self, measured: Sequence[Answer]) -> list[int]:
        """Return which trials are reported."""
        feasible = [index for index, one in enumerate(measured) if one.score(self._config).feasible]
        if not feasible:
            return []
        losses = self._losses([measured[index] for index in feasible])
        if losses.shape[1] == 1:
            return [feasible[place] for place in np.argsort(losses[:, 0], kind="stable")[:SHORT_LIST]]
        return [feasible[place] for place in np.flatnonzero(~dominated(losses))]

    def worth(self, truth: Sequence[Answer]) -> float:
        """Return the hypervolume of those that are truly within every bound, over that of random ones."""
        feasible = [one for one in truth if one.score(self._config).feasible]
        if not feasible:
            return 0.0
        losses = self._losses(feasible)
        return hypervolume(losses[~dominated(losses)]) / self._whole

    def _losses(self, answers: Sequence[Answer]) -> Array:
        values = np.array([[one.values[objective.name] for objective in self._config.searched] for one in answers])
        return (values * self._signs - self._low) / (self._high - self._low)


def draw_random(config: StudyConfig, count: int) -> list[dict[str, Value]]:
    """Return random configurations of the space that the experiment does not refuse."""
    experiment = load_experiment(config.experiment)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.RandomSampler(seed=0)
    drawn: list[dict[str, Value]] = []
    while len(drawn) < count:
        values = config.space.suggest(optuna.create_study(sampler=sampler).ask(), config.trial)
        if not experiment.problems(with_values(config.trial, values), config.data):
            drawn.append(values)
    return drawn


@cache
def _bench(objective: str) -> tuple[OwnTrials, Surrogate, Judge]:
    studies = load()
    config = studies.config(f"objective={objective}")
    surrogate = Surrogate(config.space.parameters, studies.trials)
    return studies, surrogate, Judge(config, studies.trials, surrogate)


def run(method: str, objective: str, seed: int) -> dict[str, Any]:
    """Run one searcher on the surrogate and return what it reports is worth at ``STAGES``, and its CPU time."""
    studies, surrogate, judge = _bench(objective)
    overrides = [f"searcher={method}", f"objective={objective}", f"seed={seed}", "budget.trials=100000"]
    config = studies.config(*overrides, f"name={method}-{objective}-{seed}")
    search = Search(config, optuna.storages.InMemoryStorage())
    measured: list[Answer] = []
    truth: list[Answer] = []
    asking = 0.0
    while len(measured) < STAGES[-1]:
        start = time.process_time()
        proposals = [search.ask() for _ in range(BATCH)]
        asking += time.process_time() - start
        asked = [proposal for proposal in proposals if proposal is not None]
        truth += surrogate.truth([proposal.parameters for proposal in asked])
        for proposal in asked:
            rng = np.random.default_rng((seed, len(measured)))
            measured.append(surrogate.measure(proposal.parameters, truth[len(measured)], rng))
            search.tell(proposal.number, measured[-1].score(config.objective))
    return {
        "worth": [round(judge.report(measured[:count], truth[:count]), 4) for count in STAGES],
        "found": [round(judge.worth(truth[:count]), 4) for count in STAGES],
        "feasible": sum(one.score(config.objective).feasible for one in measured),
        "milliseconds_asking": round(1000 * asking / STAGES[-1], 1),
    }


def paired(results: Mapping[str, Mapping[str, Any]], method: str, objective: str) -> tuple[int, float, float, float]:
    """Return seeds, mean and ends of the interval of a method's score minus that of ``PRESENT``."""
    rows = {name: float(np.mean(row["worth"])) for name, row in results.items()}
    seeds = [int(name.split("/")[-1]) for name in rows if name.startswith(f"{method}/{objective}/")]
    shared = [seed for seed in sorted(seeds) if f"{PRESENT}/{objective}/{seed}" in rows]
    found = np.array([rows[f"{method}/{objective}/{n}"] - rows[f"{PRESENT}/{objective}/{n}"] for n in shared])
    if len(found) < 2:
        return len(found), float(found.mean()) if len(found) else np.nan, np.nan, np.nan
    half = student.ppf(0.5 + CONFIDENCE / 2, len(found) - 1) * found.std(ddof=1) / np.sqrt(len(found))
    return len(found), float(found.mean()), float(found.mean() - half), float(found.mean() + half)


def table(results: Mapping[str, Mapping[str, Any]], objective: str) -> str:
    """Return a markdown table: reported and found after each stage, mean (standard deviation), and the difference that
    decides."""
    stages = " | ".join(f"{kind}, {stage} trials" for kind in ("reported", "found") for stage in STAGES)
    lines = [f"| searcher | seeds | {stages} | minus {PRESENT} ({CONFIDENCE:.0%}) | ms a suggestion |"]
    lines.append("| --- | --- |" + " --- |" * (2 * len(STAGES) + 2))
    for method in SAMPLERS:
        rows = [row for name, row in results.items() if name.startswith(f"{method}/{objective}/")]
        if not rows:
            continue
        worth = np.array([[*row["worth"], *row["found"]] for row in rows])
        cells = [f"{column.mean():.3f} ({column.std():.3f})" for column in worth.T]
        count, mean, low, high = paired(results, method, objective)
        difference = "" if method == PRESENT else f"{mean:+.3f} ({low:+.3f} to {high:+.3f}), n={count}"
        spent = np.median([row["milliseconds_asking"] for row in rows])
        lines.append(f"| {method} | {len(rows)} | " + " | ".join([*cells, difference, f"{spent:.0f}"]) + " |")
    return "\n".join(lines)


def choose(results: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the searcher that the rule in the module's docstring makes the default."""
    chosen, gain = PRESENT, 0.0
    for method in SAMPLERS:
        count, mean, low, _ = paired(results, method, "constrained")
        worse_front = paired(results, method, "pareto")[-1] < 0.0
        spent = [row["milliseconds_asking"] for name, row in results.items() if name.startswith(f"{method}/")]
        if count >= FEWEST_SEEDS and low > 0.0 and mean > gain and not worse_front and np.median(spent) < SLOWEST:
            chosen, gain = method, mean
    return chosen


def main() -> int:
    """Run what is asked for, then print the tables and what follows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", action="store_true")
    parser.add_argument("--methods", nargs="+", choices=SAMPLERS, default=SAMPLERS)
    parser.add_argument("--objectives", nargs="+", choices=OBJECTIVES, default=OBJECTIVES)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(10)))
    parser.add_argument("--minutes", type=float, default=30.0)
    options = parser.parse_args()
    if options.run:
        RESULTS.complete(run, options.methods, options.objectives, options.seeds, options.minutes)
    results = RESULTS.load()
    for objective in OBJECTIVES:
        print(f"\nobjective={objective}\n\n{table(results, objective)}")
    print(f"\nBy the rule the default is {choose(results)}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
